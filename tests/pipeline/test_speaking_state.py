"""What the pipeline is told of the bot's speech is what the person hears."""

import asyncio
import statistics
from base64 import b64decode

import pytest
from bots import tone, until
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    MetricsFrame,
)

from pipecat_tavus import (
    ConversationCreateMetricsData,
    ReplicaSpeechMetricsData,
    RoomJoinMetricsData,
    TavusConfigError,
    TavusParams,
    TavusTransport,
)
from pipeline.speech import both_deliveries, scene

pytestmark = pytest.mark.in_real_time

RATE = 24000


@both_deliveries
async def test_speech_is_heard_bit_for_bit(monkeypatch, delivery):
    speech = tone(1.53, RATE)
    async with scene(monkeypatch, delivery) as it:
        await it.bot.say(speech, RATE)
        await it.spoken()
        await until(lambda: len(it.heard("stopped_speaking")) == 1)
        assert it.person.heard_pcm().rstrip(b"\0") == speech
        await until(lambda: it.bot.written().rstrip(b"\0") == speech)


def off(told: list[float], heard: list[float]) -> float:
    """By how many seconds the pipeline was told too early or too late, mostly."""
    return statistics.median(abs(t - h) for t, h in zip(told, heard, strict=True))


async def says_thrice(it):
    for n in range(1, 4):
        await it.bot.say(tone(0.2 + n / 10, RATE, seed=n), RATE)
        await it.spoken(n)
        await until(lambda n=n: len(it.heard("stopped_speaking")) == n)
        # That it stopped is known only after a pause.
        await asyncio.sleep(0.05)
    return it.told(BotStartedSpeakingFrame), it.told(BotStoppedSpeakingFrame)


@both_deliveries
@pytest.mark.parametrize(
    ("replica", "late"),
    [
        ({"events": "old"}, 0.0),
        ({"events": "both", "role_name": "pal"}, 0.0),
        # An event that is held back to be overtaken comes by so much later.
        ({"events": "new", "disorder": True}, 0.15),
    ],
    ids=["old events", "both forms", "disorder"],
)
async def test_the_bot_starts_and_stops_when_the_person_hears_it(
    monkeypatch, delivery, replica, late
):
    async with scene(monkeypatch, delivery, replica=replica) as it:
        started, stopped = await says_thrice(it)
        assert off(started, it.heard("started_speaking")) < 0.1 + late
        assert off(stopped, it.heard("stopped_speaking")) < 0.1 + late


@both_deliveries
@pytest.mark.parametrize(
    ("replica", "params"),
    [({"events": "none"}, {}), ({}, {"replica_speaking_events": False})],
    ids=["it says nothing", "it is not listened to"],
)
async def test_without_the_replicas_word_the_audio_clock_counts(
    monkeypatch, delivery, replica, params
):
    replica = {"rendering_delay": 0.2, **replica}
    async with scene(monkeypatch, delivery, replica=replica, params=params) as it:
        started, stopped = await says_thrice(it)
        # Which knows nothing of the replica's delay, and the first time waits for its word.
        heard = [[at - 0.2 for at in it.heard(e)] for e in ("started_speaking", "stopped_speaking")]
        assert off(started, heard[0]) < 0.1
        assert off(stopped, heard[1]) < 0.1


async def test_what_the_replica_says_by_itself_is_the_bots_speech_as_well(monkeypatch):
    async with scene(monkeypatch, "echo") as it:
        await it.bot.transport.echo_text("three words only")
        await it.spoken()
        await until(lambda: it.heard("stopped_speaking"))
        assert off(it.told(BotStartedSpeakingFrame), it.heard("started_speaking")) < 0.2
        assert off(it.told(BotStoppedSpeakingFrame), it.heard("stopped_speaking")) < 0.2


@both_deliveries
async def test_a_slow_voice_is_one_utterance_with_its_pauses(monkeypatch, delivery):
    async with scene(monkeypatch, delivery) as it:
        pieces = [tone(0.4, RATE, seed=n) for n in range(3)]
        for n, piece in enumerate(pieces):
            await it.bot.say(piece, RATE, stopped=n == 2)
            await asyncio.sleep(0.5)
        await it.spoken()
        await until(lambda: len(it.person.heard_pcm().replace(b"\0\0", b"")) == 1.2 * RATE * 2)
        assert len(it.told(BotStartedSpeakingFrame)) == len(it.told(BotStoppedSpeakingFrame)) == 1
        await until(lambda: it.bot.written().replace(b"\0\0", b"") == b"".join(pieces))


@both_deliveries
async def test_the_metrics_say_how_soon_the_replica_spoke(monkeypatch, delivery):
    async with scene(monkeypatch, delivery, metrics=True) as it:
        await it.bot.say(tone(0.5, RATE), RATE)
        await it.spoken()
        data = [d for f in it.bot.spoken.of(MetricsFrame) for d in f.data]
        [create] = [d for d in data if isinstance(d, ConversationCreateMetricsData)]
        [join] = [d for d in data if isinstance(d, RoomJoinMetricsData)]
        [speech] = [d for d in data if isinstance(d, ReplicaSpeechMetricsData)]
        assert 0 < create.value < 5 and 0 < join.value < 5
        assert 0.25 <= speech.value < 2
        assert speech.processor == it.bot.transport.output().name


async def test_there_are_no_metrics_where_nobody_wants_them(monkeypatch):
    async with scene(monkeypatch) as it:
        await it.bot.say(tone(0.3, RATE), RATE)
        await it.spoken()
        assert it.bot.spoken.of(MetricsFrame) == []


@both_deliveries
async def test_the_end_comes_when_everything_was_heard(monkeypatch, delivery):
    speech = tone(1.51, RATE)
    async with scene(monkeypatch, delivery) as it:
        await it.bot.say(speech, RATE, stopped=False)
        await it.bot.worker.queue_frame(EndFrame())
        await it.bot.finish()
        assert it.person.heard_pcm().rstrip(b"\0") == speech
        await until(lambda: it.bot.written().rstrip(b"\0") == speech)
        assert len(it.told(BotStoppedSpeakingFrame)) == 1


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
async def test_speech_at_any_rate_is_echoed_whole(monkeypatch, rate):
    async with scene(monkeypatch, "echo") as it:
        await it.bot.say(tone(1.0, rate), rate)
        await it.spoken()
        await until(lambda: it.heard("stopped_speaking"))
        assert len(it.person.heard_pcm().rstrip(b"\0")) / 2 / RATE == pytest.approx(1, abs=0.02)


async def test_echoed_speech_is_cut_into_chunks_with_one_end_for_each_utterance(monkeypatch):
    async with scene(monkeypatch, "echo", params={"echo_chunk_ms": 60}) as it:
        for n in (1, 2):
            await it.bot.say(tone(0.5, RATE, seed=n), RATE)
            await it.spoken(n)
        chunks = [m["properties"] for m in it.messages("conversation.echo")]
        ids = list(dict.fromkeys(c["inference_id"] for c in chunks))
        assert len(ids) == 2
        for id in ids:
            of_one = [c for c in chunks if c["inference_id"] == id]
            assert [c["done"] for c in of_one] == [False] * (len(of_one) - 1) + [True]
            sizes = {len(b64decode(c["audio"])) for c in of_one[:-1]}
            assert sizes == {RATE * 60 // 1000 * 2}
            assert {(c["modality"], c["sample_rate"]) for c in of_one} == {("audio", RATE)}


def test_what_echo_cannot_do_is_refused_before_anything_is_opened():
    for params in ({"audio_out_channels": 2}, {"audio_out_mixer": {}}):
        with pytest.raises(TavusConfigError, match=next(iter(params))):
            TavusTransport(
                "Ada",
                api_key="k",
                replica_id="r1",
                persona_id="pipecat0",
                params=TavusParams.model_construct(**TavusParams().model_dump() | params),
            )


@both_deliveries
async def test_the_bot_stops_speaking_where_the_room_is_closed_under_it(monkeypatch, delivery):
    async with scene(monkeypatch, delivery) as it:
        await it.bot.say(tone(5, RATE), RATE)
        await it.speaks()
        await asyncio.sleep(0.5)
        it.sandbox.close_room(it.id)
        await it.bot.finish()
        assert len(it.told(BotStoppedSpeakingFrame)) == 1
        assert len(it.bot.written()) / 2 / RATE < 2
