"""The video service: the replica between a bot and people at another transport."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from bots import Bot, Recorder, tone, until
from pipecat.frames.frames import (
    BotConnectedFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    InterruptionFrame,
    MetricsFrame,
    MixerEnableFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    OutputImageRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    OutputTransportReadyFrame,
    SpeechOutputAudioRawFrame,
    SpriteFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.pipeline.worker import PipelineParams
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from pipecat_tavus import (
    ConversationOptions,
    TavusConfigError,
    TavusOutOfCreditsError,
    TavusParams,
    TavusReplicaAbsentError,
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusVideoService,
)
from pipecat_tavus.sandbox import Picture, ReplicaSettings, TavusSandbox, mouth_of
from pipecat_tavus.sandbox.room_client import SandboxRoom
from pipeline.speech import PERSONAS, WORD, Speaker, both_deliveries

pytestmark = pytest.mark.in_real_time

RATE = 24000
ENDED_BY_US = "end_conversation_endpoint_hit"
MEDIA_LATE = 0.4


class Screen(BaseOutputTransport):
    """A person's device: Pipecat's own output, which keeps what it plays, in real time."""

    def __init__(self, ready_after: float = 0.0):
        super().__init__(
            TransportParams(
                audio_out_enabled=True,
                audio_out_end_silence_secs=0,
                video_out_enabled=True,
                video_out_is_live=True,
                video_out_width=320,
                video_out_height=240,
                video_out_framerate=25,
            ),
            name="screen",
        )
        self.played: list[tuple[float, bytes]] = []
        self.seen: list[tuple[float, float]] = []
        self.messages: list = []
        self._ready_after = ready_after
        self._free_at = 0.0

    async def start(self, frame):
        await super().start(frame)
        await asyncio.sleep(self._ready_after)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame):
        now = time.monotonic()
        self.played.append((now, frame.audio))
        self._free_at = max(self._free_at, now) + len(frame.audio) / 2 / RATE
        # A device has a small buffer.
        await asyncio.sleep(max(0.0, self._free_at - now - 0.06))
        return True

    async def write_video_frame(self, frame):
        mouth = mouth_of(Picture(frame.image, *frame.size))
        self.seen.append((time.monotonic(), mouth))
        return True

    async def send_message(self, frame):
        self.messages.append(frame.message)

    @property
    def audio(self) -> bytes:
        return b"".join(audio for _, audio in self.played)

    @property
    def sounds(self) -> list[float]:
        """When a piece was played that is no silence."""
        return [at for at, audio in self.played if any(audio)]

    @property
    def mouth_open(self) -> list[float]:
        return [at for at, mouth in self.seen if mouth > 0.2]

    def played_at(self, place: int) -> float:
        """When the sample at a place of the audio was played."""
        for at, piece in self.played:
            if place < len(piece):
                return at
            place -= len(piece)
        raise AssertionError


class LateRoom(SandboxRoom):
    """A room whose sound is slower than its messages."""

    async def capture_participant_audio(self, participant_id, callback, *args, **kwargs):
        loop = asyncio.get_running_loop()
        waiting = asyncio.Queue()

        async def deliver():
            while True:
                due, heard = await waiting.get()
                await asyncio.sleep(due - loop.time())
                await callback(*heard)

        async def later(*heard):
            waiting.put_nowait((loop.time() + MEDIA_LATE, heard))

        self._start(deliver(), "late")
        await super().capture_participant_audio(participant_id, later, *args, **kwargs)


class Behind:
    """A transport whose events are the service's, for a `Bot`."""

    def __init__(self, service: TavusVideoService, screen: Screen):
        self.add_event_handler = service.add_event_handler
        self.output = lambda: screen


@dataclass
class Call:
    """Who is there.

    Parameters:
        sandbox: Tavus.
        service: The service.
        screen: What the person has.
        bot: The bot.
        between: What the service pushes down.
    """

    sandbox: TavusSandbox
    service: TavusVideoService
    screen: Screen
    bot: Bot
    between: Recorder
    starts: list = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.service.conversation.id

    @property
    def stage(self):
        return self.sandbox.conversations[self.id]

    async def say(self, speech: bytes, **kwargs):
        self.starts.append(time.monotonic())
        await self.bot.say(speech, RATE, **kwargs)

    def told(self, kind) -> list[float]:
        """When the pipeline was told, behind the screen."""
        return [at for at, frame in self.bot.spoken.frames if isinstance(frame, kind)]

    async def until_told(self, kind, count=1):
        await until(lambda: len(self.told(kind)) >= count)

    def sent(self, event_type) -> list[dict]:
        sent = [m.message for m in self.sandbox.room(self.id).messages]
        return [m for m in sent if isinstance(m, dict) and m.get("event_type") == event_type]


@asynccontextmanager
async def call(
    monkeypatch,
    delivery="track",
    *,
    replica=None,
    params=None,
    metrics=False,
    before=(),
    ready=0.0,
    ended=ENDED_BY_US,
    **more,
):
    """A bot and a person at another transport, and the replica between them."""
    settings = {"join_delay": 0.05, "rendering_delay": 0.2, **(replica or {})}
    bot = {name: more.pop(name) for name in ("rtvi", "after") if name in more}
    async with TavusSandbox(replica=ReplicaSettings(**settings)) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        service = TavusVideoService(
            persona_id=PERSONAS[delivery],
            params=TavusParams(**{"audio_out_end_silence_secs": 0, **(params or {})}),
            **more,
        )
        screen, between = Screen(ready), Recorder("between")
        async with Bot(
            Behind(service, screen),
            use=("output",),
            before=[*before, service, between],
            params=PipelineParams(enable_metrics=metrics),
            **bot,
        ) as it:
            yield Call(sandbox, service, screen, it, between)
        for id, conversation in sandbox.conversations.items():
            assert conversation.shutdown_reason == ended
            assert sandbox.refusals(id) == []


@both_deliveries
async def test_what_the_bot_says_comes_out_whole_in_the_replicas_voice_and_on_its_lips(
    monkeypatch, delivery
):
    speech = tone(1.23, RATE)
    async with call(monkeypatch, delivery) as it:
        await until(lambda: it.screen.seen)
        await it.say(speech)
        await it.until_told(BotStoppedSpeakingFrame)
        assert it.screen.audio.strip(b"\0") == speech
        lips, sounds = it.screen.mouth_open, it.screen.sounds
        assert abs(lips[0] - sounds[0]) < 0.3
        assert abs(lips[-1] - sounds[-1]) < 0.3
        # Nothing comes behind it by which that could be known, in a room that is so silent.
        assert it.told(BotStoppedSpeakingFrame)[0] - sounds[-1] < 1.5
        # The replica's in place of the bot's own; and who plays it tells that it speaks.
        assert it.between.of(TTSAudioRawFrame) == []
        for recorder in (it.bot.heard, it.between, it.bot.spoken):
            await recorder.first(BotStoppedSpeakingFrame)
            assert len(recorder.of(BotStartedSpeakingFrame)) == 1
            assert len(recorder.of(BotStoppedSpeakingFrame)) == 1
        # That the bot is connected, and the transport ready, is the other transport's to tell.
        assert it.between.of(BotConnectedFrame) == []
        assert len(it.bot.heard.of(OutputTransportReadyFrame)) == 1


@pytest.mark.parametrize(
    ("delivery", "events"), [("track", "old"), ("echo", "new"), ("track", "none")]
)
async def test_words_come_with_their_sound_however_late_that_is(monkeypatch, delivery, events):
    async with call(
        monkeypatch,
        delivery,
        replica={"events": events},
        room_factory=LateRoom,
        before=[Speaker(timed=True)],
    ) as it:
        # The second time, where it says nothing: from then on it is known not to.
        turns = 2 if events == "none" else 1
        for turn in range(1, turns + 1):
            await it.bot.worker.queue_frame(TTSSpeakFrame("one two three"))
            await it.until_told(BotStoppedSpeakingFrame, turn)
        told = it.told(TTSTextFrame)[-3:]
        sound = it.screen.audio.rindex(tone(WORD, RATE, seed=1))
        off = [told[n] - it.screen.played_at(sound + int(n * WORD * RATE) * 2) for n in range(3)]
        assert -0.2 < min(off) and max(off) < 0.25


@both_deliveries
async def test_an_interruption_silences_the_replica_there_and_here(monkeypatch, delivery):
    async with call(monkeypatch, delivery, room_factory=LateRoom) as it:
        await it.say(tone(4, RATE))
        await until(lambda: it.screen.sounds)
        await asyncio.sleep(0.5)
        cut = time.monotonic()
        await it.bot.worker.queue_frame(InterruptionFrame())
        await it.until_told(BotStoppedSpeakingFrame)
        await asyncio.sleep(0.6)
        # What was in flight when it was interrupted came later, and went nowhere.
        assert it.screen.sounds[-1] - cut < 0.4
        assert len(it.sent("conversation.interrupt")) == 1
        assert len(it.told(BotStartedSpeakingFrame)) == 1
        played = len(it.screen.audio)
        await it.say(speech := tone(0.6, RATE, seed=2))
        await it.until_told(BotStoppedSpeakingFrame, 2)
        assert it.screen.audio[played:].strip(b"\0") == speech


async def test_the_time_to_first_byte_is_told_once_for_each_utterance(monkeypatch):
    async with call(monkeypatch, metrics=True) as it:
        for n in (1, 2):
            await it.say(tone(0.3, RATE, seed=n))
            await it.until_told(BotStoppedSpeakingFrame, n)
        # One that is interrupted before it is heard has none.
        await it.say(tone(0.3, RATE, seed=3), stopped=False)
        await asyncio.sleep(0.05)
        await it.bot.worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.3)
        await it.say(tone(0.3, RATE, seed=4))
        await it.until_told(BotStoppedSpeakingFrame, 3)
        told = [d for f in it.bot.spoken.of(MetricsFrame) for d in f.data]
        ttfbs = [d for d in told if isinstance(d, TTFBMetricsData) and d.value > 0]
        assert {d.processor for d in ttfbs} == {it.service.name}
        firsts = [next(at for at in it.screen.sounds if at > said) for said in it.starts]
        assert len(ttfbs) == 3
        del it.starts[2], firsts[2]
        for data, said, heard in zip(ttfbs, it.starts, firsts, strict=True):
            assert 0.2 <= data.value and abs(data.value - (heard - said)) < 0.15


async def test_what_is_no_speech_passes_by_the_replica(monkeypatch):
    effect = tone(0.3, RATE, seed=9)
    picture = Picture.plain((0, 0, 0), 320, 240)
    image = OutputImageRawFrame(picture.pixels, (320, 240), "RGB")
    other = TTSAudioRawFrame(tone(0.1, RATE), RATE, 1)
    other.transport_destination = "another"
    at_once = [
        OutputTransportMessageUrgentFrame(message={"kind": "urgent"}),
        OutputDTMFUrgentFrame.from_string("1"),
        MixerEnableFrame(True),
        image,
        SpriteFrame([image]),
        other,
    ]
    in_turn = [
        OutputTransportMessageFrame(message={"kind": "in turn"}),
        OutputDTMFFrame.from_string("2"),
        OutputAudioRawFrame(effect, RATE, 1),
    ]
    async with call(monkeypatch) as it:
        await until(lambda: it.screen.seen)
        person = await it.sandbox.join_person(it.id)
        await it.say(speech := tone(0.8, RATE))
        await it.bot.worker.queue_frames([*at_once, *in_turn])
        await until(lambda: effect in it.screen.audio)
        passed = [frame for _, frame in it.between.frames]
        for frame in [*at_once, *in_turn]:
            assert len([f for f in passed if f is frame]) == 1, frame
        first_sound = next(
            n for n, f in enumerate(passed) if isinstance(f, SpeechOutputAudioRawFrame)
        )
        assert all(passed.index(frame) < first_sound for frame in at_once)
        assert it.screen.messages == [{"kind": "urgent"}, {"kind": "in turn"}]
        # Behind the speech that was before it, of which it was no part.
        assert it.screen.audio.index(speech) < it.screen.audio.index(effect)
        assert person.heard_pcm().strip(b"\0") == speech


@both_deliveries
async def test_the_end_comes_when_everything_was_heard(monkeypatch, delivery):
    speech = tone(1.03, RATE)
    async with call(monkeypatch, delivery, room_factory=LateRoom) as it:
        await it.say(speech, stopped=False)
        await it.bot.worker.queue_frame(EndFrame())
        await it.bot.finish()
        assert it.screen.audio.strip(b"\0") == speech
        assert len(it.told(BotStoppedSpeakingFrame)) == 1
        assert it.stage.ended_at > it.screen.sounds[-1] - 0.1


async def test_the_end_is_heard_though_the_machine_stood_still_before_it(monkeypatch):
    speech = tone(1.03, RATE)
    async with call(monkeypatch, room_factory=LateRoom) as it:
        await it.say(speech)
        await it.bot.worker.queue_frame(EndFrame())
        await until(lambda: len(it.screen.audio.strip(b"\0")) > len(speech) / 2)
        time.sleep(0.8)  # noqa: ASYNC251
        await it.bot.finish()
        assert it.screen.audio.replace(b"\0\0", b"") == speech


async def test_a_cancelled_bot_ends_the_conversation(monkeypatch):
    async with call(monkeypatch) as it:
        await it.say(tone(3, RATE))
        await until(lambda: it.screen.sounds)
        await it.bot.worker.cancel()
        await it.bot.finish()
        assert it.stage.shutdown_reason == ENDED_BY_US


@pytest.mark.parametrize(("replica", "transport"), [(0.5, 0.0), (0.0, 0.5)])
async def test_speech_waits_for_the_replica_and_for_the_transport(monkeypatch, replica, transport):
    async with call(monkeypatch, replica={"join_delay": replica}, ready=transport) as it:
        await it.say(speech := tone(0.3, RATE))
        await it.until_told(BotStoppedSpeakingFrame)
        assert it.screen.audio.strip(b"\0") == speech


async def test_a_replica_that_comes_again_is_heard_and_seen(monkeypatch):
    async with call(monkeypatch) as it:
        await it.say(speech := tone(0.4, RATE))
        await it.until_told(BotStoppedSpeakingFrame)
        replica = it.sandbox.replica(it.id)
        replica.leave()
        await it.bot.event("on_replica_left")
        seen = len(it.screen.seen)
        replica.join()
        await it.bot.event("on_replica_joined", count=2)
        await it.say(again := tone(0.4, RATE, seed=2))
        await it.until_told(BotStoppedSpeakingFrame, 2)
        assert it.screen.audio.replace(b"\0\0", b"") == speech + again
        assert len(it.screen.seen) > seen + 5


async def test_nobody_else_is_heard_or_seen(monkeypatch):
    async with call(monkeypatch) as it:
        await it.bot.event("on_replica_joined")
        person = await it.sandbox.join_person(it.id, camera=Picture.plain((255, 0, 0)))
        await it.bot.event("on_client_connected")
        await person.say(tone(0.4, RATE), RATE)
        await asyncio.sleep(0.2)
        assert it.screen.sounds == []
        assert {f.size for f in it.between.of(OutputImageRawFrame)} == {(320, 240)}


async def test_a_replica_without_a_camera_is_only_heard(monkeypatch):
    options = ConversationOptions(audio_only=True)
    async with call(monkeypatch, conversation_options=options) as it:
        await it.say(speech := tone(0.4, RATE))
        await it.until_told(BotStoppedSpeakingFrame)
        assert it.screen.audio.strip(b"\0") == speech
        assert it.between.of(OutputImageRawFrame) == []
        assert it.bot.errors == []


async def test_rtvi_clients_of_the_other_transport_are_told_each_word_once(monkeypatch):
    async with call(monkeypatch, before=[Speaker(timed=True)], rtvi=True) as it:
        await it.bot.worker.queue_frame(TTSSpeakFrame("one two three"))
        await it.until_told(BotStoppedSpeakingFrame)
        words = [m["data"]["text"] for m in it.screen.messages if m["type"] == "bot-tts-text"]
        assert words == ["one", "two", "three"]


async def test_failures_are_told_as_errors_of_the_service_and_end_the_run(monkeypatch):
    async with call(
        monkeypatch,
        replica={"join_delay": 9},
        params={"replica_timeout": 0.2},
        ended="daily_room_has_been_deleted",
    ) as it:
        await it.say(tone(0.2, RATE))
        [absent] = await it.bot.event("on_error")
        assert isinstance(absent.exception, TavusReplicaAbsentError)
        it.sandbox.close_room(it.id)
        await it.bot.finish()
        closed = it.bot.errors[-1]
        assert isinstance(closed.exception, TavusRoomClosedError)
        # Of one that is in the pipeline.
        assert {e.processor for e in it.bot.errors} == {it.service}
        assert [args[0] for args in it.bot.named("on_error")] == it.bot.errors


@pytest.mark.parametrize(
    ("call", "kind"),
    [("POST /conversations", TavusOutOfCreditsError), ("JOIN", TavusRoomJoinError)],
)
async def test_a_set_up_that_fails_ends_the_run(monkeypatch, call, kind):
    async with TavusSandbox() as sandbox:
        sandbox.fail(call, status=402)
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        service = TavusVideoService(api_key=sandbox.api_key, replica_id="r1")
        async with Bot(Behind(service, Screen()), use=("output",), before=[service]) as bot:
            await bot.finish()
        [error] = bot.errors
        assert isinstance(error.exception, kind)
        assert (error.processor, error.category) == (service, error.exception.category)


def test_what_it_is_made_of_is_as_the_transports(monkeypatch):
    monkeypatch.setenv("TAVUS_API_KEY", "k")
    monkeypatch.setenv("TAVUS_FACE_ID", "f1")
    options = TavusVideoService()._client._options.body()
    assert (options["persona_id"], options["face_id"]) == ("pipecat-stream", "f1")
    assert TavusVideoService(persona_id="pipecat0")._client.audio_delivery == "echo"
    # Daily gives nothing to who does not say so.
    given = TavusVideoService(params=TavusParams(audio_in_enabled=False))._client._params
    assert given.audio_in_enabled and given.video_in_enabled
    monkeypatch.delenv("TAVUS_API_KEY")
    attached = TavusVideoService(conversation_url="https://tavus.daily.co/c1")
    assert attached.conversation.id == "c1"
    with pytest.raises(TavusConfigError):
        TavusVideoService()
