#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the room tells, passed on: to the roster, and what follows from it to the callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from loguru import logger

from pipecat_tavus.errors import (
    TavusError,
    TavusReplicaLeftError,
    TavusRoomClosedError,
    TavusRoomError,
)
from pipecat_tavus.events.events import (
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    TavusEvent,
    parse_event,
)
from pipecat_tavus.events.inbox import Inbox
from pipecat_tavus.events.speech_listener import SpeechListener
from pipecat_tavus.params import TavusCallbacks
from pipecat_tavus.room.roster import Came, Part, Roster, Went


class RoomEvents:
    """A :class:`~pipecat_tavus.room.seam.RoomListener` that tells the client's callbacks.

    An exception in a callback is logged and stops no later event.
    """

    def __init__(
        self,
        callbacks: TavusCallbacks,
        *,
        mute: Callable[[str], Awaitable[None]] | None,
        over: Callable[[], bool],
        ends_with_replica: bool,
        conversation_id: Callable[[], str | None] = lambda: None,
    ):
        """Initialize the events.

        Args:
            callbacks: Whom to tell.
            mute: Unsubscribes a participant's microphone, by participant id; None where the
                replica is to be heard.
            over: Begins the conversation's end; False where that had begun before.
            ends_with_replica: Whether the conversation ends when the replica leaves.
            conversation_id: Which conversation Tavus's messages must be about, or None where
                that is not known.
        """
        self._callbacks = callbacks
        self._mute = mute
        self._over = over
        self._ends_with_replica = ends_with_replica
        self._conversation_id = conversation_id
        self._roster = Roster()
        self._inbox = Inbox()
        self._speech_listeners: list[SpeechListener] = []
        self._ready = asyncio.Event()

    @property
    def replica_ready(self) -> bool:
        """Whether the replica is in the room, and can be heard."""
        return self._roster.replica_ready

    @property
    def participants(self) -> Mapping[str, Mapping[str, Any]]:
        """Everybody in the room but the bot, by participant id."""
        return self._roster.participants

    async def wait_for_replica(self) -> None:
        """Wait until the replica is in the room, and can be heard."""
        await self._ready.wait()

    def add_speech_listener(self, listener: SpeechListener) -> None:
        """Tell somebody of speech, before the application is told.

        Args:
            listener: Who is told from now on.
        """
        self._speech_listeners.append(listener)

    async def on_joined(self, data: Mapping[str, Any]) -> None:
        """The bot is in the room, perhaps with others."""
        participants = _mapping(data.get("participants"))
        local = _mapping(participants.get("local"))
        changes = self._roster.bot_is(str(local.get("id", "")))
        # Before anybody is told: a message of theirs may come meanwhile.
        for key, participant in participants.items():
            if key != "local":
                changes += self._roster.joined(participant)
        logger.info("Joined the Tavus conversation's room")
        await self.tell(self._callbacks.on_joined, data)
        await self._apply(changes)

    async def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Somebody joined."""
        await self._apply(self._roster.joined(participant))

    async def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Somebody changed, such as the name, or what the camera sends."""
        await self._apply(self._roster.updated(participant))
        if self._roster.has(participant):
            await self.tell(self._callbacks.on_participant_updated, participant)

    async def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Somebody left."""
        await self._apply(self._roster.left(participant, reason))

    async def on_app_message(self, message: Any, sender: str) -> None:
        """An app message came, of any JSON type, from anybody."""
        part = self._roster.parts.get(sender)
        # A client may say what it likes; only Tavus tells of itself.
        event = parse_event(message) if self._roster.may_be_tavus(sender) else None
        ours = event if event and self._is_ours(event) else None
        news = self._inbox.take(ours) if ours else None
        if news and not news.late:
            self._tell_of_speech(news)
        await self.tell(self._callbacks.on_app_message, message, sender)
        if news:
            await self.tell(self._callbacks.on_event, news)
        elif event is None and part is not Part.REPLICA:
            await self.tell(self._callbacks.on_client_message, message, sender)
        # Whatever its number is: that one is not missed.
        if isinstance(ours, ShutdownEvent):
            await self._end(f"Tavus shut the conversation down: {ours.reason}")

    async def on_room_error(self, message: str) -> None:
        """The room reports trouble that it survives."""
        await self.failed(TavusRoomError(f"The room reports: {message}"))

    async def on_room_closed(self, reason: str) -> None:
        """The room was closed under the bot: the conversation is over."""
        await self._end(f"The conversation's room was closed: {reason}")
        await self.everybody_left(reason)

    async def on_connection(self, *, interrupted: bool) -> None:
        """The room's signalling broke, or is back."""
        if interrupted:
            logger.warning("The room's signalling is interrupted: messages are lost meanwhile")
            await self.tell(self._callbacks.on_connection_interrupted)
        else:
            logger.info("The room's signalling is restored")
            await self.tell(self._callbacks.on_connection_restored)

    async def persona_is(self, name: str) -> None:
        """The persona's name, which its replica may bear, is known."""
        await self._apply(self._roster.persona_is(name))

    async def everybody_left(self, reason: str) -> None:
        """Nobody is seen any more, since the bot is no longer in the room."""
        for listener in self._speech_listeners:
            listener.on_left()
        await self._apply(self._roster.closed(reason))

    async def failed(self, error: TavusError, *, raised: bool = False) -> None:
        """Tell of a failure.

        Args:
            error: What failed.
            raised: Whether it is raised to a caller as well, who reports it.
        """
        await self.tell(self._callbacks.on_error, error, raised)

    async def tell(self, callback: Callable[..., Awaitable[None]] | None, *args: Any) -> None:
        """Call back, and log what the application does wrong."""
        if callback:
            try:
                await callback(*args)
            except Exception:
                logger.exception("a callback of the Tavus client failed")

    def _is_ours(self, event: TavusEvent) -> bool:
        own = self._conversation_id()
        if own is None or event.conversation_id in (None, "", own):
            return True
        logger.debug("Tavus's {:.80} is about another conversation", event.event_type)
        return False

    def _tell_of_speech(self, event: TavusEvent) -> None:
        for listener in self._speech_listeners:
            try:
                if isinstance(event, StartedSpeakingEvent | StoppedSpeakingEvent):
                    listener.on_speaking(event)
                elif isinstance(event, StreamingUtteranceEvent):
                    listener.on_streaming_utterance(event)
            except Exception:
                logger.exception("a listener to the replica's speech failed")

    async def _apply(self, changes: list[Came | Went]) -> None:
        if self._roster.replica_ready:
            self._ready.set()
        else:
            self._ready.clear()
        for change in changes:
            if isinstance(change, Came):
                await self._came(change.participant, change.part)
            else:
                await self._went(change.participant, change.part, change.reason)

    async def _came(self, participant: Mapping[str, Any], part: Part) -> None:
        tell = self._callbacks
        await self.tell(tell.on_participant_joined, participant)
        if part is Part.CLIENT:
            await self.tell(tell.on_client_connected, participant)
        else:
            logger.info("The Tavus replica joined")
            await self.tell(tell.on_replica_joined, participant)
            await self._silence(participant["id"])

    async def _went(self, participant: Mapping[str, Any], part: Part, reason: str) -> None:
        tell = self._callbacks
        await self.tell(tell.on_participant_left, participant, reason)
        if part is Part.CLIENT:
            await self.tell(tell.on_client_disconnected, participant, reason)
        else:
            logger.info("The Tavus replica left: {}", reason)
            # One that comes back may count from the start.
            self._inbox = Inbox()
            await self.tell(tell.on_replica_left, participant, reason)
            if self._ends_with_replica and not self._roster.has_replica:
                await self._end(f"The replica left: {reason}", TavusReplicaLeftError)

    async def _end(
        self, why: str, error: type[TavusRoomClosedError] = TavusRoomClosedError
    ) -> None:
        # What follows from an end, such as the room's closing, is no error of its own.
        if self._over():
            await self.failed(error(why))

    async def _silence(self, replica: str) -> None:
        # Its voice is the bot's own, delayed: nobody wants to receive it here.
        try:
            if self._mute:
                await self._mute(replica)
        except TavusRoomError as e:
            await self.failed(e)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
