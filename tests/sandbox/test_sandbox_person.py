#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The scripted human: what it says, hears and notes."""

import asyncio
import time
import wave

import pytest
from bots import until
from sandbox.bot_kit import RATE, joined, noise, sandbox_and_api

from pipecat_tavus.errors import (
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusRoomSendError,
)
from pipecat_tavus.sandbox import ReplicaSettings

pytestmark = pytest.mark.in_real_time

NOBODY = ReplicaSettings(join_delay=3600)
QUICK = ReplicaSettings(join_delay=0.0, rendering_delay=0.1)
MIC = 16000


@pytest.fixture
def speech():
    return noise(0.71, rate=MIC)


@pytest.fixture
def wav_file(tmp_path, speech):
    path = tmp_path / "hello_there.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MIC)
        file.writeframes(speech)
    return path


async def test_a_bot_hears_a_wav_file_bit_for_bit_within_continuous_silence(wav_file, speech):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.hear(person.id)
            began = time.monotonic()
            await person.say(wav_file)
            assert time.monotonic() - began >= 0.7
            await until(lambda: speech in bytes(bot.heard))
            size = len(bot.heard)
            await until(lambda: len(bot.heard) > size + MIC // 5)
            assert bytes(bot.heard).strip(b"\0") == speech
            assert {len(piece.audio_frames) for piece in bot.pieces} == {640}
            assert {(p.sample_rate, p.num_channels) for p in bot.pieces} == {(MIC, 1)}


async def test_the_pace_of_speech_is_that_of_the_clock():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        began = time.monotonic()
        await person.say(noise(2.0, rate=MIC), MIC)
        assert 2.0 - 0.03 <= time.monotonic() - began < 3.0
        started, stopped = person.notes
        assert stopped.at - started.at == pytest.approx(2.0, abs=0.001)


async def test_another_rate_is_resampled_to_that_which_the_bot_asked_for(speech):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.hear(person.id, sample_rate=8000, callback_interval_ms=40)
            await person.say(b"\xe8\x03" * MIC, MIC)
            await until(lambda: b"\0\0\0\0" in bytes(bot.heard)[8000:])
            assert {len(piece.audio_frames) for piece in bot.pieces} == {640}
            assert {piece.sample_rate for piece in bot.pieces} == {8000}
            loud = sum(abs(n) > 500 for n in memoryview(bytes(bot.heard)).cast("h"))
            assert loud == pytest.approx(8000, rel=0.05)


async def test_recordings_of_different_rates_arrive_at_theirs():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.hear(person.id, sample_rate=RATE)
            first, second = noise(0.3, rate=MIC), noise(0.3)
            await asyncio.gather(person.say(first, MIC), person.say(second, RATE))
            await until(lambda: second in bytes(bot.heard))


async def test_sayings_follow_each_other():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.hear(person.id)
            first, second = noise(0.3, rate=MIC), noise(0.2, rate=MIC, seed=2)
            await asyncio.gather(person.say(first, MIC), person.say(second, MIC))
            await until(lambda: first + second in bytes(bot.heard))


async def test_what_the_person_does_is_noted_and_told(wav_file):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        told = []
        person.on_note = told.append
        await person.say(wav_file)
        assert [(n.who, n.what, n.text) for n in person.notes] == [
            ("user", "started_speaking", "hello there"),
            ("user", "stopped_speaking", "hello there"),
        ]
        assert person.notes[1].at - person.notes[0].at == pytest.approx(0.71, abs=0.001)
        assert told == person.notes


async def test_a_cancelled_saying_stops(speech):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        saying = asyncio.create_task(person.say(noise(30, rate=MIC), MIC))
        waiting = asyncio.create_task(person.say(noise(30, rate=MIC), MIC))
        await until(lambda: person.notes)
        for task in (waiting, saying):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [n.what for n in person.notes] == ["started_speaking", "stopped_speaking"]
        await person.say(speech, MIC)


async def test_what_cannot_be_said_is_refused(tmp_path):
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        with pytest.raises(ValueError, match="sample_rate"):
            await person.say(b"1234")
        path = tmp_path / "x.wav"
        path.write_bytes(b"no")
        with pytest.raises(ValueError, match="WAV"):
            await person.say(path)
        await person.say(b"", MIC)
        assert person.notes == []


async def test_the_recording_has_both_sides_at_their_time():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            began = time.monotonic()
            await bot.meet_replica()
            await bot.room.register_audio_destination("stream")
            said, answered = noise(0.4, rate=MIC), noise(0.5, seed=2)
            await person.say(said, MIC)
            await bot.speak(answered)
            await person.wait_until_replica_speaks()
            await person.wait_until_replica_is_silent(0.5)
            user, replica, rates = person.recording()
            assert rates == (MIC, RATE)
            secs = time.monotonic() - began
            assert len(user) / 2 / MIC == pytest.approx(secs, abs=0.5)
            assert len(replica) / 2 / RATE == pytest.approx(len(user) / 2 / MIC, abs=0.001)
            assert user.index(said) / 2 / MIC == pytest.approx(person.notes[0].at, abs=0.01)
            spoke = next(n for n in person.notes if n.who == "replica")
            assert replica.index(answered) / 2 / RATE == pytest.approx(spoke.at, abs=0.01)
            await person.leave()
            length = len(person.recording()[0])
            await asyncio.sleep(0.1)
            assert len(person.recording()[0]) == length


async def test_waiting_for_the_replica_ends_with_its_speech_its_silence_or_the_limit():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.meet_replica()
            await bot.room.register_audio_destination("stream")
            with pytest.raises(TimeoutError):
                await person.wait_until_replica_speaks(0.2)
            speaking = asyncio.create_task(bot.speak(noise(1.0)))
            await person.wait_until_replica_speaks()
            assert person.replica_is_speaking
            with pytest.raises(TimeoutError):
                await person.wait_until_replica_is_silent(0.5, timeout=0.2)
            await person.wait_until_replica_is_silent(0.4)
            assert speaking.done()
            with pytest.raises(TimeoutError):
                await person.wait_for_message(lambda m: False, 0.1)


async def test_app_messages_are_kept_with_sender_and_time():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.send({"a": 1})
            heard = await person.wait_for_message(lambda m: m == {"a": 1})
            assert heard.sender == bot.id
            assert 0 <= heard.at < 10
            with pytest.raises(TavusRoomSendError):
                await person.send_message("x", to="nobody")


async def test_who_is_out_of_the_room_neither_speaks_nor_waits():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        tasks = [
            asyncio.create_task(person.say(noise(30, rate=MIC), MIC)),
            asyncio.create_task(person.wait_until_replica_speaks(60)),
        ]
        await until(lambda: person.notes)
        sandbox.close_room(made["conversation_id"])
        for task in tasks:
            with pytest.raises(TavusRoomClosedError):
                await task
        for action in (person.say(b"12", MIC), person.send_message("x")):
            with pytest.raises(TavusRoomClosedError):
                await action
        await person.leave()
        with pytest.raises(TavusRoomJoinError):
            await sandbox.join_person(made["conversation_id"])
