#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A bot's call: the whole transport in a pipeline that really runs."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy
from bots import PATIENCE, Device, Recorder, until
from loguru import logger
from native import NativeDaily, Room
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner
from tavus_server import API_KEY, TavusServer

from pipecat_tavus import TavusParams, TavusTransport, TavusVideoService
from pipecat_tavus.handlers import EVENTS


@dataclass(frozen=True)
class Seen:
    """An event."""

    at: float
    what: Any
    args: tuple[Any, ...] = ()


# Pipecat's 2 s of silence behind the end would only take time, and mostly there is no replica.
QUICK = {"audio_out_end_silence_secs": 0, "replica_timeout": 0}


@dataclass
class Call:
    """A bot whose transport is `TavusTransport`, in the room of the first conversation."""

    native: NativeDaily
    tavus: TavusServer
    events: list[Seen] = field(default_factory=list)
    error_frames: list[ErrorFrame] = field(default_factory=list)
    running: asyncio.Task[None] | None = None
    transport: Any = None

    @property
    def room(self) -> Room:
        return self.native.room(self.tavus.room_url())

    def build(
        self,
        *,
        params: dict[str, Any] | None = None,
        policy: ProcessorUnusablePolicy = ProcessorUnusablePolicy.END,
        in_rate: int = 16000,
        out_rate: int = 24000,
        **options: Any,
    ) -> "Call":
        self.transport = TavusTransport(
            **{
                "bot_name": "Ada",
                "api_key": API_KEY,
                "replica_id": "r79e1c033f",
                "params": TavusParams(**{**QUICK, **(params or {})}),
                **options,
            }
        )
        for name in EVENTS:
            self.transport.add_event_handler(name, self._noting(name))
        self.heard = Recorder("after-input")
        self.spoken = Recorder("after-output")
        processors = [self.transport.input(), self.heard, self.transport.output(), self.spoken]
        return self._assemble(processors, policy, in_rate, out_rate)

    def build_service(self) -> "Call":
        """The video service instead, before somebody's device."""
        params = TavusParams(**QUICK)
        self.transport = TavusVideoService(api_key=API_KEY, replica_id="r79e1c033f", params=params)
        for name in set(EVENTS) - {"on_error"}:
            self.transport.add_event_handler(name, self._noting(name))
        self.heard = Recorder("after-service")
        self.spoken = Recorder("after-device")
        processors = [self.transport, self.heard, Device(), self.spoken]
        return self._assemble(processors, ProcessorUnusablePolicy.END, 16000, 24000)

    def _assemble(
        self,
        processors: list[FrameProcessor],
        policy: ProcessorUnusablePolicy,
        in_rate: int,
        out_rate: int,
    ) -> "Call":
        self.worker = PipelineWorker(
            Pipeline(processors),
            params=PipelineParams(audio_in_sample_rate=in_rate, audio_out_sample_rate=out_rate),
            processor_unusable_policy=policy,
            enable_rtvi=False,
            idle_timeout_secs=None,
        )
        self.started = asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def on_pipeline_started(*_: object) -> None:
            self.started.set()

        @self.worker.event_handler("on_pipeline_error")
        async def on_pipeline_error(_: object, frame: ErrorFrame) -> None:
            self.error_frames.append(frame)

        return self

    def run(self) -> asyncio.Task[None]:
        """Run the pipeline in a task of its own."""

        async def run() -> None:
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(self.worker)
            await runner.run()

        self.running = asyncio.create_task(run())
        return self.running

    async def start(self, **options: Any) -> "Call":
        """Build, run, and wait until the bot is in the room and the pipeline has started."""
        if self.transport is None:
            self.build(**options)
        self.run()
        async with asyncio.timeout(PATIENCE):
            await self.started.wait()
        await until(lambda: bool(self.of("on_connected")))
        return self

    async def say(self, pcm: bytes, sample_rate: int = 24000, *, stopped: bool = True) -> None:
        """Queue what a TTS service makes of it: faster than real time, in pieces of 100 ms."""
        step = sample_rate // 10 * 2
        frames: list[Frame] = [TTSStartedFrame()]
        for start in range(0, len(pcm), step):
            frames.append(TTSAudioRawFrame(pcm[start : start + step], sample_rate, 1))
        if stopped:
            frames.append(TTSStoppedFrame())
        await self.worker.queue_frames(frames)

    async def interrupt(self) -> float:
        at = time.monotonic()
        await self.worker.queue_frame(InterruptionFrame())
        return at

    async def end(self, within: float = PATIENCE) -> float:
        """End as a bot does, with an EndFrame; returns how long it took."""
        await self.worker.queue_frame(EndFrame())
        return await self.over(within)

    async def over(self, within: float) -> float:
        """Wait until the run is over by itself; returns how long it took."""
        assert self.running
        start = time.monotonic()
        async with asyncio.timeout(within):
            await asyncio.shield(self.running)
        return time.monotonic() - start

    async def aclose(self) -> None:
        """Whatever a test left behind."""
        if self.running and not self.running.done():
            await self.worker.cancel()
            await asyncio.wait([self.running], timeout=PATIENCE)
        if self.transport:
            await asyncio.wait_for(self.transport.close(), PATIENCE)
        # What the real module would print to stderr.
        assert not self.native.errors, self.native.errors

    def of(self, event: str) -> list[tuple[Any, ...]]:
        """What an event was told, each time."""
        return [seen.args for seen in self.events if seen.what == event]

    @property
    def errors(self) -> list[Any]:
        return [error for (error,) in self.of("on_error")]

    def when(self, event: str) -> float:
        return next(seen.at for seen in self.events if seen.what == event)

    def _noting(self, name: str) -> Callable[..., Any]:
        async def note(_: Any, *args: Any) -> None:
            self.events.append(Seen(time.monotonic(), name, args))

        return note


def noise(seconds: float, sample_rate: int = 24000, seed: int = 1) -> bytes:
    """PCM16 mono of which no piece is like another, and none is silent."""
    samples = numpy.random.default_rng(seed).integers(-9000, 9000, round(seconds * sample_rate))
    return samples.astype(numpy.int16).tobytes()


def tone(seconds: float, sample_rate: int) -> bytes:
    """A steady tone of 400 Hz, the same at any rate."""
    time_ = numpy.arange(round(seconds * sample_rate)) / sample_rate
    return (numpy.sin(time_ * 2 * numpy.pi * 400) * 12000).astype(numpy.int16).tobytes()


def loudness(pcm: bytes) -> float:
    """The mean energy of PCM16, as amplitude."""
    samples = numpy.frombuffer(pcm, dtype=numpy.int16).astype(float)
    return float(numpy.sqrt((samples**2).mean())) if len(samples) else 0.0


def captured_log(level: str = "TRACE") -> Iterator[list[str]]:
    """Everything that is logged, with the variables of each traceback."""
    lines: list[str] = []
    sink = logger.add(lines.append, level=level, diagnose=True, backtrace=True, format=_everything)
    yield lines
    logger.remove(sink)


def _everything(record: Any) -> str:
    return "{level} {name}:{function} {message} {extra}\n{exception}\n"
