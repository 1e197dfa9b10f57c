#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice bot as people run it: with no account, and with a key."""

import asyncio
import io
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from children import EXAMPLES, example, run_example
from offline.demo import Recording
from offline.speaking import EspeakTTSService
from offline.timeline import Timeline
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_tavus.sandbox import TavusSandbox

pytestmark = pytest.mark.in_real_time

SCRIPT = ("go forward ten meters", "go somewhere and do something", "ten of clubs")


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("option", "delivery"),
    [((), "the track stream"), (("--echo",), r"\d{2,} conversation.echo messages")],
    ids=["track", "echo"],
)
async def test_the_voice_bot_talks_with_no_account(
    tmp_path: Path, option: tuple[str, ...], delivery: str
):
    stdout = await run_example("voice_bot.py", "--wav", "call.wav", *option, cwd=tmp_path)
    assert re.search(f"^Delivery +{delivery}$", stdout, re.MULTILINE)
    for words in SCRIPT:
        assert f'understood "{words}"' in stdout
        assert f'answers "You said: {words}.' in stdout
    assert 'begins to say "go somewhere and do something" while the replica speaks' in stdout
    assert "is interrupted, and stops speaking" in stdout
    assert "3 understood word for word, 3 answered aloud" in stdout
    assert "was ended after" in stdout
    assert "\033[" not in stdout

    with wave.open(str(tmp_path / "call.wav")) as file:
        assert file.getnchannels() == 2
        assert file.getnframes() / file.getframerate() > 15
        sides = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    assert (np.abs(sides).max(axis=0) > 1000).all()


@pytest.mark.timeout(150)
async def test_with_a_key_the_voice_bot_talks_with_whoever_opens_the_url(tmp_path: Path):
    async with TavusSandbox() as sandbox:
        async with example(
            "voice_bot.py",
            cwd=tmp_path,
            TAVUS_API_URL=sandbox.api_url,
            TAVUS_API_KEY=sandbox.api_key,
            TAVUS_REPLICA_ID="r-sandbox",
        ) as process:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                said = (await process.stdout.readline()).decode()
            [conversation] = sandbox.conversations.values()
            assert conversation.url in said
            assert conversation.body["replica_id"] == "r-sandbox"

            room = sandbox.room(conversation.id)
            async with asyncio.timeout(30):
                while not (room.ids("bot") and room.ids("replica")):
                    await asyncio.sleep(0.05)
            person = await sandbox.join_person(conversation.id)
            await person.wait_until_replica_speaks(20)
            await person.wait_until_replica_is_silent(1.0)
            await person.say(EXAMPLES / "audio" / "ten_of_clubs.wav")
            await person.wait_until_replica_speaks(20)
            await person.wait_until_replica_is_silent(1.0)
            await person.leave()
            async with asyncio.timeout(30):
                await process.communicate()
        assert process.returncode == 0
        assert conversation.status == "ended"


@pytest.mark.timeout(150)
async def test_a_key_that_is_refused_ends_the_voice_bot_and_says_so(tmp_path: Path):
    async with TavusSandbox() as sandbox:
        async with example(
            "voice_bot.py",
            cwd=tmp_path,
            TAVUS_API_URL=sandbox.api_url,
            TAVUS_API_KEY="another",
            TAVUS_REPLICA_ID="r-sandbox",
        ) as process:
            _, stderr = await process.communicate()
    assert process.returncode == 1
    assert "Check the API key (TAVUS_API_KEY)" in stderr.decode()


def test_the_first_and_the_last_word_of_a_recording_are_found():
    recording = Recording.load("ten_of_clubs")
    assert recording.words == "ten of clubs"
    assert 0 < recording.begins < 0.5
    assert recording.begins + 0.5 < recording.ends < 1.1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Call:
    """A call that went as it should, in which single things can be left out."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.out = io.StringIO()
        self.timeline = Timeline(self.out, self.clock)

    def at(self, seconds: float) -> "Call":
        self.clock.now = 100.0 + seconds
        return self

    async def frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        source: FrameProcessor | None = None,
    ) -> None:
        following = IdentityFilter()
        for pusher in (source or IdentityFilter(), following):
            await self.timeline.on_push_frame(
                FramePushed(pusher, following, frame, direction, timestamp=0)
            )

    async def play(
        self,
        *,
        understood: str = "stop",
        interrupted: bool = True,
        silent_at: float = 3.5,
        answered: bool = True,
    ) -> list[str]:
        self.timeline.replica_begins(1.0)
        self.at(3.0).timeline.person_begins("stop")
        self.at(3.2)
        if interrupted:
            await self.frame(InterruptionFrame())
        self.at(3.8).timeline.person_ends()
        if silent_at < 3.8:
            self.timeline.replica_ends(silent_at)
        await self.frame(TranscriptionFrame(understood, "", ""))
        await self.frame(BotStartedSpeakingFrame())
        if answered:
            self.timeline.replica_begins(5.0)
            self.timeline.replica_ends(6.0)
        return self.timeline.failures(1)


async def test_a_call_that_went_as_it_should_has_no_failures_and_its_times_are_right():
    call = Call()
    assert await call.play() == []
    [turn] = call.timeline.turns
    assert turn.waited == pytest.approx(1.2)
    assert turn.talked_over == pytest.approx(0.5)
    call.timeline.summarize()
    printed = call.out.getvalue()
    assert printed.count("understood") == 2
    assert "the person waited 1.20 s" in printed
    assert "1.20 s median" in printed
    assert "fell silent within 0.50 s" in printed


async def test_what_did_not_go_as_it_should_is_a_failure():
    [reason] = await Call().play(understood="shop")
    assert reason == '"stop" was understood as "shop"'
    [reason] = await Call().play(answered=False)
    assert "not answered aloud" in reason
    [reason] = await Call().play(interrupted=False)
    assert "did not interrupt" in reason
    [reason] = await Call().play(silent_at=4.5)
    assert "did not fall silent" in reason
    call = Call()
    await call.frame(ErrorFrame("no voice"), FrameDirection.UPSTREAM)
    assert await call.play() == ["no voice"]
    assert "instead of 1" in Call().timeline.failures(1)[0]
    assert "never spoke while the replica did" in Call().timeline.failures(0)[0]


async def test_an_answer_that_lost_a_sample_is_a_failure_unless_it_was_interrupted():
    call = Call()
    first, second = [np.arange(seed, seed + 500, dtype=np.int16).tobytes() for seed in (1, 900)]
    tts = EspeakTTSService()
    for said, answer in (("one", first), ("two", second)):
        call.timeline.person_begins(said)
        call.timeline.person_ends()
        for part in (bytes(10), answer[:400], answer[400:], bytes(10)):
            await call.frame(TTSAudioRawFrame(part, 24000, 1), source=tts)
    assert call.timeline.cut_short(first + second) == []
    [reason] = call.timeline.cut_short(first[:-2] + second)
    assert 'the answer to "one"' in reason
    [reason] = call.timeline.cut_short(first + second[2:])
    assert 'the answer to "two"' in reason
    call.timeline.turns[1].interrupts = True
    assert call.timeline.cut_short(second) == []
    assert Call().timeline.cut_short(b"") == []
