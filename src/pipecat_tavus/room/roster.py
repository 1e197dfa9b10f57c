#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Who is in the room, and what follows from it.

The roster holds the participants that are in the room and derives each one's part from
all of them. What an event changes in the parts is what follows from it, so it matters
neither who came first nor how often somebody is announced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

REPLICA_USER_ID = "tavus-replica"
_REMEMBERED = 4096
"""How many clients that left are remembered."""

_READY = ("playable", "receivable", "sendable", "")
"""States of a microphone that is heard; none is told where Daily tells of no media."""

_OWN_AUDIO = ("microphone", "screenAudio")
_OWN_VIDEO = ("camera", "screenVideo")
"""The sources that everybody has; all others are custom tracks."""

Participant = Mapping[str, Any]


class Part(Enum):
    """What a participant is to the bot.

    Parameters:
        REPLICA: The Tavus replica.
        CLIENT: Anybody else.
    """

    REPLICA = "replica"
    CLIENT = "client"


@dataclass(frozen=True)
class Came:
    """A participant is there, in this part.

    Parameters:
        participant: As Daily gives it.
        part: Its part.
    """

    participant: Participant
    part: Part


@dataclass(frozen=True)
class Went:
    """A participant is no longer there in this part.

    Parameters:
        participant: As Daily gave it last.
        part: The part that it had.
        reason: Daily's reason, or why it changed its part.
    """

    participant: Participant
    part: Part
    reason: str


@dataclass
class Roster:
    """The participants of a room but for the bot, and their parts.

    The replica is who has ``tavus-replica`` in its user id; where nobody has, who bears
    the persona's name.
    """

    _present: dict[str, Participant] = field(default_factory=dict[str, Participant])
    _parts: dict[str, Part] = field(default_factory=dict[str, Part])
    _own_id: str | None = None
    _persona_name: str | None = None
    _former_clients: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def parts(self) -> Mapping[str, Part]:
        """Everybody's part, by participant id."""
        return dict(self._parts)

    @property
    def participants(self) -> Mapping[str, Participant]:
        """Everybody as last told, by participant id."""
        return dict(self._present)

    @property
    def has_replica(self) -> bool:
        """Whether the replica is in the room."""
        return Part.REPLICA in self._parts.values()

    @property
    def replica_ready(self) -> bool:
        """Whether the replica is in the room and its microphone's track plays or could.

        Daily calls a track that is not received here ``receivable`` (its Python module,
        0.36) or ``sendable`` (its JavaScript reference). Without word of its media, a replica
        counts as ready.
        """
        return any(
            _microphone(self._present[participant_id]) in _READY
            for participant_id, part in self._parts.items()
            if part is Part.REPLICA
        )

    def may_be_tavus(self, sender: str) -> bool:
        """Whether a message may be Tavus's own.

        Args:
            sender: The participant id of its sender.

        Returns:
            True for the replica, and for who was never in the room, as a server is not. False
            for who is a client or was one, and for anybody as long as the bot is not in the
            room, since nobody is known then.
        """
        part = self._parts.get(sender)
        if part or sender in self._former_clients:
            return part is Part.REPLICA
        return self._own_id is not None

    def bot_is(self, participant_id: str) -> list[Came | Went]:
        """The bot's own id is known.

        Args:
            participant_id: The id, which is in no part from now on.

        Returns:
            What follows.
        """
        self._own_id = participant_id
        self._present.pop(participant_id, None)
        return self._changes()

    def persona_is(self, name: str) -> list[Came | Went]:
        """The persona's name is known.

        Args:
            name: The name that the replica may bear in the room.

        Returns:
            What follows.
        """
        self._persona_name = name
        return self._changes()

    def joined(self, participant: Participant) -> list[Came | Went]:
        """A participant joined, perhaps not for the first time.

        Args:
            participant: As Daily gives it. One without an id is passed over.

        Returns:
            What follows.
        """
        participant_id = _text(participant, "id")
        if participant_id and participant_id != self._own_id and not _is_local(participant):
            self._present[participant_id] = participant
        return self._changes()

    def has(self, participant: Participant) -> bool:
        """Whether a participant is in the room, and not the bot.

        Args:
            participant: As Daily gives it.
        """
        return _text(participant, "id") in self._parts

    def updated(self, participant: Participant) -> list[Came | Went]:
        """A participant changed, such as its name.

        Args:
            participant: As Daily gives it. One that is not there is passed over: an update
                may overtake nothing, but it may come after somebody left.

        Returns:
            What follows.
        """
        if _text(participant, "id") in self._present:
            return self.joined(participant)
        return []

    def left(self, participant: Participant, reason: str = "") -> list[Came | Went]:
        """A participant left.

        Args:
            participant: As Daily gives it.
            reason: Daily's reason.

        Returns:
            What follows.
        """
        self._present.pop(_text(participant, "id"), None)
        return self._changes(reason)

    def closed(self, reason: str = "") -> list[Came | Went]:
        """The room is closed: everybody is gone.

        Args:
            reason: Why.

        Returns:
            What follows.
        """
        self._present.clear()
        return self._changes(reason)

    def _changes(self, reason: str = "") -> list[Came | Went]:
        before, self._parts = self._parts, self._cast()
        changes: list[Came | Went] = []
        for participant_id, part in before.items():
            if self._parts.get(participant_id) is not part:
                gone = self._known.pop(participant_id)
                changed = participant_id in self._parts
                why = f"is the {self._parts[participant_id].value}" if changed else reason
                changes.append(Went(gone, part, why))
                if part is Part.CLIENT and not changed:
                    self._remember(participant_id)
        for participant_id, part in self._parts.items():
            self._known[participant_id] = self._present[participant_id]
            if before.get(participant_id) is not part:
                changes.append(Came(self._present[participant_id], part))
        return changes

    def _remember(self, participant_id: str) -> None:
        self._former_clients[participant_id] = None
        if len(self._former_clients) > _REMEMBERED:
            del self._former_clients[next(iter(self._former_clients))]

    def _cast(self) -> dict[str, Part]:
        replicas = {i for i, p in self._present.items() if REPLICA_USER_ID in _info(p, "userId")}
        if not replicas and self._persona_name:
            replicas = {
                i for i, p in self._present.items() if _info(p, "userName") == self._persona_name
            }
        return {i: Part.REPLICA if i in replicas else Part.CLIENT for i in self._present}

    # What was last known of everybody in `_parts`, for who is told that somebody left.
    _known: dict[str, Participant] = field(default_factory=dict[str, Participant])


def media_of(source: str, setting: str) -> dict[str, Any]:
    """A setting of a video source, as Daily's subscriptions have it.

    Args:
        source: ``camera``, ``screenVideo`` or a custom track's name.
        setting: Such as ``subscribed``.

    Returns:
        What goes under ``media``.
    """
    setting_of = {source: setting}
    return setting_of if source in _OWN_VIDEO else {"customVideo": setting_of}


def audio_media_of(source: str, setting: str) -> dict[str, Any]:
    """A setting of an audio source, as Daily's subscriptions have it.

    Args:
        source: ``microphone``, ``screenAudio`` or a custom track's name.
        setting: Such as ``subscribed``.

    Returns:
        What goes under ``media``.
    """
    setting_of = {source: setting}
    return setting_of if source in _OWN_AUDIO else {"customAudio": setting_of}


def video_state(participant: Participant, source: str) -> str:
    """The state of a video track.

    Args:
        participant: As Daily gives it.
        source: ``camera``, ``screenVideo`` or a custom track's name.

    Returns:
        Such as ``playable`` or ``off``; empty where Daily does not tell.
    """
    media = participant.get("media")
    tracks = media if source in _OWN_VIDEO else _get(media, "customVideo")
    return _text(_get(tracks, source), "state")


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value if isinstance(value, str) else ""


def _info(participant: Participant, key: str) -> str:
    return _text(participant.get("info"), key)


def _microphone(participant: Participant) -> str:
    media = participant.get("media")
    return _text(_get(media, "microphone"), "state")


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _is_local(participant: Participant) -> bool:
    info = participant.get("info")
    return isinstance(info, Mapping) and info.get("isLocal") is True  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
