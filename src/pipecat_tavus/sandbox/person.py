#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A scripted human: speaks recordings into the room, listens to the replica, takes notes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipecat_tavus.errors import TavusRoomClosedError
from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.mouth import DEFAULT_MICROPHONE_RATE, Mouth
from pipecat_tavus.sandbox.picture import Scene, check_scene
from pipecat_tavus.sandbox.recording import Timeline
from pipecat_tavus.sandbox.room_hub import Room
from pipecat_tavus.sandbox.speech import Edge, SpeechEdge, SpeechMeter

DEFAULT_EAR_RATE = 24000


@dataclass(frozen=True)
class Note:
    """Something that the person noticed.

    Parameters:
        at: When, in seconds since the person joined. The end of an utterance is noted a
            moment later than it is, so notes are in the order of their noticing.
        who: ``user`` for the person itself, or ``replica``.
        what: ``started_speaking`` or ``stopped_speaking``.
        text: What was said, as far as the person knows: the name of the recording.
    """

    at: float
    who: str
    what: Edge
    text: str = ""


class HeardMessage(NamedTuple):
    """An app message that arrived at the person.

    Parameters:
        at: When, in seconds since the person joined.
        sender: The participant who sent it.
        message: Any JSON value.
    """

    at: float
    sender: str
    message: Any


class SandboxPerson:
    """A participant who plays a human. ``TavusSandbox.join_person()`` makes one.

    Like a real microphone the person's sends all the time, silence between the recordings.
    What its camera shows is drawn only while somebody watches.

    Parameters:
        id: Its participant id.
        name: Its name.
        notes: Who spoke when.
        app_messages: The app messages that arrived.
        ear_sample_rate: Sample rate of what was heard last, in Hz.
        on_note: Called with each note, or None.
    """

    def __init__(self, room: Room, name: str = "User", camera: Scene | None = None):
        """Initialize the person, which takes its seat in the room.

        Args:
            room: The room.
            name: Its name.
            camera: What its camera shows from the first, or None while it is off.

        Raises:
            TavusRoomJoinError: The room has closed or is full.
            ValueError: The camera cannot show that.
        """
        self.name = name
        self.notes: list[Note] = []
        self.app_messages: list[HeardMessage] = []
        self.ear_sample_rate = DEFAULT_EAR_RATE
        self.on_note: Callable[[Note], None] | None = None
        self._room = room
        self._ear = SpeechMeter(keep=True)
        self._ticked = asyncio.Event()
        self._in_room = True
        self._joined_at = time.monotonic()
        self._left_at: float | None = None
        self._mouth = Mouth(self._joined_at, partial(self._note, "user"))
        self._ear_record = Timeline(self._joined_at)
        if camera is not None:
            check_scene(camera)
        data = room.join(self, name=name, kind="person", camera=camera is not None)
        self.id: str = data["participants"]["local"]["id"]
        if camera is not None:
            self.show_camera(camera)

    @property
    def replica_is_speaking(self) -> bool:
        """Whether the person hears the replica speak."""
        return self._ear.speaking

    async def run(self) -> None:
        """Be the microphone, until cancelled or out of the room."""
        at = time.monotonic()
        while self._in_room:
            pcm, rate = self._mouth.next_frame(at)
            self._room.audio(self.id, "microphone", pcm, rate)
            at += pcm16.secs(pcm, rate)
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            self._mouth.end_frame(at)
            self._note_replica(self._ear.poll(time.monotonic()))
            self._tick()

    async def say(self, what: str | Path | bytes, sample_rate: int | None = None) -> None:
        """Say a recording in real time, after those that are being said.

        Args:
            what: The path of a WAV file of 16 bit samples, or mono PCM16.
            sample_rate: Of PCM16, in Hz.

        Raises:
            TavusRoomClosedError: The person is out of the room before all is said.
            ValueError: It cannot be said.
        """
        if isinstance(what, bytes):
            if sample_rate is None:
                raise ValueError("PCM16 needs a sample_rate")
            pcm, rate, text = what, sample_rate, ""
        else:
            path = Path(what)
            pcm, rate = pcm16.read_wav(await asyncio.to_thread(path.read_bytes))
            text = path.stem.replace("_", " ")
        self._check_in_room()
        if pcm:
            await self._mouth.say(pcm, rate, text)

    def show_camera(self, scene: Scene, framerate: float = 15) -> None:
        """Switch the camera on, or let it show something else.

        Args:
            scene: One picture, or what draws the next one, given the seconds since this call.
                Where that fails it is logged, and the camera goes off.
            framerate: Pictures per second.

        Raises:
            TavusRoomClosedError: The person is not in the room.
            ValueError: That cannot be shown.
        """
        self._check_in_room()
        self._room.cameras.show(self.id, "camera", scene, framerate)

    def hide_camera(self) -> None:
        """Switch the camera off. Harmless when it is."""
        self._room.cameras.hide(self.id, "camera")

    def share_screen(self, scene: Scene, framerate: float = 5) -> None:
        """Share a screen, or another instead of it.

        Args:
            scene: As for :meth:`show_camera`.
            framerate: Pictures per second.

        Raises:
            TavusRoomClosedError: The person is not in the room.
            ValueError: That cannot be shown.
        """
        self._check_in_room()
        self._room.cameras.show(self.id, "screenVideo", scene, framerate)

    def stop_sharing(self) -> None:
        """Share no screen. Harmless when none is shared."""
        self._room.cameras.hide(self.id, "screenVideo")

    async def send_message(self, message: Any, to: str | None = None) -> None:
        """Send an app message.

        Args:
            message: Any JSON value.
            to: To which participant, or None for everybody.

        Raises:
            TavusRoomClosedError: The person is not in the room.
            TavusRoomSendError: There is no such participant.
        """
        self._check_in_room()
        self._room.send(self.id, message, to)

    async def leave(self) -> None:
        """Leave the room. Harmless when not in it."""
        if self._in_room:
            self._out()
            self._room.leave(self.id)

    def heard_pcm(self) -> bytes:
        """Every sample that the replica said, bit for bit: its utterances after each other.

        All-zero samples at an utterance's edges are no part of it.
        """
        return self._ear.speech()

    def recording(self) -> tuple[bytes, bytes, tuple[int, int]]:
        """Both sides of the call from the person's joining until now, or until it left.

        Returns:
            What the person said and what it heard of the replica, each as mono PCM16 with
            silence filled in, and their sample rates in Hz.
        """
        until = self._left_at or time.monotonic()
        user, user_rate = self._mouth.record.render(until, DEFAULT_MICROPHONE_RATE)
        replica, replica_rate = self._ear_record.render(until, DEFAULT_EAR_RATE)
        return user, replica, (user_rate, replica_rate)

    async def wait_until_replica_speaks(self, timeout: float = 10.0) -> None:
        """Wait until the replica speaks; returns at once while it does.

        Args:
            timeout: Limit in seconds.

        Raises:
            TimeoutError: It was silent for that long.
            TavusRoomClosedError: The person is out of the room.
        """
        await self._wait_for(lambda: self._ear.speaking, timeout)

    async def wait_until_replica_is_silent(
        self, secs_of_silence: float = 1.0, timeout: float = 30.0
    ) -> None:
        """Wait until the replica has said nothing for a while.

        Args:
            secs_of_silence: How long, counted from its last sound, be that before this call.
            timeout: Limit in seconds.

        Raises:
            TimeoutError: It spoke on for that long.
            TavusRoomClosedError: The person is out of the room.
        """
        since = self._joined_at

        def is_silent() -> bool:
            last = self._ear.sound_until or since
            return time.monotonic() - last >= secs_of_silence

        await self._wait_for(is_silent, timeout)

    async def wait_for_message(
        self, matches: Callable[[Any], bool], timeout: float = 10.0
    ) -> HeardMessage:
        """Wait for an app message; one that has arrived already counts.

        Args:
            matches: Whether a message is the one.
            timeout: Limit in seconds.

        Returns:
            The first that is.

        Raises:
            TimeoutError: None came.
            TavusRoomClosedError: The person is out of the room.
        """

        def first() -> HeardMessage | None:
            return next((m for m in self.app_messages if matches(m.message)), None)

        await self._wait_for(lambda: first() is not None, timeout)
        return next(m for m in self.app_messages if matches(m.message))

    def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the person."""

    def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Nothing follows for the person."""

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Nothing follows for the person."""

    def on_app_message(self, message: Any, sender: str) -> None:
        """Keep it."""
        self.app_messages.append(HeardMessage(self._since_join(time.monotonic()), sender, message))

    def on_audio(self, sender: str, source: str, pcm: bytes, rate: int) -> None:
        """Listen to the replica."""
        if source != "microphone" or self._room.kind(sender) != "replica":
            return
        now = time.monotonic()
        self.ear_sample_rate = rate
        self._ear_record.add(now, pcm, rate)
        self._note_replica(self._ear.push(now, pcm, rate))

    def on_closed(self, reason: str) -> None:
        """The call is over."""
        self._out()

    def _note_replica(self, edges: list[SpeechEdge]) -> None:
        for edge in edges:
            self._note("replica", edge.what, edge.at)

    def _note(self, who: str, what: Edge, at: float, text: str = "") -> None:
        note = Note(self._since_join(at), who, what, text)
        self.notes.append(note)
        if self.on_note:
            self.on_note(note)

    def _since_join(self, at: float) -> float:
        return at - self._joined_at

    def _check_in_room(self) -> None:
        if not self._in_room:
            raise TavusRoomClosedError(f"{self.name} is not in the room")

    def _out(self) -> None:
        self._in_room = False
        self._left_at = time.monotonic()
        self._note_replica(self._ear.stop(self._left_at))
        self._tick()
        self._mouth.shut(TavusRoomClosedError(f"{self.name} left the room while speaking"))

    def _tick(self) -> None:
        """Let whoever waits look again."""
        self._ticked.set()
        self._ticked = asyncio.Event()

    async def _wait_for(self, condition: Callable[[], bool], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                self._check_in_room()
                await self._ticked.wait()
