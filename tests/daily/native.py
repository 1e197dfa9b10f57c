#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A stand-in for the native `daily` module: the border where these tests and benchmarks fake.

`NativeDaily` puts it in place of the names in `pipecat.transports.daily.transport`, so that
Pipecat's real `DailyTransportClient` runs over it. It does what was measured of daily-python
0.36: what is asked for is completed on a thread of its own; a write completes when its audio
has been played; a call that fails completes with an error and tells `on_error` as well;
`release()` waits for a join that is under way.

A `Room` is the script: who comes and goes, what they say, and what goes wrong.
"""

import asyncio
import heapq
import itertools
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy
import soxr
from pipecat.transports.daily import transport as pipecat_daily

Completion = Callable[..., None]

# As the real module calls them.
COLOR_FORMATS = ("RGBA", "RGB", "BGRA", "ABGR", "ARGB", "I420")

# How long after its audio has been played a write completes.
_COMPLETION_LAG = 0.001
_CALL_DELAY = 0.002


class Line:
    """A thread that does what is due, in order of time."""

    def __init__(self, name: str, errors: list[BaseException]):
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._errors = errors
        self._over = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def at(self, when: float, do: Callable[[], None]) -> None:
        with self._wake:
            if not self._over:
                heapq.heappush(self._due, (when, next(self._order), do))
                if self._due[0][2] is do:
                    self._wake.notify()

    def soon(self, do: Callable[[], None], delay: float = 0.0) -> None:
        self.at(time.monotonic() + delay, do)

    def stop(self) -> None:
        with self._wake:
            self._over = True
            self._due.clear()
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._over:
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    if wait is not None and wait <= 0:
                        break
                    self._wake.wait(wait)
                if self._over:
                    return
                do = heapq.heappop(self._due)[2]
            try:
                do()
            except BaseException as e:
                self._errors.append(e)


@dataclass(frozen=True)
class AudioData:
    """What a renderer gets."""

    bits_per_sample: int
    sample_rate: int
    num_channels: int
    num_audio_frames: int
    audio_frames: bytes


@dataclass(frozen=True)
class VideoFrame:
    """What a video renderer gets."""

    buffer: bytes
    width: int
    height: int
    timestamp_us: int
    color_format: str


@dataclass(frozen=True)
class Write:
    """Audio handed over: when, what, and when it will have been played."""

    at: float
    pcm: bytes
    played_at: float


class CustomAudioSource:
    """Audio of the bot's own, at the pace at which it is heard."""

    def __init__(self, sample_rate: int, channels: int, auto_silence: bool = True) -> None:
        self._sample_rate = sample_rate
        self._channels = channels
        self.auto_silence = auto_silence
        self.writes: list[Write] = []
        self._free_at = 0.0
        self._native = _installed()
        self._native.sources.append(self)

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    @property
    def channels(self) -> int:
        return self._channels

    def write_frames(self, frames: bytes, completion: Completion | None = None) -> int:
        native = self._native
        now = time.monotonic()
        count = len(frames) // (2 * self._channels)
        if native.audio_refused:
            if completion:
                native.playout.soon(lambda: completion(0))
            return 0
        if native.audio_hangs:
            return count
        # Measured: what is no multiple of 10 ms is kept, and completes at once.
        paced = count % (self._sample_rate // 100) == 0
        if paced:
            # Measured: it plays in ticks of 10 ms, and who is less late leaves no gap.
            begins = self._free_at if now - self._free_at < 0.01 else now
            self._free_at = begins + count / self._sample_rate
        self.writes.append(Write(now, bytes(frames), self._free_at))
        if completion and paced:
            native.playout.at(self._free_at + _COMPLETION_LAG, lambda: completion(count))
        elif completion:
            completion(count)
        elif paced:
            time.sleep(self._free_at - now)
        return count

    @property
    def pcm(self) -> bytes:
        return b"".join(write.pcm for write in self.writes)

    def lead_at(self, when: float) -> float:
        """Seconds of audio that were handed over and not yet played."""
        last = max((w.played_at for w in self.writes if w.at <= when), default=when)
        return max(0.0, last - when)

    @property
    def played_at(self) -> float:
        """When all that was handed over has been played."""
        return self.writes[-1].played_at if self.writes else 0.0


class CustomAudioTrack:
    """A track that plays a source."""

    def __init__(self, audio_source: CustomAudioSource) -> None:
        self._id = str(uuid.uuid4())
        self.source = audio_source

    @property
    def id(self) -> str:
        return self._id


@dataclass
class Track:
    """A custom track of the bot's, in the room."""

    name: str
    source: CustomAudioSource
    ignore_audio_level: bool | None
    published: bool = False
    removed_at: float | None = None


@dataclass(frozen=True)
class Renderer:
    callback: Callable[[str, AudioData, str], None]
    sample_rate: int
    interval_ms: int


@dataclass(frozen=True)
class VideoRenderer:
    callback: Callable[[str, VideoFrame, str], None]
    color_format: str


class Daily:
    """What of the native module belongs to the process."""

    @staticmethod
    def init(worker_threads: int = 2, log_level: Any = ...) -> None:
        pass

    @staticmethod
    def create_speaker_device(
        device_name: str, sample_rate: int = 16000, channels: int = 1, non_blocking: bool = False
    ) -> object:
        return object()

    @staticmethod
    def select_speaker_device(device_name: str) -> None:
        pass


class CallClient:
    """A call, in the room of its URL."""

    def __init__(self, event_handler: Any = None) -> None:
        self._native = _installed()
        self._handler = event_handler
        self._events = self._native.line("events")
        self._ears = self._native.line("audio")
        self._eyes = self._native.line("video")
        self._room: Room | None = None
        self._joining = False
        self._released = False
        self._in_call = False
        self._joined_at = 0
        self._user_name = ""
        self._id = str(uuid.uuid4())
        self._subscriptions: dict[str, dict[str, Any]] = {}
        self.renderers: dict[tuple[str, str], Renderer] = {}
        self.video_renderers: dict[tuple[str, str], VideoRenderer] = {}
        self._native.clients.append(self)

    # Into and out of the room.

    def join(
        self,
        meeting_url: str,
        meeting_token: str | None = None,
        client_settings: Mapping[str, Any] | None = None,
        completion: Completion | None = None,
    ) -> None:
        self._check()
        room = self._room = self._native.room(meeting_url)
        room.clients.append(self)
        room.token = meeting_token
        room.client_settings = client_settings
        room.bot_name = self._user_name
        room.note("join")
        self._joining = True
        self._event("on_call_state_updated", "joining")
        if room.join_hangs:
            self._events.soon(self._join_gave_up, room.join_hangs)
            return
        self._events.soon(lambda: self._join(room, completion), room.join_delay)

    def _join_gave_up(self) -> None:
        self._joining = False

    def _join(self, room: "Room", completion: Completion | None) -> None:
        # A release that waits for the join waits until all of it has been told: one that
        # came in between would find this very join calling a client that is released.
        try:
            if not self._released:
                self._joined(room, completion)
        finally:
            self._joining = False

    def _joined(self, room: "Room", completion: Completion | None) -> None:
        if room.join_error:
            self._tell("on_error", "Failed to fetch room information")
            self._tell("on_call_state_updated", "leaving")
            self._tell("on_call_state_updated", "left")
            self._complete(completion, None, room.join_error)
            self._tell("on_error", f"Error handling join: {room.join_error}")
            return
        self._in_call = True
        self._joined_at = int(time.time())
        room.note("joined")
        self._tell("on_call_state_updated", "joined")
        meeting = {"callConfig": None, "id": str(uuid.uuid4()), "topology": "sfu"}
        self._complete(
            completion, {"participants": self.participants(), "meetingSession": meeting}, None
        )
        for person in list(room.people.values()):
            self._tell("on_participant_joined", self.view(person))

    def leave(self, completion: Completion | None = None) -> None:
        self._check()
        if self._room:
            self._room.note("leave")

        def left() -> None:
            self._tell("on_call_state_updated", "leaving")
            self._out()
            self._tell("on_call_state_updated", "left")
            self._complete(completion, None)

        if not self._fails("leave", completion):
            self._events.soon(left, self._room.leave_delay if self._room else 0.0)

    def release(self) -> None:
        self._check()
        # Measured: it waits for a join that is under way, up to 18 s without a network.
        while self._joining and not self._native.over:
            time.sleep(0.01)
        self._released = True
        if self._room:
            self._room.note("release")
        self._out()
        self._events.stop()
        self._ears.stop()
        self._eyes.stop()

    def thrown_out(self, why: str) -> None:
        """The bot is out of the room and did not leave it."""

        def out() -> None:
            if why:
                self._tell("on_error", why)
            self._tell("on_call_state_updated", "leaving")
            self._out()
            self._tell("on_call_state_updated", "left")

        self._events.soon(out)

    def _out(self) -> None:
        self._in_call = False
        self.renderers.clear()
        self.video_renderers.clear()

    # Who is there.

    def set_user_name(self, user_name: str) -> None:
        self._check()
        self._user_name = user_name

    def participants(self) -> dict[str, Any]:
        self._check()
        info = {
            "isLocal": True,
            "isOwner": False,
            "joinedAt": self._joined_at or int(time.time()),
            "userName": self._user_name,
        }
        everybody = {"local": {"id": self._id, "info": info, "media": _media("off")}}
        if self._in_call and self._room:
            for person in list(self._room.people.values()):
                everybody[person.id] = self.view(person)
        return everybody

    def participant_counts(self) -> dict[str, int]:
        self._check()
        present = len(self._room.people) + 1 if self._in_call and self._room else 0
        return {"hidden": 0, "present": present}

    def view(self, person: "Person") -> dict[str, Any]:
        """A participant as this client sees it."""
        view = person.participant()
        media = view.get("media")
        if media:
            for name, state in self._subscriptions.get(person.id, {}).items():
                media.setdefault(name, {})["subscribed"] = state
        return view

    # What is received.

    def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
        completion: Completion | None = None,
    ) -> None:
        self._check()
        room = self._room
        if room:
            room.note("update_subscriptions", participant_settings or profile_settings)
        if self._fails("update_subscriptions", completion):
            return

        def done() -> None:
            for participant_id, settings in (participant_settings or {}).items():
                media = settings.get("media", {})
                self._subscriptions.setdefault(participant_id, {}).update(media)
            self._complete(completion, None)

        self._events.soon(done, _CALL_DELAY)

    def update_subscription_profiles(
        self, profile_settings: Mapping[str, Any], completion: Completion | None = None
    ) -> None:
        self._simple("update_subscription_profiles", profile_settings, completion)

    def subscriptions(self) -> dict[str, Any]:
        self._check()
        return {id: {"media": dict(media)} for id, media in self._subscriptions.items()}

    def set_audio_renderer(
        self,
        participant_id: str,
        callback: Callable[[str, AudioData, str], None],
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
        logging_interval_ms: int = 10000,
    ) -> None:
        self._check()
        if self._room:
            self._room.note("set_audio_renderer", (participant_id, audio_source, sample_rate))
        self.renderers[participant_id, audio_source] = Renderer(
            callback, sample_rate, callback_interval_ms
        )

    def set_video_renderer(
        self,
        participant_id: str,
        callback: Callable[..., None],
        video_source: str = "camera",
        color_format: str = "RGBA",
        logging_interval_ms: int = 10000,
    ) -> None:
        self._check()
        if self._room:
            self._room.note("set_video_renderer", (participant_id, video_source, color_format))
        # Measured: an id that is none aborts the process, a format that is none is refused.
        uuid.UUID(participant_id)
        if color_format not in COLOR_FORMATS:
            raise ValueError(f"invalid color format {color_format!r}")
        self.video_renderers[participant_id, video_source] = VideoRenderer(callback, color_format)

    def see(self, person: "Person", picture: bytes, size: tuple[int, int], source: str) -> None:
        """Give a renderer one picture that a person sends."""

        def show() -> None:
            renderer = self.video_renderers.get((person.id, source))
            subscribed = self._subscriptions.get(person.id, {}).get(source) == "subscribed"
            if renderer and subscribed and person.id in person.room.people:
                at = time.monotonic_ns() // 1000
                frame = VideoFrame(picture, *size, at, renderer.color_format)
                renderer.callback(person.id, frame, source)

        self._eyes.soon(show)

    def hear(self, person: "Person", pcm: bytes, sample_rate: int, source: str) -> None:
        """Give a renderer what a person says from now on, in real time."""
        start = time.monotonic()
        resampled: dict[int, bytes] = {sample_rate: pcm}
        seconds = len(pcm) / 2 / sample_rate

        def piece(index: int) -> None:
            renderer = self.renderers.get((person.id, source))
            interval = renderer.interval_ms / 1000 if renderer else 0.02
            subscribed = self._subscriptions.get(person.id, {}).get(source) != "unsubscribed"
            if renderer and subscribed and person.id in person.room.people:
                rate = renderer.sample_rate
                if rate not in resampled:
                    resampled[rate] = _resample(pcm, sample_rate, rate)
                size = round(rate * interval) * 2
                audio = resampled[rate][index * size : (index + 1) * size]
                audio += bytes(size - len(audio))
                data = AudioData(16, rate, 1, size // 2, audio)
                renderer.callback(person.id, data, source)
            if (index + 1) * interval < seconds - 1e-6:
                self._ears.at(start + (index + 2) * interval, lambda: piece(index + 1))

        self._ears.at(start + 0.02, lambda: piece(0))

    # What is sent.

    def add_custom_audio_track(
        self,
        track_name: str,
        audio_track: CustomAudioTrack,
        ignore_audio_level: bool | None = None,
        completion: Completion | None = None,
    ) -> None:
        self._check()
        room = self._room
        if room:
            room.note("add_custom_audio_track", track_name)
        if not self._fails("add_custom_audio_track", completion) and room:
            room.tracks[track_name] = Track(track_name, audio_track.source, ignore_audio_level)
            self._events.soon(lambda: self._complete(completion, None), _CALL_DELAY)

    def remove_custom_audio_track(
        self, track_name: str, completion: Completion | None = None
    ) -> None:
        self._check()
        room = self._room
        if room:
            room.note("remove_custom_audio_track", track_name)
            if track_name in room.tracks:
                room.tracks[track_name].removed_at = time.monotonic()
        self._simple("remove_custom_audio_track", track_name, completion, noted=True)

    def update_publishing(
        self, publishing_settings: Mapping[str, Any], completion: Completion | None = None
    ) -> None:
        for name, published in publishing_settings.get("customAudio", {}).items():
            if self._room and name in self._room.tracks:
                self._room.tracks[name].published = bool(published)
        self._simple("update_publishing", publishing_settings, completion)

    def update_inputs(
        self, input_settings: Mapping[str, Any], completion: Completion | None = None
    ) -> None:
        self._simple("update_inputs", input_settings, completion)

    def send_app_message(
        self,
        message: Any,
        participant_id: str | None = None,
        completion: Completion | None = None,
    ) -> None:
        self._check()
        at = time.monotonic()
        text = json.dumps(message)
        if self._fails("send_app_message", completion):
            return
        room = self._room
        if not self._in_call or not room:
            self._fail("send_app_message", completion, "AppMessage(Signalling(ChannelNotOpen))")
            return
        room.messages.append(AppMessage(at, json.loads(text), participant_id))
        room.note("send_app_message", text)
        self._events.soon(lambda: self._complete(completion, None), _CALL_DELAY)

    # Completions and events.

    def _simple(
        self, name: str, value: Any, completion: Completion | None, noted: bool = False
    ) -> None:
        self._check()
        if self._room and not noted:
            self._room.note(name, value)
        if not self._fails(name, completion):
            self._events.soon(lambda: self._complete(completion, None), _CALL_DELAY)

    def _fails(self, name: str, completion: Completion | None) -> bool:
        room = self._room
        if room and name in room.hangs:
            return True
        if room and name in room.refusals:
            self._fail(name, completion, room.refusals[name])
            return True
        return False

    def _fail(self, name: str, completion: Completion | None, error: str) -> None:
        called = re.sub(r"_(.)", lambda match: match[1].upper(), name)

        def fail() -> None:
            self._complete(completion, error)
            self._tell("on_error", f"Error handling {called}: {error}")

        self._events.soon(fail, _CALL_DELAY)

    def _complete(self, completion: Completion | None, *args: Any) -> None:
        if completion:
            completion(*args)

    def _event(self, name: str, *args: Any) -> None:
        self._events.soon(lambda: self._tell(name, *args))

    def _tell(self, name: str, *args: Any) -> None:
        if self._handler is not None and not self._released:
            getattr(self._handler, name)(*args)

    def _check(self) -> None:
        if self._released:
            raise RuntimeError("this object has already been released")

    @property
    def in_call(self) -> bool:
        return self._in_call

    def tell(self, name: str, *args: Any) -> None:
        """An event, if the client is in the room."""
        if self._in_call:
            self._event(name, *args)


REPLACED = (CallClient, CustomAudioSource, CustomAudioTrack, Daily)
"""What stands in, by the names that Pipecat imports."""


@dataclass(frozen=True)
class AppMessage:
    at: float
    message: Any
    to: str | None


@dataclass(frozen=True)
class Note:
    at: float
    what: str
    value: Any


class Person:
    """A participant that is no bot of ours: a user, or the replica."""

    def __init__(self, room: "Room", info: Mapping[str, Any], **data: Any):
        self.room = room
        self.id = str(uuid.uuid4())
        self._info = dict(info)
        self._data = data
        self._states: dict[str, str] = {}

    def participant(self) -> dict[str, Any]:
        """As Daily gives it."""
        media = _media("playable")
        for source, state in self._states.items():
            media[source]["state"] = state
        return {"id": self.id, "info": dict(self._info), "media": media, **self._data}

    def leave(self, reason: str = "leftCall") -> None:
        del self.room.people[self.id]
        for client in self.room.clients:
            client.tell("on_participant_left", client.view(self), reason)

    def update(self, **info: Any) -> None:
        self._info.update(info)
        self._tell_update()

    def turn(self, source: str, state: str) -> None:
        """Change the state of a track, such as the `camera` to `off`."""
        self._states[source] = state
        self._tell_update()

    def show(
        self, picture: bytes = bytes(12), size: tuple[int, int] = (2, 2), source: str = "camera"
    ) -> None:
        """Send one picture."""
        for client in self.room.clients:
            if client.in_call:
                client.see(self, picture, size, source)

    def _tell_update(self) -> None:
        for client in self.room.clients:
            client.tell("on_participant_updated", client.view(self))

    def send(self, message: Any) -> None:
        for client in self.room.clients:
            client.tell("on_app_message", message, self.id)

    def start_saying(self, pcm: bytes, sample_rate: int, source: str = "microphone") -> float:
        """Say PCM16 mono in real time; returns how many seconds it takes."""
        for client in self.room.clients:
            if client.in_call:
                client.hear(self, pcm, sample_rate, source)
        return len(pcm) / 2 / sample_rate

    async def say(self, pcm: bytes, sample_rate: int = 16000) -> None:
        await asyncio.sleep(self.start_saying(pcm, sample_rate) + 0.1)


@dataclass
class Room:
    """One room: the script of what happens in it, and the record of what the bot did.

    Parameters:
        join_hangs: Seconds that a join takes to give up without ever being completed, or 0.
        refusals: Errors that calls complete with, by the method's name.
        hangs: Names of methods whose calls are never completed.
    """

    url: str
    join_delay: float = 0.03
    join_error: str = ""
    join_hangs: float = 0.0
    leave_delay: float = 0.01
    refusals: dict[str, str] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    clients: list[CallClient] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    messages: list[AppMessage] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    bot_name: str = ""
    token: str | None = None
    client_settings: Mapping[str, Any] | None = None

    def note(self, what: str, value: Any = None) -> None:
        self.notes.append(Note(time.monotonic(), what, value))

    def noted(self, what: str) -> list[Note]:
        return [note for note in self.notes if note.what == what]

    @property
    def stream(self) -> CustomAudioSource:
        """What the bot wrote on the track named `stream`."""
        return self.tracks["stream"].source

    def enter(self, user_name: str = "User", user_id: str | None = None, **data: Any) -> Person:
        """Somebody joins."""
        info: dict[str, Any] = {"isLocal": False, "isOwner": False, "userName": user_name}
        info["joinedAt"] = int(time.time())
        if user_id:
            info["userId"] = user_id
        person = Person(self, data.pop("info", info), **data)
        self.people[person.id] = person
        for client in self.clients:
            client.tell("on_participant_joined", client.view(person))
        return person

    def enter_replica(self, user_name: str = "Charlie") -> Person:
        return self.enter(user_name, "tavus-replica-r79e1c033f")

    def throw_out(self, why: str) -> None:
        """The bot is ejected, or the room deleted under it."""
        for client in self.clients:
            if client.in_call:
                client.thrown_out(why)

    def close_silently(self) -> None:
        """The call ends, and nobody says why."""
        self.throw_out("")

    def network(self, event: str, connection: str = "signalling") -> None:
        for client in self.clients:
            status = {"connection": connection, "event": event}
            client.tell("on_network_connection_status_updated", status)

    def heard_by(self, person: Person) -> Iterator[Renderer]:
        """Renderers that the bot has on a person."""
        for client in self.clients:
            for (participant_id, _), renderer in client.renderers.items():
                if participant_id == person.id:
                    yield renderer

    def subscription(self, person: Person) -> Any:
        """What the bot receives of a person, by medium."""
        return self.clients[-1].subscriptions().get(person.id, {}).get("media", {})


class NativeDaily:
    """The stand-in, in place while the context lasts."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.clients: list[CallClient] = []
        self.sources: list[CustomAudioSource] = []
        self.errors: list[BaseException] = []
        self.audio_refused = False
        self.audio_hangs = False
        self.over = False
        self._lines: list[Line] = []
        self._real: dict[str, Any] = {}
        self.playout = self.line("playout")

    def room(self, url: str) -> Room:
        """The room of a URL, there before anybody joins it."""
        return self.rooms.setdefault(url, Room(url))

    def line(self, name: str) -> Line:
        line = Line(f"daily-{name}", self.errors)
        self._lines.append(line)
        return line

    def __enter__(self) -> "NativeDaily":
        global _current
        assert _current is None, "one stand-in at a time"
        _current = self
        for stand_in in REPLACED:
            self._real[stand_in.__name__] = getattr(pipecat_daily, stand_in.__name__)
            setattr(pipecat_daily, stand_in.__name__, stand_in)
        # Pipecat initializes Daily once for each process, which must not be this one.
        client = pipecat_daily.DailyTransportClient
        self._initialized = client._daily_initialized
        return self

    def __exit__(self, *_: object) -> None:
        global _current
        _current = None
        self.over = True
        for name, real in self._real.items():
            setattr(pipecat_daily, name, real)
        pipecat_daily.DailyTransportClient._daily_initialized = self._initialized
        for line in self._lines:
            line.stop()


_current: NativeDaily | None = None


def _installed() -> NativeDaily:
    assert _current is not None, "no NativeDaily is in place"
    return _current


def _media(state: str) -> dict[str, Any]:
    kinds = ("camera", "microphone", "screenAudio", "screenVideo")
    media: dict[str, Any] = {
        kind: {"state": state, "subscribed": "unsubscribed" if state == "off" else "subscribed"}
        for kind in kinds
    }
    return {**media, "customAudio": {}, "customVideo": {}}


def _resample(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    samples = numpy.frombuffer(pcm, dtype=numpy.int16)
    return soxr.resample(samples, from_rate, to_rate).astype(numpy.int16).tobytes()
