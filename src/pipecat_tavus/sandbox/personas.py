#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Personas of the sandbox's account, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Delivery = Literal["track", "echo"]


@dataclass(frozen=True)
class Persona:
    """A persona, which Tavus now also calls a PAL.

    Parameters:
        id: Its id, or None for that of a replica without a persona.
        name: Its name, which is the replica's name in the room.
        pipeline_mode: ``full`` where Tavus thinks and speaks by itself, ``echo`` where the
            bot gives the voice.
        delivery: Where the replica gets a bot's voice from: the track ``stream``, or
            ``conversation.echo`` messages.
    """

    id: str | None
    name: str
    pipeline_mode: str = "full"
    delivery: Delivery = "track"

    @property
    def answers(self) -> bool:
        """Whether the replica answers the user by itself."""
        return self.pipeline_mode == "full"


DEFAULT = Persona(None, "Default Persona")
READY_MADE: Mapping[str, Persona] = {
    "pipecat-stream": Persona("pipecat-stream", "Pipecat Stream", "echo", "track"),
    "pipecat0": Persona("pipecat0", "Pipecat", "echo", "echo"),
}
"""Tavus's own personas for Pipecat, by id."""


def stored(id: str, record: str | Mapping[str, Any]) -> Persona:
    """A persona of the account.

    Args:
        id: Its id.
        record: Its name, or what Tavus stores of it: ``persona_name`` and ``pipeline_mode``.

    Returns:
        The persona. One in echo mode gets its voice by ``conversation.echo`` messages.
    """
    if isinstance(record, str):
        return Persona(id, record)
    name = str(record.get("persona_name") or record.get("pal_name") or f"Persona {id}")
    mode = str(record.get("pipeline_mode") or "full")
    return Persona(id, name, mode, "echo" if mode == "echo" else "track")
