#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The account that the sandbox plays: its conversations, personas and limits.

Pure state: the time is handed in, and nothing ends by itself until :meth:`Store.due` is asked.
"""

import secrets
from collections.abc import Mapping
from typing import Any, cast

from pipecat_tavus.errors import TavusRoomJoinError
from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.personas import DEFAULT, READY_MADE, Persona, stored

MAX_CALL_DURATION = 3600
DEFAULT_LEFT_TIMEOUT = 0

END_HIT = "end_conversation_endpoint_hit"
DURATION_REACHED = "max_call_duration reached"
LEFT_REACHED = "participant_left_timeout reached"
ABSENT_REACHED = "participant_absent_timeout reached"
ROOM_DELETED = "daily_room_has_been_deleted"


class RefusedCall(Exception):
    """A call is answered with an error.

    Parameters:
        status: The HTTP status.
        body: The answer's JSON.
    """

    def __init__(self, status: int, body: Mapping[str, Any]):
        """Initialize the error.

        Args:
            status: The HTTP status.
            body: The answer's JSON.
        """
        super().__init__(f"{status} {dict(body)}")
        self.status = status
        self.body = body


class Store:
    """What one Tavus account knows."""

    def __init__(
        self,
        *,
        max_concurrent: int = 3,
        personas: Mapping[str, str | Mapping[str, Any]] | None = None,
        reaction_time: float = 1.0,
    ):
        """Initialize an account with no conversations.

        Args:
            max_concurrent: How many conversations may be active at once.
            personas: Name by id, or what is stored of it (``persona_name`` and
                ``pipeline_mode``), besides Tavus's ready-made ones.
            reaction_time: Seconds until Tavus notices that the last participant left.
        """
        self.max_concurrent = max_concurrent
        self.reaction_time = reaction_time
        self.conversations: dict[str, SandboxConversation] = {}
        own = {id: stored(id, record) for id, record in (personas or {}).items()}
        self._personas = {**READY_MADE, **own}

    def persona(self, persona_id: str) -> Persona | None:
        """A persona, or None where it does not exist: any id that begins with ``p`` does."""
        if persona_id in self._personas:
            return self._personas[persona_id]
        return stored(persona_id, {}) if persona_id.startswith("p") else None

    def replica_exists(self, replica_id: str) -> bool:
        """Whether a replica can be looked up: its id begins with ``r``, or ``f`` for face."""
        return replica_id.startswith(("r", "f"))

    def create(self, body: Any, *, now: float, room_base: str) -> SandboxConversation:
        """Create a conversation.

        Args:
            body: What was sent.
            now: The time.
            room_base: What the room's URL begins with.

        Returns:
            The conversation.

        Raises:
            RefusedCall: As Tavus refuses it.
        """
        options = _check(body)
        persona_id = _text(options, "persona_id", "pal_id")
        replica_id = _text(options, "replica_id", "face_id")
        if not persona_id and not replica_id:
            raise _invalid("Either persona_id or replica_id is required")
        persona = self.persona(persona_id) if persona_id else DEFAULT
        if persona is None:
            raise _invalid("Invalid persona_id")
        test_mode = options.get("test_mode") is True
        active = sum(c.status == "active" for c in self.conversations.values())
        if not test_mode and active >= self.max_concurrent:
            raise RefusedCall(400, {"message": "User has reached maximum concurrent conversations"})
        id = f"c{secrets.token_hex(8)}"
        conversation = SandboxConversation(
            id=id,
            url=f"{room_base}/{id}",
            name=_text(options, "conversation_name") or f"New Conversation {id[-6:]}",
            body=options,
            persona_id=persona_id,
            persona_name=persona.name,
            persona=persona,
            replica_id=replica_id,
            created_at=now,
            token=_token() if options.get("require_auth") is True else None,
            test_mode=test_mode,
            status="ended" if test_mode else "active",
            ended_at=now if test_mode else None,
        )
        self.conversations[id] = conversation
        return conversation

    def get(self, id: str) -> SandboxConversation:
        """Look a conversation up.

        Args:
            id: Its id.

        Returns:
            The conversation.

        Raises:
            RefusedCall: There is none (404).
        """
        if id not in self.conversations:
            raise RefusedCall(404, {"message": "Conversation not found"})
        return self.conversations[id]

    def end(self, id: str, reason: str, *, now: float) -> SandboxConversation:
        """End a conversation.

        Args:
            id: Its id.
            reason: The shutdown reason.
            now: The time.

        Returns:
            The conversation.

        Raises:
            RefusedCall: There is none (404), or it has ended (400).
        """
        conversation = self.get(id)
        if conversation.status == "ended":
            raise _invalid("Invalid conversation_id")
        conversation.status = "ended"
        conversation.ended_at = now
        conversation.shutdown_reason = reason
        return conversation

    def delete(self, id: str) -> None:
        """Forget a conversation.

        Args:
            id: Its id.

        Raises:
            RefusedCall: There is none (404).
        """
        self.get(id)
        del self.conversations[id]

    def page(
        self, *, limit: int, page: int, status: str | None
    ) -> tuple[list[SandboxConversation], int]:
        """List conversations, the newest first.

        Args:
            limit: How many a page has.
            page: Which page, from 1 on.
            status: ``active``, ``ended`` or None for both.

        Returns:
            The page, and how many there are on all pages.
        """
        found = [
            c for c in reversed(self.conversations.values()) if status is None or c.status == status
        ]
        return found[(page - 1) * limit : page * limit], len(found)

    def admit(self, conversation_id: str, token: str | None, *, now: float) -> None:
        """See whether somebody may join a room.

        Args:
            conversation_id: Whose room.
            token: The meeting token that was shown, or None.
            now: The time.

        Raises:
            TavusRoomJoinError: There is no such room, or the token is not good for it.
        """
        conversation = self.conversations.get(conversation_id)
        if conversation is None:
            raise TavusRoomJoinError("The meeting you're trying to join does not exist")
        if conversation.token is not None:
            if token is None:
                raise TavusRoomJoinError("You are not allowed to join this meeting: no token")
            if token != conversation.token:
                raise TavusRoomJoinError("You are not allowed to join this meeting: wrong token")
            if now >= conversation.token_expires_at():
                raise TavusRoomJoinError("You are not allowed to join this meeting: token expired")

    def present(self, id: str, count: int, *, now: float) -> None:
        """Say how many participants are in a room.

        Args:
            id: The conversation's id; one that does not exist is ignored.
            count: How many, without the replica.
            now: The time.
        """
        conversation = self.conversations.get(id)
        if conversation is None:
            return
        if count:
            if conversation.joined_at is None:
                conversation.joined_at = now
            conversation.left_at = None
        elif conversation.joined_at is not None and conversation.left_at is None:
            conversation.left_at = now

    def due(self, now: float) -> list[tuple[SandboxConversation, str]]:
        """What has reached a limit.

        Args:
            now: The time.

        Returns:
            Active conversations and why they are over.
        """
        over: list[tuple[SandboxConversation, str]] = []
        for conversation in self.conversations.values():
            if conversation.status == "active":
                at, reason = self._limit(conversation)
                if now >= at:
                    over.append((conversation, reason))
        return over

    def next_deadline(self) -> float | None:
        """When the next conversation reaches a limit, or None where none is active."""
        active = [c for c in self.conversations.values() if c.status == "active"]
        return min((self._limit(c)[0] for c in active), default=None)

    def _limit(self, conversation: SandboxConversation) -> tuple[float, str]:
        ends = conversation.created_at + conversation.timeout(
            "max_call_duration", MAX_CALL_DURATION
        )
        limits = [(ends, DURATION_REACHED)]
        if conversation.joined_at is None:
            limits.append((conversation.token_expires_at(), ABSENT_REACHED))
        if conversation.left_at is not None:
            wait = conversation.timeout("participant_left_timeout", DEFAULT_LEFT_TIMEOUT)
            limits.append((conversation.left_at + self.reaction_time + wait, LEFT_REACHED))
        return min(limits)


def _invalid(text: str) -> RefusedCall:
    return RefusedCall(400, {"error": text})


def _check(body: Any) -> dict[str, Any]:
    """The options, where each that Tavus checks is as it must be; unknown ones are accepted."""
    if not isinstance(body, dict):
        raise _invalid("The body must be a JSON object")
    options = cast(dict[str, Any], body)
    properties = options.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise _invalid("properties must be an object")
    participants = options.get("max_participants")
    if participants is not None and not (_number(participants) and participants >= 2):
        raise _invalid("max_participants must be at least 2")
    limits = cast(dict[str, Any], properties or {})
    duration = limits.get("max_call_duration")
    if duration is not None and not (_number(duration) and 0 < duration <= MAX_CALL_DURATION):
        raise _invalid(f"max_call_duration must be positive and at most {MAX_CALL_DURATION}")
    for name in ("participant_left_timeout", "participant_absent_timeout"):
        value = limits.get(name)
        if value is not None and not (_number(value) and value >= 0):
            raise _invalid(f"{name} must not be negative")
    return options


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(options: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = options.get(name)
        if value is not None and not isinstance(value, str):
            raise _invalid(f"{name} must be a string")
        if value and value.strip():
            return value
    return None


def _token() -> str:
    """Looks like the JWT that it stands for; nobody but the sandbox reads it."""
    return ".".join(secrets.token_urlsafe(n) for n in (12, 24, 24))
