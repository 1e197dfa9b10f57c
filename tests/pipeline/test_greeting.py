"""Speech waits for the replica: no greeting is spoken to an empty chair."""

import asyncio
import math
import time

import pytest
from bots import tone, until
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)

from pipecat_tavus import TavusReplicaAbsentError
from pipeline.speech import both_deliveries, scene

pytestmark = pytest.mark.in_real_time

RATE = 24000


@both_deliveries
@pytest.mark.parametrize(
    "late",
    [{"join_delay": 1.5}, {"join_delay": 0.05, "playable_delay": 1.5}],
    ids=["comes late", "is playable late"],
)
async def test_a_greeting_is_held_until_the_replica_speaks_and_heard_whole(
    monkeypatch, delivery, late
):
    greeting = tone(1.0, RATE)
    async with scene(monkeypatch, delivery, replica=late) as it:
        await it.bot.say(greeting, RATE)
        await asyncio.sleep(0.5)
        assert it.bot.spoken.of(OutputAudioRawFrame) == []
        assert it.told(BotStartedSpeakingFrame) == []
        await it.spoken()
        await until(lambda: it.heard("stopped_speaking"))
        assert it.person.heard_pcm().rstrip(b"\0") == greeting
        assert it.told(BotStartedSpeakingFrame)[0] == pytest.approx(
            it.heard("started_speaking")[0], abs=0.2
        )
        assert it.bot.named("on_error") == []


async def test_it_flows_at_the_time_out_and_the_application_is_told_once(monkeypatch):
    replica, params = {"join_delay": math.inf}, {"replica_timeout": 0.5}
    async with scene(monkeypatch, replica=replica, params=params) as it:
        begun = time.monotonic()
        await it.bot.say(tone(0.4, RATE), RATE)
        await it.spoken()
        assert 0.5 < time.monotonic() - begun < 10
        await it.bot.say(tone(0.4, RATE, seed=2), RATE)
        await it.spoken(2)
        await until(lambda: it.bot.errors and it.bot.named("on_error"))
        [(error,)] = it.bot.named("on_error")
        assert isinstance(error, TavusReplicaAbsentError)
        assert "0.5 s" in str(error)
        assert len(it.bot.errors) == 1
        assert not it.bot.task.done()
        assert len(it.bot.written()) == int(0.8 * RATE) * 2


async def test_an_interruption_drops_a_greeting_that_is_held(monkeypatch):
    async with scene(monkeypatch, replica={"join_delay": 1.5}) as it:
        await it.bot.say(tone(1.0, RATE), RATE)
        await asyncio.sleep(0.3)
        await it.bot.worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.1)
        await it.bot.say(speech := tone(0.6, RATE, seed=2), RATE)
        await it.spoken()
        await until(lambda: it.heard("stopped_speaking"))
        assert it.person.heard_pcm().rstrip(b"\0") == speech


async def test_it_waits_longer_than_pipecat_lets_a_write_take(monkeypatch):
    params = {"audio_out_write_timeout_secs": 0.5}
    async with scene(monkeypatch, replica={"join_delay": 1.5}, params=params) as it:
        await it.bot.say(speech := tone(0.6, RATE), RATE)
        await it.spoken()
        await until(lambda: it.heard("stopped_speaking"))
        assert it.person.heard_pcm().rstrip(b"\0") == speech
        assert it.bot.errors == []


async def test_an_end_behind_a_held_greeting_comes_when_it_was_heard(monkeypatch):
    async with scene(monkeypatch, replica={"join_delay": 1.0}) as it:
        await it.bot.say(speech := tone(0.6, RATE), RATE)
        await it.bot.worker.queue_frame(EndFrame())
        await it.bot.finish()
        assert it.person.heard_pcm().rstrip(b"\0") == speech
        assert len(it.told(BotStoppedSpeakingFrame)) == 1


async def test_a_conversation_that_ends_meanwhile_holds_nothing_up(monkeypatch):
    async with scene(monkeypatch, replica={"join_delay": math.inf}) as it:
        await it.bot.say(tone(0.4, RATE), RATE)
        await asyncio.sleep(0.2)
        it.sandbox.close_room(it.id)
        assert await it.bot.finish() < 8
