#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a conversation is created with, from all the places that may say so. Pure."""

from collections.abc import Mapping

from pipecat_tavus.errors import TavusConfigError
from pipecat_tavus.rest.models import ConversationOptions

DEFAULT_PERSONA = "pipecat-stream"
"""The ready-made persona that speaks the audio track ``stream``."""

# The old name and the new one of the same.
_REPLICA = ("replica_id", "face_id")
_PERSONA = ("persona_id", "pal_id")


def complete_options(
    options: ConversationOptions | None,
    *,
    replica_id: str | None = None,
    face_id: str | None = None,
    persona_id: str | None = None,
    pal_id: str | None = None,
    limits: Mapping[str, int | None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ConversationOptions:
    """Complete the options: an argument counts before the environment.

    Args:
        options: What the application gives, or None.
        replica_id: The replica, by its old name.
        face_id: The replica, by its new name.
        persona_id: The persona, by its old name; the default one gives way to any other.
        pal_id: The persona, by its new name.
        limits: ``properties`` that hold where the options leave them open.
        environment: Where ``TAVUS_REPLICA_ID``, ``TAVUS_FACE_ID`` and ``TAVUS_PAL_ID`` are
            looked for, where nothing else names the replica or the persona.

    Returns:
        The options.

    Raises:
        TavusConfigError: A value cannot be right, or one thing is named twice.
    """
    given = options.body() if options else {}
    arguments = {
        "replica_id": replica_id,
        "face_id": face_id,
        "persona_id": None if persona_id == DEFAULT_PERSONA else persona_id,
        "pal_id": pal_id,
    }
    for name, value in arguments.items():
        if value and given.setdefault(name, value) != value:
            raise TavusConfigError(
                f"{name} is given twice: {value!r}, and {given[name]!r} in the options"
            )
    for pair in (_REPLICA, _PERSONA):
        if not any(given.get(name) for name in pair):
            named = {name: (environment or {}).get(f"TAVUS_{name.upper()}") for name in pair}
            given |= {name: value for name, value in named.items() if value}
    if persona_id and not any(given.get(name) for name in _PERSONA):
        given["persona_id"] = persona_id
    properties = {name: value for name, value in (limits or {}).items() if value is not None}
    given["properties"] = properties | given.get("properties", {})
    return ConversationOptions.check(**given)
