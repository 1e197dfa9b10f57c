#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech on Daily: what reaches the room, when, and what an interruption does."""

import asyncio

import pytest
from bots import until
from calls import Call, loudness, noise, tone
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    OutputTransportMessageFrame,
)
from pipecat.transports.daily.transport import DailyOutputTransportMessageFrame

from pipecat_tavus.speech import echo_delivery


async def test_speech_reaches_the_track_stream_to_the_byte_and_no_other_track(call: Call) -> None:
    await call.start()
    pcm = noise(0.4)
    await call.say(pcm)
    await until(lambda: len(call.room.stream.pcm) >= len(pcm))
    await call.end()
    assert call.room.stream.pcm == pcm
    assert list(call.room.tracks) == ["stream"]
    assert call.room.tracks["stream"].published
    assert call.native.sources == [call.room.stream]
    microphone = call.room.client_settings["inputs"]["microphone"]
    assert microphone["isEnabled"] is False


async def test_a_tail_that_fills_no_chunk_is_spoken(call: Call) -> None:
    await call.start()
    pcm = noise(0.393)
    await call.say(pcm)
    await until(lambda: len(call.room.stream.pcm) >= len(pcm))
    await call.end()
    spoken = call.room.stream.pcm
    assert spoken[: len(pcm)] == pcm
    assert not any(spoken[len(pcm) :])


async def test_two_utterances_follow_each_other_whole(call: Call) -> None:
    await call.start()
    first, second = noise(0.21, seed=1), noise(0.17, seed=2)
    await call.say(first)
    await call.say(second)
    await call.end()
    spoken = call.room.stream.pcm
    assert spoken.startswith(first)
    assert second in spoken[len(first) :]


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "not-stopped"])
async def test_an_end_right_behind_speech_lets_it_be_heard_then_leaves_then_ends(
    call: Call, stopped: bool
) -> None:
    await call.start()
    pcm = noise(1.49)
    await call.say(pcm, stopped=stopped)
    await call.end()
    spoken = call.room.stream.pcm
    assert spoken[: len(pcm)] == pcm
    (leave,) = call.room.noted("leave")
    (ended,) = call.tavus.of("POST /conversations/{id}/end")
    assert call.room.stream.played_at <= leave.at < ended.at
    assert call.tavus.open == []


async def test_the_silence_at_the_end_is_heard_before_the_bot_leaves(call: Call) -> None:
    await call.start(params={"audio_out_end_silence_secs": 1})
    pcm = noise(0.24)
    await call.say(pcm)
    await call.end()
    spoken = call.room.stream.pcm
    assert spoken == pcm + bytes(24000 * 2)
    assert call.room.stream.played_at <= call.room.noted("leave")[0].at


@pytest.mark.parametrize("rate", [16000, 22050, 24000, 44100])
async def test_speech_at_any_rate_arrives_whole(call: Call, rate: int) -> None:
    await call.start()
    await call.say(tone(1.0, rate), rate)
    await call.end()
    spoken = call.room.stream.pcm
    samples = len(spoken) // 2
    # At most one chunk of 40 ms is filled up with silence.
    assert 24000 <= samples <= 24000 + 960
    whole = loudness(tone(1.0, 24000))
    edge = 24000 * 2 // 100
    assert loudness(spoken[:edge]) > 0.8 * whole
    assert loudness(spoken[48000 - edge : 48000]) > 0.8 * whole
    assert loudness(spoken[:48000]) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("out_rate", [16000, 48000])
async def test_the_track_has_the_rate_of_the_pipeline(call: Call, out_rate: int) -> None:
    await call.start(out_rate=out_rate)
    await call.say(noise(0.2, out_rate), out_rate)
    await call.end()
    assert call.room.stream.sample_rate == out_rate
    assert call.room.stream.pcm.startswith(noise(0.2, out_rate))


async def test_an_interruption_stops_the_audio_and_tells_the_replica(call: Call) -> None:
    await call.start()
    await call.say(noise(5.0))
    await until(lambda: bool(call.native.sources) and len(call.room.stream.writes) >= 8)
    await call.interrupt()
    await until(lambda: bool(call.room.messages))
    (message,) = call.room.messages
    assert message.message == {
        "message_type": "conversation",
        "event_type": "conversation.interrupt",
        "conversation_id": call.tavus.created[0],
    }
    assert message.to is None
    # Handed over beyond real time: the chunk of 40 ms that is being played.
    assert call.room.stream.lead_at(message.at) <= 0.045
    written = len(call.room.stream.writes)
    await asyncio.sleep(0.3)
    assert len(call.room.stream.writes) <= written + 1
    await call.end()


async def test_speech_after_an_interruption_is_the_new_one_alone(call: Call) -> None:
    await call.start()
    await call.say(noise(5.0, seed=1))
    await until(lambda: len(call.room.tracks["stream"].source.writes) >= 4)
    await call.interrupt()
    await until(lambda: bool(call.room.messages))
    await asyncio.sleep(0.1)
    before = len(call.room.stream.pcm)
    answer = noise(0.4, seed=2)
    await call.say(answer)
    await call.end()
    assert call.room.stream.pcm[before:] == answer


async def test_speech_behind_an_interruption_does_not_wait_for_the_old_ones_lead(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo_delivery, "_PAUSE_SECS", 60.0)
    await call.start(params={"audio_delivery": "echo", "echo_lead_secs": 20.0})
    await call.say(noise(30.0))
    # A pause of 5 s has begun.
    await until(lambda: len(call.room.messages) >= 195)
    await asyncio.sleep(0.3)
    await call.interrupt()
    before = len(call.room.messages)
    await call.say(noise(0.4))
    async with asyncio.timeout(3):
        await until(lambda: len(call.room.messages) > before + 1)


async def test_the_bot_stops_speaking_when_the_audio_has_been_played(call: Call) -> None:
    await call.start()
    await call.say(noise(0.6))
    await until(lambda: bool(call.spoken.of(BotStoppedSpeakingFrame)))
    lateness = call.spoken.when(BotStoppedSpeakingFrame) - call.room.stream.played_at
    assert -0.1 <= lateness <= 1.0
    assert len(call.spoken.of(BotStartedSpeakingFrame)) == 1
    await call.end()


async def test_messages_go_to_everybody_or_to_one(call: Call) -> None:
    await call.start()
    await call.worker.queue_frame(OutputTransportMessageFrame(message={"to": "all"}))
    await call.worker.queue_frame(
        DailyOutputTransportMessageFrame(message={"to": "one"}, participant_id="somebody")
    )
    await call.end()
    assert [(sent.message["to"], sent.to) for sent in call.room.messages] == [
        ("all", None),
        ("one", "somebody"),
    ]


async def test_the_bots_name_is_shown_and_the_processors_have_theirs(call: Call) -> None:
    await call.start(input_name="ears", output_name="mouth")
    assert call.room.bot_name == "Ada"
    assert (call.transport.input().name, call.transport.output().name) == ("ears", "mouth")
    await call.end()


async def test_a_second_destination_is_a_track_of_its_own(call: Call) -> None:
    await call.start(params={"audio_out_destinations": ["other"]})
    assert set(call.room.tracks) == {"stream", "other"}
    await call.say(noise(0.2))
    await call.end()
    assert call.room.stream.pcm.startswith(noise(0.2))
    assert call.room.tracks["other"].source.pcm.count(0) == len(
        call.room.tracks["other"].source.pcm
    )


async def test_an_end_with_nothing_said_leaves_and_ends_once(call: Call) -> None:
    await call.start()
    await call.worker.queue_frame(EndFrame())
    await call.over(10)
    assert len(call.room.noted("leave")) == len(call.room.noted("release")) == 1
    assert len(call.tavus.of("POST /conversations/{id}/end")) == 1
    assert not call.errors
