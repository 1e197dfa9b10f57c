#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The simulated replica: it speaks in real time what the bot gives it, and tells of it."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from loguru import logger

from pipecat_tavus.sandbox import interactions
from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.announcer import Announcer
from pipecat_tavus.sandbox.conversation import SandboxConversation
from pipecat_tavus.sandbox.echo_voice import EchoVoice, RefusedChunk
from pipecat_tavus.sandbox.face import Face
from pipecat_tavus.sandbox.interactions import RefusedMessage
from pipecat_tavus.sandbox.narrator import Narrator
from pipecat_tavus.sandbox.picture import Picture
from pipecat_tavus.sandbox.replica_settings import ReplicaSettings
from pipecat_tavus.sandbox.room_hub import Room
from pipecat_tavus.sandbox.speech import SpeechEdge, SpeechMeter
from pipecat_tavus.sandbox.tool_calls import ToolCalls
from pipecat_tavus.sandbox.track_voice import TrackVoice
from pipecat_tavus.sandbox.voice import Happening, Sound

TRACK = "stream"
TONES_RATE = 24000
_USER_SILENCE_SECS = 0.3


class Replica:
    """The replica of one conversation: a participant of its room.

    Parameters:
        call_tool: Calls a tool of the bot's, as in
            ``await sandbox.replica(id).call_tool("get_weather", {"city": "Paris"})``; see
            :meth:`~pipecat_tavus.sandbox.tool_calls.ToolCalls.call`.
    """

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
        self._persona = conversation.persona
        self._room = room
        self._settings = settings
        self._on_joined = on_joined
        self._tells = Announcer(
            conversation.id,
            settings,
            next_seq=next_seq,
            clock=time.monotonic,
            unix_clock=time.time,
            send=self._send,
            transcript=conversation.transcript,
        )
        self._narrator = Narrator(self._tells, settings.transcripts, settings.word_secs)
        self._track = TrackVoice(settings.rendering_delay, settings.gap, _new_id)
        self._echo = EchoVoice(settings.rendering_delay)
        self._face = Face(*settings.face_size)
        self._tools = ToolCalls(self.tell)
        self.call_tool = self._tools.call
        self._heard: dict[str, SpeechMeter] = {}
        self._playable_at: float | None = None
        self._wake = asyncio.Event()
        self._sleeps_until = math.inf
        self.id: str | None = None

    @property
    def speaking(self) -> bool:
        """Whether it speaks."""
        return self._track.speaking or self._echo.speaking

    async def run(self) -> None:
        """Join after a while and speak, until cancelled or the room closes."""
        due = self._conversation.created_at + self._settings.join_delay
        wait = None if math.isinf(due) else max(0.0, due - time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
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
        delay = self._settings.playable_delay
        user_id = self._settings.user_id or f"tavus-replica-{self._conversation.replica_id or 'r0'}"
        data = self._room.join(
            self,
            name=self._conversation.persona_name,
            kind="replica",
            user_id=user_id,
            playable=delay <= 0,
            camera=self._has_camera,
        )
        self.id = data["participants"]["local"]["id"]
        self._playable_at = time.monotonic() + delay if delay > 0 else None
        if self._playable_at is None:
            self._show_face()
        self._tells.system("system.replica_joined")
        self._on_joined()
        self._look_again()

    def leave(self) -> None:
        """Leave the room, dropping what is not yet said. Harmless when not in it."""
        if self.id is not None:
            self._drop()
            self._tells.flush()
            id, self.id = self.id, None
            self._playable_at = None
            self._room.leave(id)

    def shutdown(self, reason: str) -> None:
        """Tell everybody that the conversation is over, and leave.

        Args:
            reason: The shutdown reason.
        """
        if self.id is not None:
            self._drop()
            self._tells.system("system.shutdown", {"shutdown_reason": reason})
            self.leave()

    def says(self, *texts: str) -> None:
        """Say what it is held to be saying in its next utterances.

        Args:
            *texts: One for each, behind those that are waiting.
        """
        self._narrator.expect(texts)

    def tell(
        self,
        event_type: str,
        properties: Mapping[str, Any] | None = None,
        *,
        inference_id: str | None = None,
    ) -> None:
        """Tell an event that the sandbox has no reason of its own for, such as a tool call.

        Args:
            event_type: Such as ``conversation.tool_call``.
            properties: What belongs to it, or None where it has none.
            inference_id: Which utterance it belongs to, or None.
        """
        self._tells.other(event_type, properties, inference_id)
        self._look_again()

    def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the replica."""

    def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the replica."""

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Somebody who was speaking no longer is."""
        meter = self._heard.pop(participant["id"], None)
        if meter:
            self._tell_of_user(meter.stop(time.monotonic()))

    def on_app_message(self, message: Any, sender: str) -> None:
        """Obey what is meant for Tavus, if Tavus would."""
        now = time.monotonic()
        try:
            match interactions.read(message, self._conversation.id):
                case None:
                    return
                case interactions.Interrupt():
                    self._interrupt(now)
                case interactions.EchoAudio() as chunk:
                    self._take_echo(chunk, now)
                case interactions.EchoText() as echo:
                    self._take_text(echo, now)
                case interactions.Respond(text=text):
                    self._keep(message)
                    self._tells.utterance("user", text)
                    if self._persona.answers:
                        self._say_text(_new_id(), f"You said: {text}", now)
                case other:
                    spoken = self._tools.take(other)
                    self._keep(message)
                    if spoken and self._persona.answers:
                        self._say_text(_new_id(), spoken, now)
        except (RefusedMessage, RefusedChunk) as e:
            self._conversation.refusals.append(str(e))
            logger.warning(f"The replica does not do as it is told: {e}")
        self._look_again()

    def on_audio(self, sender: str, source: str, pcm: bytes, rate: int) -> None:
        """Take the bot's track, and listen to people."""
        if source == TRACK:
            if self._persona.delivery == "track":
                self._track.push(pcm, rate, time.monotonic())
                self._look_again()
        elif self._room.kind(sender) == "person":
            meter = self._heard.setdefault(sender, SpeechMeter(silence=_USER_SILENCE_SECS))
            self._tell_of_user(meter.push(time.monotonic(), pcm, rate))
            self._look_again()

    def on_closed(self, reason: str) -> None:
        """Stop: there is nobody left to speak to."""
        self.id = None
        self._drop()

    def _take_echo(self, chunk: interactions.EchoAudio, now: float) -> None:
        if self._persona.delivery != "echo":
            raise RefusedMessage(
                f"conversation.echo: {self._persona.name} takes no audio but its track {TRACK}"
            )
        self._echo.push(chunk.inference_id, chunk.pcm, chunk.sample_rate, now, done=chunk.done)

    def _take_text(self, echo: interactions.EchoText, now: float) -> None:
        if self._persona.delivery != "echo" and not self._persona.answers:
            raise RefusedMessage(
                f"conversation.echo: {self._persona.name} speaks nothing but its track {TRACK}"
            )
        self._say_text(echo.inference_id or _new_id(), echo.text, now, done=echo.done)

    def _say_text(self, inference_id: str, text: str, now: float, *, done: bool = True) -> None:
        pcm = pcm16.tones(len(text.split()), self._settings.word_secs, TONES_RATE)
        self._echo.push(inference_id, pcm, TONES_RATE, now, done=done, text=text)
        self._narrator.more(text, inference_id)

    def _keep(self, message: Any) -> None:
        self._conversation.interactions.append(cast(dict[str, Any], message))

    def _next_deadline(self) -> float:
        deadlines = (self._track.due, self._echo.due, self._tells.due, self._playable_at)
        return min((at for at in deadlines if at is not None), default=math.inf)

    def _look_again(self) -> None:
        """Wake up where there is something to do before the time slept until."""
        if self._next_deadline() < self._sleeps_until:
            self._wake.set()

    async def _sleep_until(self, deadline: float) -> None:
        self._wake.clear()
        self._sleeps_until = deadline
        wait = None if math.isinf(deadline) else max(0.0, deadline - time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()

    def _step(self, now: float) -> None:
        """Play what is due and notice what has ended."""
        if self._playable_at is not None and self._playable_at <= now and self.id is not None:
            self._playable_at = None
            self._room.become_playable(self.id)
            self._show_face()
        self._happened(self._track.step(now))
        self._happened(self._echo.step(now))
        self._tells.step(now)

    def _interrupt(self, now: float) -> None:
        self._step(now)  # What has ended just now is not interrupted.
        self._happened([*self._track.interrupt(now), *self._echo.interrupt(now)])

    def _drop(self) -> None:
        self._interrupt(time.monotonic())
        self._heard.clear()
        self._wake.set()

    def _happened(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            self._narrator.tell(happening)
            if isinstance(happening, Sound) and self.id is not None and self._playable_at is None:
                self._room.audio(self.id, "microphone", happening.pcm, happening.rate)
                self._face.say(happening)

    @property
    def _has_camera(self) -> bool:
        return not self._conversation.body.get("audio_only")

    def _show_face(self) -> None:
        if self.id is not None and self._has_camera:
            framerate = self._settings.framerate
            self._room.cameras.show(self.id, "camera", self._draw_face, framerate)

    def _draw_face(self, _: float) -> Picture:
        now = time.monotonic()
        self._step(now)  # What sounds by now goes out before the picture of it.
        return self._face.draw(now)

    def _send(self, event: Mapping[str, Any]) -> None:
        if self.id is not None:
            self._room.send(self.id, event)

    def _tell_of_user(self, edges: list[SpeechEdge]) -> None:
        for edge in edges:
            self._tells.speaking("user", edge.what, _details(edge))


def _details(edge: SpeechEdge) -> dict[str, Any]:
    if edge.what == "started_speaking":
        return {}
    return {"duration": round(edge.duration, 3), "interrupted": edge.interrupted}


def _new_id() -> str:
    return uuid.uuid4().hex
