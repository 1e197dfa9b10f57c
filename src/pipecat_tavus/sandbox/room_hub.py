#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A room and who is in it, as Daily tells it.

Everybody in a room takes a *seat*, which is told what happens and hears the others: a bot's
seat is the server's end of its WebSocket, the replica and scripted people sit in the process.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from pipecat_tavus.errors import TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.sandbox.cameras import Cameras
from pipecat_tavus.sandbox.subscriptions import Subscriptions

Kind = Literal["bot", "person", "replica"]


class AppMessage(NamedTuple):
    """An app message that was sent in a room.

    Parameters:
        at: When (``time.monotonic()``).
        sender_id: Who sent it.
        to: To whom, or None for everybody.
        message: Any JSON value.
    """

    at: float
    sender_id: str
    to: str | None
    message: Any


class RoomEvent(NamedTuple):
    """Somebody came or went.

    Parameters:
        at: When (``time.monotonic()``).
        what: ``joined``, ``left`` or, for the room itself, ``closed``.
        participant_id: Who, empty for the room.
        kind: What they are, empty for the room.
        reason: Why, where there is a reason.
    """

    at: float
    what: Literal["joined", "left", "closed"]
    participant_id: str
    kind: Kind | Literal[""]
    reason: str = ""


class Seat(Protocol):
    """What somebody in the room is told. Nothing of it may block or raise."""

    def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Somebody joined."""
        ...

    def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Somebody's media changed."""
        ...

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Somebody left."""
        ...

    def on_app_message(self, message: Any, sender: str) -> None:
        """An app message came."""
        ...

    def on_audio(self, sender: str, source: str, pcm: bytes, rate: int) -> None:
        """A piece of audio (mono PCM16) begins to play."""
        ...

    def on_closed(self, reason: str) -> None:
        """The room has closed. Nothing comes after this."""
        ...


class Room:
    """One room.

    Parameters:
        participants: Everybody in it by id, each as Daily gives it.
        messages: Every app message that was sent.
        events: Who came and went, and when.
        subscriptions: What each bot receives, by the bot's id; kept when it has left.
        cameras: What is shown, and who watches it.
    """

    def __init__(
        self,
        conversation_id: str,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        capacity: int | None = None,
        on_change: "Callable[[Room], None]" = lambda room: None,
    ):
        """Initialize an empty, open room.

        Args:
            conversation_id: The conversation that it belongs to.
            spawn: Starts a task.
            capacity: How many may be in it besides the replica, or None for any number.
            on_change: Called with the room when somebody came or went.
        """
        self.conversation_id = conversation_id
        self.participants: dict[str, dict[str, Any]] = {}
        self.messages: list[AppMessage] = []
        self.events: list[RoomEvent] = []
        self.subscriptions: dict[str, Subscriptions] = {}
        self.cameras = Cameras(spawn, self._change_media, self._delivers)
        self._capacity = capacity
        self._on_change = on_change
        self._seats: dict[str, tuple[Seat, Kind]] = {}
        self._closed = asyncio.Event()
        self._close_reason = ""

    @property
    def is_closed(self) -> bool:
        """Whether the room has closed."""
        return self._closed.is_set()

    def ids(self, kind: Kind) -> list[str]:
        """The ids of everybody of one kind, in the order of their joining."""
        return [id for id, (_, seated) in self._seats.items() if seated == kind]

    def kind(self, participant_id: str) -> Kind | None:
        """What a participant is, or None for somebody who is not in the room."""
        seated = self._seats.get(participant_id)
        return seated[1] if seated else None

    @property
    def guests(self) -> int:
        """How many are in the room without the replica."""
        return len(self._seats) - len(self.ids("replica"))

    async def closed(self) -> str:
        """Wait until the room has closed.

        Returns:
            Why it has.
        """
        await self._closed.wait()
        return self._close_reason

    def join(
        self,
        seat: Seat,
        *,
        name: str,
        kind: Kind,
        user_id: str | None = None,
        playable: bool = True,
        camera: bool = False,
    ) -> dict[str, Any]:
        """Take a seat.

        Args:
            seat: Who is told what happens from now on.
            name: The participant's name.
            kind: What it is.
            user_id: Its user id; a new one by default.
            playable: Whether what it sends can be played, or is still ``loading``.
            camera: Whether its camera is on from the first.

        Returns:
            As Daily's join data: ``participants`` with the own one as ``local`` and everybody
            who is there already by id.

        Raises:
            TavusRoomJoinError: The room has closed or is full.
        """
        if self.is_closed:
            raise TavusRoomJoinError("the meeting has ended")
        if kind != "replica" and self._capacity is not None and self.guests >= self._capacity:
            raise TavusRoomJoinError("the meeting is full")
        id = str(uuid.uuid4())
        participant = _participant(id, name, user_id or str(uuid.uuid4()), kind, camera)
        if not playable:
            _change(participant, "playable", "loading")
        others = {other: dict(data) for other, data in self.participants.items()}
        self.participants[id] = participant
        for told, _ in self._others(id):
            told.on_participant_joined(participant)
        self._seats[id] = (seat, kind)
        if kind == "bot":
            self.subscriptions[id] = Subscriptions()
        self.events.append(RoomEvent(time.monotonic(), "joined", id, kind))
        self._on_change(self)
        local = {**participant, "info": {**participant["info"], "isLocal": True}}
        return {
            "participants": {"local": local, **others},
            "meetingSession": {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, self.conversation_id))},
        }

    def leave(self, participant_id: str, reason: str = "leftCall") -> None:
        """Give a seat up. Harmless for somebody who is not in the room.

        Args:
            participant_id: Who.
            reason: Why, in Daily's words.
        """
        seated = self._seats.pop(participant_id, None)
        if seated is None:
            return
        participant = self.participants.pop(participant_id)
        self.cameras.forget(participant_id)
        self.events.append(RoomEvent(time.monotonic(), "left", participant_id, seated[1], reason))
        for told, _ in self._others(participant_id):
            told.on_participant_left(participant, reason)
        self._on_change(self)

    def publish(self, participant_id: str, track: str) -> None:
        """Publish a custom audio track.

        Args:
            participant_id: Whose.
            track: Its name.
        """
        participant = self.participants.get(participant_id)
        if participant is None or track in participant["media"]["customAudio"]:
            return
        participant["media"]["customAudio"][track] = _media("playable")
        for told, _ in self._others(participant_id):
            told.on_participant_updated(participant)

    def become_playable(self, participant_id: str) -> None:
        """Tell everybody that what was ``loading`` can be played.

        Args:
            participant_id: Whose it is; somebody who is not in the room is ignored.
        """
        participant = self.participants.get(participant_id)
        if participant is None:
            return
        _change(participant, "loading", "playable")
        for told, _ in self._others(participant_id):
            told.on_participant_updated(participant)

    def send(self, sender_id: str, message: Any, to: str | None = None) -> None:
        """Send an app message.

        Args:
            sender_id: Who sends it.
            message: Any JSON value.
            to: To whom, or None for everybody but the sender.

        Raises:
            TavusRoomSendError: The sender or the one addressed is not in the room.
        """
        if sender_id not in self._seats:
            raise TavusRoomSendError("not in the room")
        if to is not None and to not in self._seats:
            raise TavusRoomSendError(f"there is no participant {to}")
        self.messages.append(AppMessage(time.monotonic(), sender_id, to, message))
        for told, id in self._others(sender_id):
            if to is None or to == id:
                told.on_app_message(message, sender_id)

    def audio(self, sender_id: str, source: str, pcm: bytes, rate: int) -> None:
        """Let everybody else hear a piece of audio.

        Args:
            sender_id: Whose.
            source: ``microphone`` or the name of a custom track.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
        """
        for told, _ in self._others(sender_id):
            told.on_audio(sender_id, source, pcm, rate)

    def close(self, reason: str) -> None:
        """Close the room under everybody. Harmless when it has closed.

        Args:
            reason: Why.
        """
        if self.is_closed:
            return
        self._close_reason = reason
        self._closed.set()
        now = time.monotonic()
        seats, self._seats = self._seats, {}
        for id, (_, kind) in seats.items():
            self.events.append(RoomEvent(now, "left", id, kind, reason))
        self.events.append(RoomEvent(now, "closed", "", "", reason))
        self.participants.clear()
        self.cameras.clear()
        for seat, _ in seats.values():
            seat.on_closed(reason)
        self._on_change(self)

    def _change_media(self, participant_id: str, source: str, state: str) -> None:
        participant = self.participants[participant_id]
        if participant["media"][source]["state"] != state:
            participant["media"][source] = _media(state)
            for told, _ in self._others(participant_id):
                told.on_participant_updated(participant)

    def _delivers(self, bot_id: str, participant_id: str, source: str) -> bool:
        return self.subscriptions[bot_id].delivers(participant_id, source)

    def _others(self, id: str) -> list[tuple[Seat, str]]:
        return [(seat, other) for other, (seat, _) in self._seats.items() if other != id]


def _participant(id: str, name: str, user_id: str, kind: Kind, camera: bool) -> dict[str, Any]:
    sees = "playable" if camera else "off"
    hears = "off" if kind == "bot" else "playable"
    return {
        "id": id,
        "info": {
            "isLocal": False,
            "isOwner": kind == "replica",
            "joinedAt": int(time.time()),
            "userId": user_id,
            "userName": name,
        },
        "media": {
            "camera": _media(sees),
            "microphone": _media(hears),
            "screenVideo": _media("off"),
            "screenAudio": _media("off"),
            "customAudio": {},
            "customVideo": {},
        },
    }


def _change(participant: dict[str, Any], before: str, after: str) -> None:
    """Camera and microphone, where they are in one state, are in another."""
    for name in ("camera", "microphone"):
        if participant["media"][name]["state"] == before:
            participant["media"][name] = _media(after)


def _media(state: str) -> dict[str, Any]:
    return {"state": state, "subscribed": "subscribed", "offReasons": []}
