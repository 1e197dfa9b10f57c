#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A replica that speaks ``conversation.echo``: what is heard of it, when, and what is told."""

import asyncio
import time
from itertools import pairwise

import pytest
from bots import until
from sandbox.bot_kit import RATE, call, echo, interaction, noise, send_utterance

from pipecat_tavus.sandbox import ReplicaSettings

pytestmark = pytest.mark.in_real_time

STARTED = "conversation.replica.started_speaking"
STOPPED = "conversation.replica.stopped_speaking"


def speaking(bot):
    return [m for m, _ in bot.listener.messages if m["event_type"] in (STARTED, STOPPED)]


async def test_a_burst_is_played_bit_for_bit_in_real_time_after_the_delay():
    async with call(ReplicaSettings(0.0, rendering_delay=0.3)) as (sandbox, bot, person, id):
        pcm = noise(1.51)
        sent_at = time.monotonic() - sandbox.room(id).events[-1].at
        await send_utterance(bot, id, pcm, "i1")
        await until(lambda: len(person.notes) == 2)
        assert person.heard_pcm() == pcm
        started, stopped = person.notes
        assert 0.3 <= started.at - sent_at < 1.5
        assert stopped.at - started.at == pytest.approx(1.51, abs=0.2)
        assert person.ear_sample_rate == RATE
        assert not sandbox.replica(id).speaking
        assert sandbox.refusals(id) == []


async def test_the_recording_has_echoed_speech_where_it_was_heard():
    async with call() as (_, bot, person, id):
        pcm = noise(0.3)
        await send_utterance(bot, id, pcm, "i1")
        await until(lambda: len(person.notes) == 2)
        _, replica, (_, rate) = person.recording()
        assert rate == RATE
        assert replica.index(pcm) / 2 / RATE == pytest.approx(person.notes[0].at, abs=0.1)


async def test_its_events_carry_the_inference_id_and_the_length_of_the_sound():
    async with call() as (_, bot, _, id):
        silence = bytes(RATE // 10 * 2)
        await send_utterance(bot, id, silence + noise(0.6) + silence, "i1")
        await send_utterance(bot, id, noise(0.4, seed=2), "i2")
        await until(lambda: len(speaking(bot)) == 4)
        events = speaking(bot)
        assert [e["inference_id"] for e in events] == ["i1", "i1", "i2", "i2"]
        assert [e["event_type"] for e in events] == [STARTED, STOPPED] * 2
        assert events[1]["properties"] == {"duration": 0.6, "interrupted": False}
        assert events[3]["properties"] == {"duration": 0.4, "interrupted": False}


async def test_the_end_is_told_when_the_sound_has_ended_and_not_later():
    async with call(ReplicaSettings(0.0, 0.1, gap=2.0)) as (_, bot, person, id):
        await send_utterance(bot, id, noise(0.5) + bytes(RATE // 2 * 2), "i1")
        stopped = await person.wait_for_message(lambda m: m["event_type"] == STOPPED)
        started = await person.wait_for_message(lambda m: m["event_type"] == STARTED)
        assert stopped.at - started.at == pytest.approx(0.5, abs=0.2)


async def test_an_utterance_that_comes_slowly_has_pauses_and_is_one_until_it_is_done():
    async with call() as (_, bot, person, id):
        pcm = noise(0.5)
        await send_utterance(bot, id, pcm, "i1", pause=0.4)
        await until(lambda: len(speaking(bot)) == 2)
        heard = person.heard_pcm()
        assert heard == pcm
        assert speaking(bot)[1]["properties"]["duration"] > 1.5
        assert len(person.notes) > 2


async def test_an_utterance_queues_behind_another():
    async with call() as (_, bot, person, id):
        first, second = noise(0.4), noise(0.4, seed=2)
        await bot.send(echo(id, first, "i1"))
        await bot.send(echo(id, second, "i2", done=True))
        await until(lambda: person.heard_pcm() == first)
        await asyncio.sleep(0.3)
        assert person.heard_pcm() == first
        await bot.send(echo(id, first, "i1", done=True))
        await until(lambda: len(speaking(bot)) == 4)
        await until(lambda: person.heard_pcm() == first + first + second)
        assert [e["inference_id"] for e in speaking(bot)] == ["i1", "i1", "i2", "i2"]


async def test_an_interruption_drops_everything_and_what_comes_of_it_later_is_refused():
    async with call() as (sandbox, bot, person, id):
        pcm, after = noise(5.0), noise(0.3, seed=2)
        await send_utterance(bot, id, pcm, "i1", done=False)
        await bot.send(echo(id, pcm[:4800], "i2", done=True))
        await until(lambda: len(person.heard_pcm()) > RATE)
        await bot.send(interaction(id, "conversation.interrupt"))
        stopped = await person.wait_for_message(lambda m: m["event_type"] == STOPPED)
        assert stopped.message["properties"]["interrupted"] is True
        heard = person.heard_pcm()
        duration = stopped.message["properties"]["duration"]
        assert duration == pytest.approx(len(heard) / 2 / RATE, abs=0.03)
        for inference_id in ("i1", "i2"):
            await bot.send(echo(id, pcm[:4800], inference_id, done=True))
        await until(lambda: len(sandbox.refusals(id)) == 2)
        assert heard == pcm[: len(heard)] == person.heard_pcm()
        await bot.send(echo(id, after, "i3", done=True))
        await until(lambda: person.heard_pcm() == heard + after)
        assert not any(e["inference_id"] == "i2" for e in speaking(bot))


async def test_the_track_is_not_spoken_by_a_persona_that_takes_echo():
    async with call() as (_, bot, person, id):
        await bot.room.register_audio_destination("stream")
        await bot.speak(noise(0.3))
        pcm = noise(0.3, seed=2)
        await bot.send(echo(id, pcm, "i1", done=True))
        await until(lambda: person.heard_pcm() == pcm)


async def test_a_persona_in_echo_mode_speaks_echo():
    persona = {"persona_name": "Ada", "pipeline_mode": "echo"}
    async with call(persona_id="mine", personas={"mine": persona}) as (_, bot, person, id):
        pcm = noise(0.3)
        await bot.send(echo(id, pcm, "i1", done=True))
        await until(lambda: person.heard_pcm() == pcm)


async def test_a_persona_of_a_track_refuses_echo():
    async with call(persona_id="pipecat-stream") as (sandbox, bot, person, id):
        await bot.send(echo(id, noise(0.3), "i1", done=True))
        text = {"modality": "text", "text": "Hello", "done": True}
        await bot.send(interaction(id, "conversation.echo", text))
        await until(lambda: len(sandbox.refusals(id)) == 2)
        await asyncio.sleep(0.4)
        assert person.heard_pcm() == b""


async def test_other_rates_are_played_at_theirs():
    async with call() as (_, bot, person, id):
        pcm = noise(0.3, rate=16000)
        await bot.send(echo(id, pcm, "i1", rate=16000, done=True))
        await until(lambda: person.heard_pcm() == pcm)
        assert person.ear_sample_rate == 16000


async def test_the_track_ends_when_its_sound_has_ended_where_it_looks_ahead_far_enough():
    settings = ReplicaSettings(0.0, rendering_delay=0.5, gap=0.3)
    async with call(settings, "pipecat-stream") as (_, bot, person, _):
        await bot.room.register_audio_destination("stream")
        await bot.speak(noise(0.6))
        stopped = await person.wait_for_message(lambda m: m["event_type"] == STOPPED)
        started = await person.wait_for_message(lambda m: m["event_type"] == STARTED)
        assert stopped.message["properties"]["duration"] == pytest.approx(0.6, abs=0.15)
        assert stopped.at - started.at == pytest.approx(0.6, abs=0.2)


async def test_the_events_are_numbered_in_their_order():
    async with call() as (_, bot, _, id):
        await bot.send(echo(id, noise(0.2), "i1", done=True))
        await until(lambda: len(speaking(bot)) == 2)
        seqs = [m["seq"] for m, _ in bot.listener.messages]
        assert all(later > earlier for earlier, later in pairwise(seqs))
