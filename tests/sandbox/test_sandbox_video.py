#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Cameras and screens: of scripted people, and of the replica, and who sees them."""

import asyncio
import struct
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from bots import until
from sandbox.bot_kit import RATE, call, joined, noise, sandbox_and_api, send_utterance

from pipecat_tavus.errors import TavusRoomClosedError, TavusRoomError
from pipecat_tavus.sandbox import Picture, ReplicaSettings, mouth_of, wire
from pipecat_tavus.sandbox.face import Face
from pipecat_tavus.sandbox.voice import Sound

pytestmark = pytest.mark.in_real_time

NOBODY = ReplicaSettings(join_delay=float("inf"))
RED, GREEN, BLUE = (Picture.plain(c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


class Eyes:
    """Keeps what a bot sees, and when."""

    def __init__(self, pause: float = 0.0):
        self.seen: list[tuple[float, Picture]] = []
        self.pause = pause

    async def __call__(self, participant_id, frame, source):
        assert frame.color_format == "RGB"
        self.who = participant_id, source
        self.seen.append((time.monotonic(), Picture(frame.buffer, frame.width, frame.height)))
        await asyncio.sleep(self.pause)

    def last(self) -> Picture | None:
        return self.seen[-1][1] if self.seen else None


@asynccontextmanager
async def room():
    """A sandbox, a bot, and a person that the bot sees come."""
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            yield sandbox, bot, await sandbox.join_person(made["conversation_id"])


def states(bot, participant_id, source="camera"):
    """The states of a source, as the bot was told of it."""
    return [
        data["media"][source]["state"]
        for what, data in bot.listener.told
        if what in ("participant_joined", "participant_updated") and data["id"] == participant_id
    ]


async def test_a_camera_reaches_who_captures_it_pixel_by_pixel_at_its_own_rate():
    def draw(secs):
        return Picture(bytes([min(255, int(secs * 100)), 7, 9]) * 6, 3, 2)

    async with room() as (_, bot, person):
        eyes = Eyes()
        await bot.room.capture_participant_video(person.id, eyes, framerate=1)
        person.show_camera(draw, framerate=20)
        await until(lambda: len(eyes.seen) >= 21)
        assert eyes.who == (person.id, "camera")
        assert all(p == Picture(bytes([p.pixels[0], 7, 9]) * 6, 3, 2) for _, p in eyes.seen)
        drawn = [p.pixels[0] for _, p in eyes.seen]
        assert drawn[0] < 10 and drawn == sorted(drawn) and len(set(drawn)) > 15
        secs = eyes.seen[20][0] - eyes.seen[0][0]
        assert 0.9 <= secs <= 1.6


async def test_a_picture_of_the_largest_size_arrives():
    async with room() as (_, bot, person):
        eyes = Eyes()
        person.show_camera(Picture.plain((1, 2, 3), 1280, 720))
        await bot.room.capture_participant_video(person.id, eyes)
        await until(eyes.last)
        assert eyes.last() == Picture(bytes((1, 2, 3)) * (1280 * 720), 1280, 720)


async def test_camera_and_screen_go_on_and_off_and_the_bot_is_told():
    async with room() as (sandbox, bot, person):
        screen = Eyes()
        await bot.room.capture_participant_video(person.id, screen, video_source="screenVideo")
        person.show_camera(RED)
        person.show_camera(GREEN)
        person.share_screen(BLUE, framerate=20)
        await until(screen.last)
        assert screen.last() == BLUE
        person.hide_camera()
        person.stop_sharing()
        await until(lambda: len(states(bot, person.id)) == 5)
        assert states(bot, person.id) == ["off", "playable", "playable", "off", "off"]
        assert states(bot, person.id, "screenVideo") == [
            "off",
            "off",
            "playable",
            "playable",
            "off",
        ]
        shown = await sandbox.join_person(next(iter(sandbox.conversations)), camera=RED)
        await until(lambda: states(bot, shown.id))
        assert states(bot, shown.id) == ["playable"]


async def test_what_is_not_subscribed_or_hidden_is_neither_seen_nor_drawn():
    drawn: list[float] = []

    def draw(secs):
        drawn.append(secs)
        return RED

    async with room() as (_, bot, person):
        person.show_camera(draw, framerate=50)
        await asyncio.sleep(0.2)
        assert not drawn
        eyes = Eyes()
        await bot.room.capture_participant_video(person.id, eyes)
        await until(lambda: len(eyes.seen) > 3)
        subscription = {person.id: {"media": {"camera": "unsubscribed"}}}
        await bot.room.update_subscriptions(subscription)
        await asyncio.sleep(0.1)
        seen = len(eyes.seen), len(drawn)
        await asyncio.sleep(0.2)
        assert (len(eyes.seen), len(drawn)) == seen
        subscription[person.id]["media"]["camera"] = "subscribed"
        await bot.room.update_subscriptions(subscription)
        await until(lambda: len(eyes.seen) > seen[0] + 3)
        person.hide_camera()
        await asyncio.sleep(0.1)
        seen = len(eyes.seen), len(drawn)
        await asyncio.sleep(0.2)
        assert (len(eyes.seen), len(drawn)) == seen
        person.show_camera(GREEN)
        await until(lambda: eyes.last() == GREEN)


async def test_for_a_bot_that_has_left_nothing_is_drawn():
    drawn: list[float] = []

    def draw(secs):
        drawn.append(secs)
        return RED

    async with room() as (sandbox, bot, person):
        person.show_camera(draw, framerate=50)
        for _ in range(2):
            await bot.room.capture_participant_video(person.id, Eyes())
            seen = len(drawn)
            await until(lambda seen=seen: len(drawn) > seen + 3)
            await bot.room.leave()
            await asyncio.sleep(0.1)
            seen = len(drawn)
            await asyncio.sleep(0.2)
            assert len(drawn) == seen
            await bot.room.join()
        await bot.room.capture_participant_video(person.id, Eyes())
        sandbox.close_room(next(iter(sandbox.conversations)))
        person.hide_camera()
        await asyncio.sleep(0.1)
        seen = len(drawn)
        await asyncio.sleep(0.2)
        assert len(drawn) == seen


async def test_what_cannot_be_seen_is_refused_with_the_reason():
    async with room() as (_, bot, person):
        for who, options, words in (
            ("nobody", {}, "no participant nobody"),
            (person.id, {"video_source": "mirror"}, "camera, screenVideo, not 'mirror'"),
            (person.id, {"color_format": "RGBA"}, "RGB here, not 'RGBA'"),
        ):
            with pytest.raises(TavusRoomError, match=words):
                await bot.room.capture_participant_video(who, Eyes(), **options)


async def test_what_cannot_be_shown_is_refused():
    async with room() as (sandbox, bot, person):
        for wrong in (Picture(b"12", 1, 1), Picture.plain((0, 0, 0), 1281, 1), "red"):
            with pytest.raises(ValueError, match=r"picture|Picture"):
                person.show_camera(wrong)
            with pytest.raises(ValueError, match=r"picture|Picture"):
                await sandbox.join_person(next(iter(sandbox.conversations)), camera=wrong)
        with pytest.raises(ValueError, match="framerate"):
            person.show_camera(RED, framerate=0)
        await person.leave()
        with pytest.raises(TavusRoomClosedError):
            person.show_camera(RED)
        person.hide_camera()
        await until(lambda: "participant_left" in bot.listener.whats())
        assert bot.listener.whats() == ["joined", "participant_joined", "participant_left"]


async def test_a_camera_that_cannot_be_drawn_goes_off():
    async with room() as (_, bot, person):
        await bot.room.capture_participant_video(person.id, Eyes())
        person.show_camera(lambda secs: Picture(b"", 1, 1))
        await until(lambda: states(bot, person.id) == ["off", "playable", "off"])


async def test_a_bot_that_is_slow_to_look_sees_the_newest_picture_and_none_piles_up():
    async with room() as (_, bot, person):
        eyes = Eyes(pause=0.5)
        await bot.room.capture_participant_video(person.id, eyes)
        begun = time.monotonic()

        def draw(secs):
            return Picture.plain((int((time.monotonic() - begun) * 50), 0, 0))

        person.show_camera(draw, framerate=50)
        await until(lambda: len(eyes.seen) == 3)
        for at, picture in eyes.seen:
            assert at - begun - picture.pixels[0] / 50 < 0.3


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (32, 24)])
def test_the_mouth_is_as_open_as_the_sound_of_that_instant_is_loud(size):
    face = Face(*size)
    assert mouth_of(face.draw(0.0)) == 0.0

    def mouth(amplitude, at=1.01):
        face.say(Sound(1.0, struct.pack("<h", amplitude) * 480, 24000))
        picture = face.draw(at)
        picture.check()
        return mouth_of(picture)

    opened = [mouth(amplitude) for amplitude in (0, 50, 300, 2000, 32767)]
    assert (opened[0], opened[1], opened[-1]) == (0.0, 0.0, 1.0)
    assert opened == sorted(opened) and 0.2 < opened[2] < 0.5 < opened[3] < 1.0
    assert (mouth(32767, 0.99), mouth(32767, 1.0), mouth(32767, 1.021)) == (0.0, 1.0, 0.0)


def test_a_face_that_could_not_be_shown_is_refused():
    for wrong in ({"face_size": (1281, 720)}, {"face_size": (32, 23)}, {"framerate": 0}):
        with pytest.raises(ValueError, match=r"face|framerate"):
            ReplicaSettings(**wrong)


class _Pixels(bytes):
    """Pixels that are counted while they are kept."""

    alive = 0

    def __init__(self, *args):
        _Pixels.alive += 1

    def __del__(self):
        _Pixels.alive -= 1


async def test_for_a_bot_that_reads_nothing_no_pictures_are_kept():
    drawn = []

    def draw(secs):
        drawn.append(secs)
        return Picture(_Pixels(1280 * 720 * 3), 1280, 720)

    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        async with api.session.ws_connect(made["conversation_url"]) as ws:
            await ws.send_str(wire.encode("join", version=wire.VERSION, name="Bot", token=None))
            await ws.receive()
            watch = {"track": 1, "participant": person.id, "source": "camera", "format": "RGB"}
            await ws.send_str(wire.encode("watch", id=1, **watch))
            media = {person.id: {"media": {"camera": "subscribed"}}}
            await ws.send_str(wire.encode("subscribe", id=2, participants=media, profiles=None))
            person.show_camera(draw, framerate=50)
            await until(lambda: len(drawn) > 30)
            assert _Pixels.alive <= 3


@pytest.mark.parametrize("delivery", ["stream", "echo"])
async def test_the_mouth_opens_and_closes_with_the_sound(delivery):
    persona = "pipecat-stream" if delivery == "stream" else "pipecat0"
    async with call(persona_id=persona) as (_, bot, _, conversation_id):
        replica = await bot.meet_replica()
        eyes = Eyes()
        heard: list[float] = []

        async def hear(participant_id, audio, source):
            if any(audio.audio_frames):
                heard.append(time.monotonic())

        await bot.room.capture_participant_audio(replica, hear, sample_rate=RATE)
        await bot.room.capture_participant_video(replica, eyes)
        await until(eyes.last)
        begun = len(eyes.seen) - 1
        pcm = noise(0.6) + bytes(2 * RATE) + noise(0.6)
        if delivery == "stream":
            await bot.room.register_audio_destination("stream")
            await bot.speak(pcm)
        else:
            await send_utterance(bot, conversation_id, pcm, "u")
            hindrance = asyncio.create_task(hinder())
        await until(lambda: len(heard) >= 58)
        await asyncio.sleep(0.3)
        if delivery == "echo":
            hindrance.cancel()
        opened = _spans([at for at, picture in eyes.seen if mouth_of(picture) > 0.5])
        spoken = _spans(heard)
        assert len(opened) == len(spoken) == 2
        for sight, sound in zip(opened, spoken, strict=True):
            assert sight == pytest.approx(sound, abs=0.2)
        if delivery == "echo":  # Its sound has no gaps, so nor has its mouth, late as it may be.
            shown = [mouth_of(p) for at, p in eyes.seen if opened[0][0] <= at <= opened[0][1]]
            assert min(shown) > 0.5
        secs = eyes.seen[-1][0] - eyes.seen[begun][0]
        assert 15 < (len(eyes.seen) - 1 - begun) / secs < 27


async def test_the_replica_is_seen_when_it_can_be_played():
    settings = ReplicaSettings(join_delay=0, playable_delay=0.5, face_size=(64, 48))
    async with call(settings) as (_, bot, _, _):
        replica = await bot.meet_replica()
        eyes = Eyes()
        await bot.room.capture_participant_video(replica, eyes)
        await until(eyes.last)
        assert states(bot, replica) == ["loading", "playable"]
        assert eyes.last()[1:] == (64, 48)
        assert mouth_of(eyes.last()) == 0.0


async def test_an_audio_only_conversation_has_no_face():
    async with sandbox_and_api(replica=ReplicaSettings(join_delay=0)) as (_, api):
        made = await api.create(audio_only=True)
        async with joined(made["conversation_url"]) as bot:
            replica = await bot.meet_replica()
            eyes = Eyes()
            await bot.room.capture_participant_video(replica, eyes)
            await asyncio.sleep(0.3)
            assert states(bot, replica) == ["off"]
            assert not eyes.seen


async def hinder():
    """Keep the event loop busy for a moment, again and again."""
    while True:
        deadline = time.monotonic() + 0.03
        while time.monotonic() < deadline:
            pass
        await asyncio.sleep(0.03)


def _spans(times):
    """First and last of what is without a gap."""
    edges = [n for n in range(1, len(times)) if times[n] - times[n - 1] > 0.5]
    return [(times[a], times[b - 1]) for a, b in pairwise([0, *edges, len(times)])]
