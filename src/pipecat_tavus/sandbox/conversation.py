#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""One conversation of the sandbox, as data."""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pipecat_tavus.sandbox.personas import DEFAULT, Persona

DEFAULT_ABSENT_TIMEOUT = 300


@dataclass
class SandboxConversation:
    """One conversation of the sandbox.

    Parameters:
        id: Its id.
        url: The URL of its room.
        name: Its name.
        body: What was sent to create it.
        persona_id: Its persona.
        persona_name: The persona's name, which is the replica's name in the room.
        replica_id: Its replica.
        created_at: When it was created (``time.monotonic()``).
        token: The meeting token of a private room, or None.
        test_mode: Whether it is only a room.
        status: ``active`` or ``ended``.
        ended_at: When it ended, or None.
        shutdown_reason: Why it ended, or None.
        joined_at: When the first participant but the replica joined, or None.
        left_at: When the last one left, or None while there is one.
        events: The webhooks' bodies, whether they were sent or not.
        persona: What kind of persona it is.
        interactions: What bots and people asked of Tavus and what is not heard when it is
            obeyed: the messages ``respond``, the contexts and the sensitivities.
        refusals: What they asked for and Tavus would refuse: the reasons.
        transcript: What was said, as far as its words are known, in messages with ``role``
            (``user`` or ``assistant``) and ``content``.
    """

    id: str
    url: str
    name: str
    body: dict[str, Any]
    persona_id: str | None
    persona_name: str
    replica_id: str | None
    created_at: float
    token: str | None = None
    test_mode: bool = False
    status: Literal["active", "ended"] = "active"
    ended_at: float | None = None
    shutdown_reason: str | None = None
    joined_at: float | None = None
    left_at: float | None = None
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    persona: Persona = DEFAULT
    interactions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refusals: list[str] = field(default_factory=list[str])
    transcript: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def callback_url(self) -> str | None:
        """Where webhooks go, or None."""
        return self.body.get("callback_url") or None

    @property
    def max_guests(self) -> int | None:
        """How many may be in the room besides the replica, or None for any number."""
        limit = self.body.get("max_participants")
        return limit - (not self.test_mode) if limit else None

    def timeout(self, name: str, default: float) -> float:
        """One of the limits in ``properties``.

        Args:
            name: Its name.
            default: What holds where it is not given.

        Returns:
            Seconds.
        """
        limits = cast(dict[str, float | None], self.body.get("properties") or {})
        value = limits.get(name)
        return default if value is None else value

    def token_expires_at(self) -> float:
        """When the meeting token no longer lets anybody in."""
        return self.created_at + self.timeout("participant_absent_timeout", DEFAULT_ABSENT_TIMEOUT)
