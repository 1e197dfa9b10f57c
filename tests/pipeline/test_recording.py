"""A recording on the bot's side is what the person's ear got, where it got it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from bots import tone, until
from pipecat.frames.frames import InterruptionFrame
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor

from pipeline.speech import both_deliveries, scene

pytestmark = pytest.mark.in_real_time

RATE = 16000
"""The person's: another one would be late by what Pipecat's recorder takes to resample it."""
AUDIO = Path(__file__).parents[2] / "examples" / "audio"
TURNS = [
    ("ten_of_clubs.wav", 3.0, 1.1),
    ("seven_of_clubs.wav", 1.2, None),
    ("ten_of_clubs.wav", 3.0, 0.7),
    ("go_forward_ten_meters.wav", 4.0, 1.9),
    ("seven_of_clubs.wav", 0.8, None),
]
"""What the person says, how long the answer is, and when it is interrupted."""


def resampled(pcm: bytes, rate: int, to: int) -> np.ndarray:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    at = np.arange(int(len(samples) * to / rate)) * rate / to
    return np.interp(at, np.arange(len(samples)), samples)


def passages(samples: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Where there is sound, in seconds; pauses under 0.5 s belong to it."""
    loud = np.flatnonzero(np.abs(samples) > 400)
    breaks = np.flatnonzero(np.diff(loud) > rate // 2)
    begins, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(b / rate, e / rate) for b, e in zip(begins, ends, strict=True) if e - b > rate / 20]


@both_deliveries
@pytest.mark.timeout(120)
async def test_it_agrees_within_100_ms_over_a_conversation_with_three_interruptions(
    monkeypatch, delivery
):
    edges = await converse(monkeypatch, delivery)
    # A busy machine stops for shorter times as well.
    assert sum(edge < 0.1 for edge in edges) >= len(edges) - 2, edges
    assert np.median(edges) < 0.05, edges


async def converse(monkeypatch, delivery) -> list[float]:
    """How far the edges of what was said are from where they were recorded, in seconds."""
    recorder = AudioBufferProcessor(sample_rate=RATE, num_channels=2)
    recorded = bytearray()

    @recorder.event_handler("on_audio_data")
    async def on_audio_data(processor, audio, sample_rate, num_channels):
        recorded.extend(audio)

    params = {"audio_out_sample_rate": RATE}
    async with scene(monkeypatch, delivery, params=params, after=[recorder]) as it:
        await recorder.start_recording()
        for n, (says, answer, interrupted) in enumerate(TURNS):
            await it.person.say(AUDIO / says)
            await asyncio.sleep(0.2)
            await it.bot.say(tone(answer, RATE, seed=n + 1), RATE)
            await until(lambda n=n: len(it.heard("started_speaking")) > n)
            if interrupted:
                await asyncio.sleep(interrupted)
                await it.bot.worker.queue_frame(InterruptionFrame())
            await until(lambda n=n: len(it.heard("stopped_speaking")) > n)
            await asyncio.sleep(0.2)
        await recorder.stop_recording()
    mouth, ear, (mouth_rate, ear_rate) = it.person.recording()
    both = np.frombuffer(bytes(recorded), "<i2").reshape(-1, 2).astype(float)
    told = passages(both[:, 1], RATE)
    heard = passages(resampled(ear, ear_rate, RATE), RATE)
    user_told = passages(both[:, 0], RATE)
    user_said = passages(resampled(mouth, mouth_rate, RATE), RATE)
    # The recording began when the bot did: one offset holds for the whole conversation.
    offset = np.median([s[0] - t[0] for s, t in zip(user_said, user_told, strict=True)])
    assert len(heard) == len(TURNS)
    return [
        float(abs(at - offset - was))
        for was_told, was_heard in zip(told, heard, strict=True)
        for was, at in zip(was_told, was_heard, strict=True)
    ]
