"""What the pipeline is told of the bot's speech is what the person hears."""

import asyncio
import statistics

import pytest
from bots import tone
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
)

from pipeline.speech import both_deliveries, scene

RATE = 24000


@both_deliveries
async def test_speech_is_heard_bit_for_bit(monkeypatch, delivery):
    speech = tone(1.53, RATE)
    async with scene(monkeypatch, delivery) as it:
        await it.bot.say(speech, RATE)
        await it.spoken()
        await it.until(lambda: len(it.heard("stopped_speaking")) == 1)
        assert it.person.heard_pcm().rstrip(b"\0") == speech
        assert it.bot.written().rstrip(b"\0") == speech


@both_deliveries
@pytest.mark.parametrize("events", ["old", "new", "both", "none"])
async def test_the_bot_starts_and_stops_when_the_person_hears_it(monkeypatch, delivery, events):
    async with scene(monkeypatch, delivery, replica={"events": events}) as it:
        for n in range(1, 5):
            await it.bot.say(tone(0.6 + n / 10, RATE, seed=n), RATE)
            await it.spoken(n)
            await asyncio.sleep(1.0)
        started, stopped = it.told(BotStartedSpeakingFrame), it.told(BotStoppedSpeakingFrame)
        assert len(started) == len(stopped) == 4
        # Where the replica says nothing, the audio clock counts, which knows no delay.
        delay = 0.25 if events == "none" else 0.0
        first = 1 if events == "none" else 0
        starts = [t + delay - h for t, h in zip(started, it.heard("started_speaking"), strict=True)]
        stops = [t + delay - h for t, h in zip(stopped, it.heard("stopped_speaking"), strict=True)]
        assert abs(statistics.median(starts[first:])) < 0.1
        assert abs(statistics.median(stops[first:])) < 0.1
