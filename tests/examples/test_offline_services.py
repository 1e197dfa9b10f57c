#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice bot's off-line services: real speech in, answers that depend on it, speech out."""

import wave
from pathlib import Path

import numpy as np
import pytest
from offline.answering import GREETING, PARDON, RuleBasedLLMService, answer, answer_messages
from offline.hearing import PocketSphinxSTTService, Recognizer, RecognizerError
from offline.speaking import EspeakTTSService, espeak
from pipecat.audio.utils import create_file_resampler
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

AUDIO = Path(__file__).parents[2] / "examples" / "audio"
RECORDINGS = {
    "go_forward_ten_meters": "go forward ten meters",
    "go_somewhere_and_do_something": "go somewhere and do something",
    "seven_of_clubs": "seven of clubs",
    "ten_of_clubs": "ten of clubs",
}


def recording(name: str) -> bytes:
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        return file.readframes(file.getnframes())


def audio_frames(pcm: bytes, rate: int = 16000) -> list[Frame]:
    size = rate // 50 * 2
    return [
        InputAudioRawFrame(audio=pcm[i : i + size], sample_rate=rate, num_channels=1)
        for i in range(0, len(pcm), size)
    ]


class Sink(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
        await self.push_frame(frame, direction)

    def of(self, kind: type[Frame]) -> list:
        return [frame for frame in self.frames if isinstance(frame, kind)]


async def run(
    *processors: FrameProcessor, send: list[Frame], rate: int = 16000
) -> tuple[Sink, list[ErrorFrame]]:
    """What comes out of the processors, and the errors, for the frames sent."""
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([*processors, sink]),
        params=PipelineParams(audio_in_sample_rate=rate, audio_out_sample_rate=24000),
        enable_rtvi=False,
    )
    errors: list[ErrorFrame] = []

    @worker.event_handler("on_pipeline_error")
    async def on_pipeline_error(_worker: PipelineWorker, frame: ErrorFrame) -> None:
        errors.append(frame)

    await worker.queue_frames([*send, EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    return sink, errors


@pytest.mark.parametrize("name", RECORDINGS)
async def test_recorded_speech_is_understood_word_for_word(name: str):
    silence = bytes(16000 * 2)
    heard, errors = await run(
        VADProcessor(vad_analyzer=SileroVADAnalyzer()),
        PocketSphinxSTTService(),
        send=audio_frames(silence + recording(name) + silence),
    )
    assert [frame.text for frame in heard.of(TranscriptionFrame)] == [RECORDINGS[name]]
    assert all(frame.finalized for frame in heard.of(TranscriptionFrame))
    assert errors == []


async def test_what_was_said_before_changes_nothing_in_what_is_understood():
    silence = bytes(16000 * 2)
    said = b"".join(silence + recording(name) for name in (*RECORDINGS, *RECORDINGS)) + silence
    heard, _ = await run(
        VADProcessor(vad_analyzer=SileroVADAnalyzer()),
        PocketSphinxSTTService(),
        send=audio_frames(said),
    )
    assert [frame.text for frame in heard.of(TranscriptionFrame)] == [*RECORDINGS.values()] * 2


async def test_speech_at_another_sample_rate_is_understood_too():
    pcm = await create_file_resampler().resample(recording("go_forward_ten_meters"), 16000, 24000)
    heard, _ = await run(
        PocketSphinxSTTService(),
        send=[
            VADUserStartedSpeakingFrame(),
            *audio_frames(bytes(24000) + pcm, rate=24000),
            VADUserStoppedSpeakingFrame(),
        ],
        rate=24000,
    )
    assert [frame.text for frame in heard.of(TranscriptionFrame)] == ["go forward ten meters"]


async def test_a_recognizer_that_takes_too_long_is_an_error_and_not_a_wait():
    heard, errors = await run(
        PocketSphinxSTTService(timeout=0.001),
        send=[
            VADUserStartedSpeakingFrame(),
            *audio_frames(recording("ten_of_clubs")),
            VADUserStoppedSpeakingFrame(),
        ],
    )
    assert heard.of(TranscriptionFrame) == []
    assert ["no answer within 0.001 s" in error.error for error in errors] == [True]


async def test_a_recognizer_that_died_is_replaced_by_a_new_one():
    recognizer = Recognizer(timeout=30)
    await recognizer.start()
    try:
        first = recognizer._process
        assert first is not None
        first.kill()
        with pytest.raises(RecognizerError, match=r"died|lost|reset"):
            await recognizer.recognize(recording("ten_of_clubs"))
        assert await recognizer.recognize(recording("seven_of_clubs")) == "seven of clubs"
        second = recognizer._process
    finally:
        await recognizer.stop()
    assert second is not None
    assert second.returncode == 0


def speech(sink: Sink) -> bytes:
    return b"".join(frame.audio for frame in sink.of(TTSAudioRawFrame))


async def test_speech_is_as_long_as_its_text_and_arrives_whole():
    texts = ("One two three.", "One two three four five six seven eight nine ten eleven twelve.")
    seconds = []
    for text in texts:
        said, errors = await run(EspeakTTSService(), send=[TTSSpeakFrame(text)])
        assert errors == []
        assert {frame.sample_rate for frame in said.of(TTSAudioRawFrame)} == {24000}
        assert len(said.of(TTSStartedFrame)) == len(said.of(TTSStoppedFrame)) == 1
        pcm = speech(said)
        assert np.abs(np.frombuffer(pcm, np.int16)).max() > 3000
        seconds.append(len(pcm) / 2 / 24000)
        native = espeak().speak(text, voice="en", words_per_minute=185, timeout=10)
        assert seconds[-1] == pytest.approx(len(native.pcm) / 2 / espeak().sample_rate, abs=0.01)
    assert 0.15 < seconds[0] / 3 < 0.7
    assert 0.15 < seconds[1] / 12 < 0.7


async def test_each_word_of_a_turn_comes_once_with_the_time_when_it_is_spoken():
    texts = ["One, two.", "Three (four)!"]
    said, errors = await run(
        EspeakTTSService(),
        send=[LLMFullResponseStartFrame(), *map(LLMTextFrame, texts), LLMFullResponseEndFrame()],
    )
    assert errors == []
    words = said.of(TTSTextFrame)
    assert [word.text for word in words] == " ".join(texts).split()
    first, *_ = times = [word.pts / 1e9 for word in words]
    speeches = [
        espeak().speak(text, voice="en", words_per_minute=185, timeout=10) for text in texts
    ]
    start = len(speeches[0].pcm) / 2 / espeak().sample_rate
    expected = [at for _, at in speeches[0].words] + [start + at for _, at in speeches[1].words]
    assert [at - first for at in times] == pytest.approx(expected, abs=0.02)
    assert 0.2 < expected[1] < start < expected[3]


async def test_a_voice_that_does_not_exist_is_an_error_and_not_another_voice():
    said, errors = await run(EspeakTTSService(voice="xx"), send=[TTSSpeakFrame("Hello.")])
    assert speech(said) == b""
    assert any("no voice 'xx'" in error.error for error in errors)


def test_answers_use_the_words_that_were_heard():
    assert "going forward ten meters" in answer("go forward ten meters")
    assert "nine, ten. That was ten meters" in answer("go forward ten meters")
    assert "walking back three steps" in answer("walk back three steps")
    assert "two, three. That was three steps" in answer("walk back three steps")
    assert "jack of clubs beats the ten of clubs" in answer("ten of clubs")
    assert "eight of hearts beats the seven of hearts" in answer("seven of hearts")
    assert "No card beats the ace of spades" in answer("ace of spades")
    assert "to go and to do" in answer("go somewhere and do something")
    assert "number seven" in answer("seven")
    assert "3 words" in answer("blue green red")
    assert all(answer(words).startswith(f"You said: {words}.") for words in RECORDINGS.values())


def test_a_conversation_begins_with_a_greeting_and_a_turn_without_words_is_asked_again():
    system = {"role": "developer", "content": "Be kind."}
    user = {"role": "user", "content": [{"type": "text", "text": "ten of clubs"}]}
    assert answer_messages([]) == answer_messages([system]) == GREETING
    assert answer_messages([system, user]) == answer("ten of clubs")
    assert answer_messages([user, {"role": "assistant", "content": "?"}, system]) == PARDON
    assert answer("...") == PARDON


async def test_an_answer_is_streamed_as_a_language_model_streams_it():
    context = LLMContext([{"role": "user", "content": "ten of clubs"}])
    said, errors = await run(RuleBasedLLMService(), send=[LLMContextFrame(context)])
    kinds = [
        type(frame)
        for frame in said.frames
        if isinstance(frame, LLMFullResponseStartFrame | LLMTextFrame | LLMFullResponseEndFrame)
    ]
    assert kinds[0] is LLMFullResponseStartFrame
    assert kinds[-1] is LLMFullResponseEndFrame
    assert kinds.count(LLMTextFrame) > 5
    assert "".join(frame.text for frame in said.of(LLMTextFrame)) == answer("ten of clubs")
    assert errors == []
