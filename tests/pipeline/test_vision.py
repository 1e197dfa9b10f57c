#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Vision: cameras, screens and the replica's face, in a pipeline, against the sandbox."""

import asyncio
import time

import pytest
from bots import Bot, tone, until
from pipecat.frames.frames import (
    EndFrame,
    InterruptionFrame,
    UserAudioRawFrame,
    UserImageRawFrame,
    UserImageRequestFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.runner import utils as runner

from pipecat_tavus import TavusConfigError, TavusParams, TavusRoomError, TavusTransport
from pipecat_tavus.sandbox import Picture
from pipecat_tavus.sandbox.room_client import SandboxRoom
from pipecat_tavus.video_in import HAS_SAMPLERS

RED, BLUE = Picture.plain((200, 0, 0)), Picture.plain((0, 0, 200), 96, 64)

needs_samplers = pytest.mark.skipif(not HAS_SAMPLERS, reason="Pipecat samples video from 1.13")


def seeing(sources=(), room_factory=None, **params):
    """A transport that sees what is listed: a source, or (source, how)."""
    if sources:
        params["video_in_sources"] = dict(sources)
    options = {"room_factory": room_factory} if room_factory else {}
    return TavusTransport(
        bot_name="Ada",
        params=TavusParams(video_in_enabled=True, audio_out_end_silence_secs=0, **params),
        **options,
    )


def seen(bot, participant_id=None, source="camera"):
    return [
        (at, frame)
        for at, frame in bot.heard.frames
        if isinstance(frame, UserImageRawFrame)
        and participant_id in (None, frame.user_id)
        and frame.transport_source == source
    ]


async def joined(sandbox, bot, **kwargs):
    """A person that the bot has met."""
    await bot.event("on_connected")
    count = len(bot.named("on_client_connected"))
    person = await sandbox.join_person(bot.transport.conversation.id, **kwargs)
    await bot.event("on_client_connected", count=count + 1)
    return person


class Answers:
    """What image requests are answered with."""

    def __init__(self):
        self.errors: list[str] = []

    async def __call__(self, answer):
        self.errors.append(answer["error"])


async def ask(bot, user_id, answers=None, **kwargs):
    """Ask for an image as a function call does, from behind."""
    frame = UserImageRequestFrame(user_id=user_id, result_callback=answers, **kwargs)
    await bot.spoken.queue_frame(frame, FrameDirection.UPSTREAM)
    return frame


@needs_samplers
async def test_listed_sources_of_each_client_come_at_their_rate_and_no_others(sandbox):
    sources = {"camera": {"framerate": 5}, "screenVideo": {"framerate": 20}}
    async with Bot(seeing(sources)) as bot:
        ann = await joined(sandbox, bot, camera=RED)
        bob = await joined(sandbox, bot)
        bob.share_screen(BLUE, framerate=10)
        await bot.started()
        await bot.event("on_replica_joined")
        await until(lambda: len(seen(bot, ann.id)) >= 11)
        frame = seen(bot, ann.id)[0][1]
        assert (frame.image, frame.size, frame.format) == (RED.pixels, (64, 48), "RGB")
        assert frame.request is None and frame.text is None
        (first, _), (last, _) = seen(bot, ann.id)[0], seen(bot, ann.id)[10]
        assert 1.7 <= last - first <= 3.0, "ten at 5 Hz, out of 15"
        await until(lambda: len(seen(bot, bob.id, "screenVideo")) >= 10)
        assert seen(bot, bob.id, "screenVideo")[0][1].image == BLUE.pixels
        # Of the replica, whose face is there all the time, nothing.
        assert {frame.user_id for _, frame in seen(bot)} == {ann.id}
        assert not bot.named("on_error")


@needs_samplers
async def test_on_demand_only_what_is_captured_comes_until_the_person_leaves(sandbox):
    async with Bot(transport := seeing()) as bot:
        ann, bob = await joined(sandbox, bot, camera=RED), await joined(sandbox, bot, camera=BLUE)
        await bot.started()
        assert set(transport.participants()) >= {ann.id, bob.id}
        await transport.capture_participant_video(ann.id, framerate=None)
        await until(lambda: len(seen(bot, ann.id)) >= 3)
        # Again, and slower: what comes is sampled once, at the new rate.
        await transport.capture_participant_video(ann.id, framerate=2)
        slower = time.monotonic()
        await until(lambda: len([1 for at, _ in seen(bot, ann.id) if at > slower]) >= 4)
        assert time.monotonic() - slower >= 1.2
        assert not seen(bot, bob.id)
        await ann.leave()
        await bot.event("on_client_disconnected")
        assert set(transport.participants()) >= {bob.id}
        with pytest.raises(TavusRoomError, match="no participant"):
            await transport.capture_participant_video(ann.id)


@needs_samplers
async def test_a_request_is_answered_by_the_next_picture_with_its_text(sandbox):
    sources = {"camera": {"on_request_only": True}}
    async with Bot(seeing(sources)) as bot:
        ann = await joined(sandbox, bot, camera=RED)
        await bot.started()
        await asyncio.sleep(0.3)
        assert not seen(bot)
        asked = await ask(bot, ann.id, text="What is that?", append_to_context=True)
        await until(lambda: seen(bot))
        [(_, frame)] = seen(bot)
        assert (frame.text, frame.append_to_context) == ("What is that?", True)
        assert frame.request.text == asked.text and frame.request.user_id == ann.id
        assert frame.image == RED.pixels


@needs_samplers
async def test_a_request_that_nothing_will_answer_is_answered_with_an_error(sandbox):
    async with Bot(seeing({"camera": {"on_request_only": True}})) as bot:
        ann = await joined(sandbox, bot)
        await bot.started()
        answers = Answers()

        async def refused(why, count):
            await until(lambda: len(answers.errors) >= count)
            assert why in answers.errors[-1] and len(answers.errors) == count

        await ask(bot, ann.id, answers)
        await refused("isn't sending camera", 1)
        ann.share_screen(BLUE)
        updated = sandbox.room(bot.transport.conversation.id).participants[ann.id]
        await until(lambda: updated["media"]["screenVideo"]["state"] == "playable")
        await asyncio.sleep(0.1)
        await ask(bot, ann.id, answers, video_source="screenVideo")
        await refused("No screenVideo video is being captured", 2)
        await ask(bot, "nobody", answers)
        await refused("No camera video is being captured from nobody", 3)

        # A camera so slow that what stops it comes before its next picture.
        for number, stop in enumerate((ann.hide_camera, ann.leave), 4):
            ann.show_camera(RED, framerate=0.2)
            await asyncio.sleep(0.3)
            await ask(bot, ann.id, answers)
            await asyncio.sleep(0.1)
            assert len(answers.errors) == number - 1
            if done := stop():
                await done
            await refused("stopped" if stop == ann.hide_camera else "no longer", number)
        await ask(bot, ann.id, answers)
        await refused("No camera video", 6)


@needs_samplers
async def test_requests_are_answered_when_the_bot_leaves(sandbox):
    async with Bot(seeing({"camera": {"on_request_only": True}})) as bot:
        ann = await joined(sandbox, bot)
        ann.show_camera(RED, framerate=0.2)
        await bot.started()
        await asyncio.sleep(0.3)
        answers = Answers()
        await ask(bot, ann.id, answers)
        await asyncio.sleep(0.1)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert len(answers.errors) == 1 and "no longer" in answers.errors[0]


@needs_samplers
@pytest.mark.parametrize("source", ["camera", "screenVideo"])
async def test_pipecats_own_helper_captures_a_client(sandbox, source):
    transport = seeing()
    capture = {
        "camera": runner.maybe_capture_participant_camera,
        "screenVideo": runner.maybe_capture_participant_screen,
    }[source]

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        with pytest.warns(DeprecationWarning):
            await capture(transport, client, framerate=5)

    async with Bot(transport) as bot:
        ann = await joined(sandbox, bot, camera=RED)
        ann.share_screen(BLUE, framerate=10)
        await bot.started()
        await until(lambda: len(seen(bot, ann.id, source)) >= 2)
        assert {frame.transport_source for frame in bot.heard.of(UserImageRawFrame)} == {source}


@needs_samplers
async def test_the_replicas_face_comes_whenever_the_replica_does(sandbox):
    async with Bot(transport := seeing({"camera": {"framerate": 30}})) as bot:
        await bot.started()
        await transport.capture_replica_video(framerate=10)
        (replica,) = await bot.event("on_replica_joined")
        await until(lambda: len(seen(bot, replica["id"])) >= 5)
        _, frame = seen(bot)[0]
        assert (frame.size, frame.format) == ((320, 240), "RGB")
        sandbox.replica(transport.conversation.id).leave()
        await bot.event("on_replica_left")
        await asyncio.sleep(0.2)
        gone = time.monotonic()
        assert not [at for at, _ in seen(bot) if at > gone]
        sandbox.replica(transport.conversation.id).join()
        (replica,) = await bot.event("on_replica_joined", count=2)
        await until(lambda: len(seen(bot, replica["id"])) >= 3)


class BlindRoom(SandboxRoom):
    """It refuses every video."""

    async def capture_participant_video(self, *args, **kwargs):
        raise TavusRoomError("The room shows nothing")


@needs_samplers
async def test_a_refused_capture_is_told_and_costs_nothing_else(sandbox):
    sources = {"camera": {"framerate": 5}, "screenVideo": {"framerate": 5}}
    async with Bot(transport := seeing(sources, BlindRoom)) as bot:
        ann = await joined(sandbox, bot, camera=RED)
        await bot.started()
        await bot.event("on_error", count=2)
        assert {str(error) for (error,) in bot.named("on_error")} == {"The room shows nothing"}
        await ann.say(tone(0.3, 16000), 16000)
        await until(lambda: bot.heard.of(UserAudioRawFrame))
        answers = Answers()
        await ask(bot, ann.id, answers)
        await until(lambda: answers.errors)
        assert "No camera video is being captured" in answers.errors[0]
        with pytest.raises(TavusRoomError, match="shows nothing"):
            await transport.capture_participant_video(ann.id)
        assert not seen(bot)


@needs_samplers
async def test_pictures_leave_speech_and_interruptions_alone(sandbox):
    async with Bot(seeing({"camera": {"framerate": 30}})) as bot:
        await bot.started()
        ann = await joined(sandbox, bot, camera=Picture.plain((1, 2, 3), 640, 360))
        await bot.event("on_replica_joined")
        said = tone(1.0, 16000)
        await ann.say(said, 16000)
        await bot.worker.queue_frame(InterruptionFrame())
        heard = bot.heard
        await until(lambda: said in b"".join(f.audio for f in heard.of(UserAudioRawFrame)))
        assert len(seen(bot)) >= 10


@needs_samplers
async def test_what_cannot_be_is_refused_before_anything_is_opened(sandbox):
    blind, unbuilt = TavusTransport(bot_name="Ada"), seeing()
    with pytest.raises(TavusConfigError, match=r"transport\.input\(\)"):
        await unbuilt.capture_replica_video()
    blind.input(), unbuilt.input()
    with pytest.raises(TavusConfigError, match="video_in_enabled=True"):
        await blind.capture_participant_video("p")
    with pytest.raises(TavusConfigError, match="video_in_enabled=True"):
        await blind.capture_replica_video()
    for framerate in (-1, float("nan"), "30"):
        with pytest.raises(TavusConfigError, match="framerate"):
            await unbuilt.capture_replica_video(framerate=framerate)
    with pytest.raises(TavusRoomError, match="not in the room yet"):
        await unbuilt.capture_participant_video("p")
    assert not sandbox.conversations


@needs_samplers
def test_the_bots_capabilities_say_what_it_sees():
    def capabilities(transport):
        it = transport.input().capabilities
        return it.audio_in, it.video_in, it.screen_in

    blind = TavusTransport(bot_name="Ada", api_key="k", replica_id="r")
    assert capabilities(blind) == (True, False, False)
    for sources, screen in (
        ({"camera": {}}, False),
        ({"camera": {}, "screenVideo": {}}, True),
        ({}, None),
    ):
        transport = TavusTransport(
            bot_name="Ada",
            api_key="k",
            replica_id="r",
            params=TavusParams(video_in_enabled=True, video_in_sources=sources),
        )
        assert capabilities(transport) == (True, True, screen)


@pytest.mark.skipif(HAS_SAMPLERS, reason="this Pipecat samples video")
def test_vision_is_refused_where_pipecat_cannot_sample_it():
    with pytest.raises(TavusConfigError, match=r"Pipecat 1\.13"):
        TavusTransport(
            bot_name="Ada",
            api_key="k",
            replica_id="r",
            params=TavusParams(video_in_enabled=True),
        )
