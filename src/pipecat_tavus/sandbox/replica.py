#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The simulated replica: it speaks in real time what the bot's track ``stream`` gives it."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loguru import logger

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.playout import PlayoutBuffer
from pipecat_tavus.sandbox.room_hub import Room
from pipecat_tavus.sandbox.speech import SpeechEdge, SpeechMeter

TRACK = "stream"


@dataclass(frozen=True)
class ReplicaSettings:
    """How the simulated replica behaves.

    Parameters:
        join_delay: Seconds from the conversation's creation to its joining.
        rendering_delay: Seconds between the bot's audio and its own.
        user_id: Its user id in the room; by default one that holds ``tavus-replica``, by
            which it is recognised.
        gap: Seconds without audio that end an utterance.
    """

    join_delay: float = 0.3
    rendering_delay: float = 0.2
    user_id: str | None = None
    gap: float = 0.3


class Replica:
    """The replica of one conversation: a participant of its room."""

    def __init__(
        self,
        conversation: SandboxConversation,
        room: Room,
        settings: ReplicaSettings,
        *,
        next_seq: Callable[[], int],
        on_joined: Callable[[], None] = lambda: None,
    ):
        """Initialize a replica that has not joined.

        Args:
            conversation: The conversation that it belongs to.
            room: Its room.
            settings: How it behaves.
            next_seq: Gives the number of its next event.
            on_joined: Called when it has joined.
        """
        self._conversation = conversation
        self._room = room
        self._settings = settings
        self._next_seq = next_seq
        self._on_joined = on_joined
        self._buffer = PlayoutBuffer(settings.rendering_delay)
        self._speech = SpeechMeter(gap=settings.gap)
        self._inference_id = ""
        self._heard: dict[str, SpeechMeter] = {}
        self._wake = asyncio.Event()
        self.id: str | None = None

    @property
    def speaking(self) -> bool:
        """Whether it speaks."""
        return self._speech.speaking

    async def run(self) -> None:
        """Join after a while and speak, until cancelled or the room closes."""
        due = self._conversation.created_at + self._settings.join_delay
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._room.closed()
        if not self._room.is_closed:
            self.join()
        while not self._room.is_closed:
            await self._sleep_until(self._next_deadline())
            self._step(time.monotonic())

    def join(self) -> None:
        """Join the room. Harmless when in it.

        Raises:
            TavusRoomJoinError: The room has closed.
        """
        if self.id is not None:
            return
        user_id = self._settings.user_id or f"tavus-replica-{self._conversation.replica_id or 'r0'}"
        data = self._room.join(
            self, name=self._conversation.persona_name, kind="replica", user_id=user_id
        )
        self.id = data["participants"]["local"]["id"]
        self._say("system.replica_joined", message_type="system")
        self._on_joined()

    def leave(self) -> None:
        """Leave the room, dropping what is not yet said. Harmless when not in it."""
        if self.id is not None:
            self._drop()
            id, self.id = self.id, None
            self._room.leave(id)

    def shutdown(self, reason: str) -> None:
        """Tell everybody that the conversation is over, and leave.

        Args:
            reason: The shutdown reason.
        """
        self._drop()
        self._say("system.shutdown", {"shutdown_reason": reason}, message_type="system")
        self.leave()

    def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the replica."""

    def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the replica."""

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Somebody who was speaking no longer is."""
        meter = self._heard.pop(participant["id"], None)
        if meter:
            self._tell_of("user", meter.stop(time.monotonic()))

    def on_app_message(self, message: Any, sender: str) -> None:
        """Obey an interruption that is meant for this conversation."""
        if not isinstance(message, Mapping):
            return
        told: Mapping[str, Any] = message  # pyright: ignore[reportUnknownVariableType]
        if told.get("event_type") != "conversation.interrupt":
            return
        if told.get("conversation_id") in (None, self._conversation.id):
            self._interrupt()
        else:
            logger.warning("The replica ignores an interruption of another conversation")

    def on_audio(self, sender: str, source: str, pcm: bytes, rate: int) -> None:
        """Take the bot's track, and listen to people."""
        if source == TRACK:
            was_empty = self._buffer.due is None
            self._buffer.push(pcm, rate, time.monotonic())
            if was_empty:
                self._wake.set()
        elif self._room.kind(sender) == "person":
            meter = self._heard.setdefault(sender, SpeechMeter(silence=self._settings.gap))
            self._tell_of("user", meter.push(time.monotonic(), pcm, rate))

    def on_closed(self, reason: str) -> None:
        """Stop: there is nobody left to speak to."""
        self.id = None
        self._drop()

    def _next_deadline(self) -> float | None:
        deadlines = (self._buffer.due, self._speech.deadline)
        return min((at for at in deadlines if at is not None), default=None)

    async def _sleep_until(self, deadline: float | None) -> None:
        """Sleep until a time, or until there is something new where there is none."""
        self._wake.clear()
        if deadline is not None and self._buffer.due is not None:
            # Playing: an absolute schedule that nothing needs to wake up early from.
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            return
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _step(self, now: float) -> None:
        """Play what is due and notice what has ended."""
        due = self._buffer.due
        while due is not None and due <= now:
            rate = self._buffer.rate
            pcm = self._buffer.pull(pcm16.frame_bytes(rate))
            self._tell_of("replica", self._speech.push(due, pcm, rate))
            if self.id is not None:
                self._room.audio(self.id, "microphone", pcm, rate)
            due = self._buffer.due
        self._tell_of("replica", self._speech.poll(now))

    def _interrupt(self) -> None:
        self._buffer.clear()
        self._tell_of("replica", self._speech.stop(time.monotonic()))

    def _drop(self) -> None:
        self._interrupt()
        self._heard.clear()
        self._wake.set()

    def _tell_of(self, role: str, edges: list[SpeechEdge]) -> None:
        for edge in edges:
            properties: dict[str, Any] | None = None
            if edge.what == "stopped_speaking":
                properties = {"duration": round(edge.duration, 3), "interrupted": edge.interrupted}
            elif role == "replica":
                self._inference_id = uuid.uuid4().hex
            self._say(f"conversation.{role}.{edge.what}", properties, role=role)

    def _say(
        self,
        event_type: str,
        properties: Mapping[str, Any] | None = None,
        *,
        message_type: str = "conversation",
        role: str = "",
    ) -> None:
        if self.id is None:
            return
        event: dict[str, Any] = {
            "message_type": message_type,
            "event_type": event_type,
            "conversation_id": self._conversation.id,
            "seq": self._next_seq(),
            "timestamp": time.time(),
        }
        if role == "replica":
            event["inference_id"] = self._inference_id
        if properties is not None:
            event["properties"] = dict(properties)
        self._room.send(self.id, event)
