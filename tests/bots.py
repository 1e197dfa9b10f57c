"""A bot to be tested: a real Pipecat pipeline around a transport, and what it saw."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus.handlers import EVENTS

T = TypeVar("T")
F = TypeVar("F", bound=Frame)

PATIENCE = 20.0
"""Seconds until something counts as never coming, on a machine however busy."""


async def until(condition: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Wait until something is so; what it is."""
    async with asyncio.timeout(timeout):
        while not (value := condition()):
            await asyncio.sleep(0.005)
    return value


class Device(BaseOutputTransport):
    """An output of Pipecat's own, which plays at once and nowhere."""

    def __init__(self) -> None:
        params = TransportParams(audio_out_enabled=True, audio_out_end_silence_secs=0)
        super().__init__(params, name="device")

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        return True


class Recorder(FrameProcessor):
    """Keeps each frame that passes, with the time, and passes it on."""

    def __init__(self, name: str):
        super().__init__(name=name)
        self.frames: list[tuple[float, Frame]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        self.frames.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)

    def of(self, *kinds: type[F]) -> list[F]:
        return [frame for _, frame in self.frames if isinstance(frame, kinds)]

    def when(self, kind: type[Frame]) -> float:
        return next(at for at, frame in self.frames if isinstance(frame, kind))

    async def first(self, kind: type[F], timeout: float = PATIENCE) -> F:
        return (await until(lambda: self.of(kind), timeout))[0]


@dataclass
class Bot:
    """A transport in a pipeline of its own: input, recorder, output, recorder.

    Parameters:
        transport: The transport.
        policy: What the worker does with an unusable processor.
        params: The pipeline's parameters.
        use: Which of ``input`` and ``output`` the pipeline has.
        before: Processors before the output.
        after: Processors behind it.
        rtvi: Whether the pipeline has Pipecat's RTVI processor.
    """

    transport: object
    policy: ProcessorUnusablePolicy = ProcessorUnusablePolicy.END
    params: PipelineParams = field(default_factory=PipelineParams)
    use: tuple[str, ...] = ("input", "output")
    before: list[FrameProcessor] = field(default_factory=list)
    after: list[FrameProcessor] = field(default_factory=list)
    rtvi: bool = False

    def __post_init__(self):
        self.events: list[tuple[float, str, tuple]] = []
        self.errors: list[ErrorFrame] = []
        self.heard = Recorder("heard")
        self.spoken = Recorder("spoken")
        for event in EVENTS:
            self.transport.add_event_handler(event, self._record(event))
        ends = {"input": [], "output": []} | {
            name: [getattr(self.transport, name)()] for name in self.use
        }
        self.worker = PipelineWorker(
            Pipeline(
                [
                    *ends["input"],
                    self.heard,
                    *self.before,
                    *ends["output"],
                    self.spoken,
                    *self.after,
                ]
            ),
            params=self.params,
            processor_unusable_policy=self.policy,
            enable_rtvi=self.rtvi,
            idle_timeout_secs=None,
        )
        self.worker.add_event_handler("on_pipeline_error", self._on_error)
        self.task: asyncio.Task | None = None

    def _record(self, event: str):
        async def handler(transport, *args):
            self.events.append((time.monotonic(), event, args))

        return handler

    async def _on_error(self, worker, frame):
        self.errors.append(frame)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *exc):
        if self.task and not self.task.done():
            await self.worker.cancel()
            await self.finish()

    async def run(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()

    async def finish(self, timeout: float = PATIENCE) -> float:
        """Wait for the run to be over; the seconds that it took."""
        began = time.monotonic()
        async with asyncio.timeout(timeout):
            await asyncio.shield(self.task)
        return time.monotonic() - began

    def named(self, event: str) -> list[tuple]:
        return [args for _, name, args in self.events if name == event]

    async def event(self, name: str, timeout: float = PATIENCE, count: int = 1) -> tuple:
        """Wait for an event; the arguments of its `count`-th call."""
        await until(lambda: len(self.named(name)) >= count, timeout)
        return self.named(name)[count - 1]

    async def started(self, timeout: float = PATIENCE) -> None:
        await self.spoken.first(StartFrame, timeout)

    async def say(self, pcm: bytes, rate: int, *, stopped: bool = True, piece: float = 0.1):
        """Queue speech as a TTS service does, all of it at once."""
        step = int(rate * piece) * 2
        frames: list[Frame] = [TTSStartedFrame()]
        frames += [TTSAudioRawFrame(pcm[i : i + step], rate, 1) for i in range(0, len(pcm), step)]
        if stopped:
            frames.append(TTSStoppedFrame())
        await self.worker.queue_frames(frames)

    def written(self) -> bytes:
        return b"".join(frame.audio for frame in self.spoken.of(OutputAudioRawFrame))


def tone(seconds: float, rate: int, *, seed: int = 1) -> bytes:
    """Audio in which no sample is zero and no two stretches are alike: PCM16 mono."""
    import numpy as np

    random = np.random.default_rng(seed)
    samples = random.integers(1000, 9000, int(seconds * rate))
    return (samples * random.choice([-1, 1], samples.size)).astype("<i2").tobytes()
