"""Where a bot lives: a sandbox of its own, a ledger of its own, and a pipeline that runs."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matrix.points import Watch
from pipecat.frames.frames import EndFrame, ErrorFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import TavusError, TavusParams, TavusTransport, TavusVideoService
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox

FULL = os.environ.get("TAVUS_MATRIX") == "full"
"""Whether to take the time for everything, instead of a sample of what is beyond the promise."""

QUICK = ReplicaSettings(join_delay=0.005, rendering_delay=0.005, gap=0.05)
QUICK_PARAMS = {"request_timeout": 3, "join_timeout": 3, "audio_out_end_silence_secs": 0}
PATIENCE = 0.15
"""Seconds that an application waits for a run that is broken, before its next step."""

SetEnvironment = Callable[[TavusSandbox, Path], None]


@dataclass
class Stage:
    """Where a life takes place, and what it left behind."""

    sandbox: TavusSandbox
    ledger_path: Path
    set_environment: SetEnvironment
    watch: Watch
    errors: list[TavusError] = field(default_factory=list)
    gives_up: bool = False

    def transport(
        self, room_factory: Any = None, conversation: Any = None, **params: Any
    ) -> TavusTransport:
        self.set_environment(self.sandbox, self.ledger_path)
        more = {"room_factory": room_factory} if room_factory else {}
        if conversation:
            more |= {"conversation": conversation, "own": True}
        transport = TavusTransport(
            bot_name="Ada", params=TavusParams(**QUICK_PARAMS | params), **more
        )

        async def on_error(transport: TavusTransport, error: TavusError) -> None:
            self.errors.append(error)

        transport.add_event_handler("on_error", on_error)
        return transport

    def video_service(self) -> TavusVideoService:
        self.set_environment(self.sandbox, self.ledger_path)
        service = TavusVideoService(params=TavusParams(**QUICK_PARAMS))

        async def on_error(service: TavusVideoService, frame: ErrorFrame) -> None:
            if isinstance(frame.exception, TavusError):
                self.errors.append(frame.exception)

        service.add_event_handler("on_error", on_error)
        return service

    def ledger(self) -> Ledger:
        api = TavusApi(self.sandbox.api_key, None, base_url=self.sandbox.api_url)
        return Ledger(self.ledger_path, base_url=api.base_url, fingerprint=api.fingerprint)

    def active(self) -> list[str]:
        return [c.id for c in self.sandbox.conversations.values() if c.status == "active"]

    def ends(self) -> list[str]:
        """The conversations that were ended by a call, once for each good answer."""
        return [
            r.path.split("/")[-2]
            for r in self.sandbox.requests
            if r.method == "POST" and r.path.endswith("/end") and r.status == 200
        ]

    def bots(self) -> list[str]:
        return [b for c in self.sandbox.conversations for b in self.sandbox.room(c).ids("bot")]


class Run:
    """A transport, or other processors, in a real pipeline that runs."""

    def __init__(
        self, transport: TavusTransport | None, use: tuple[str, ...] = ("input", "output"), *others
    ):
        self.worker = PipelineWorker(
            Pipeline([*(getattr(transport, name)() for name in use), *others]),
            processor_unusable_policy=ProcessorUnusablePolicy.END,
            enable_rtvi=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=PATIENCE,
        )
        self.begun = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", self._begin)
        self.task = asyncio.create_task(self._run(), name="application")

    async def _begin(self, *args: Any) -> None:
        self.begun.set()

    async def _run(self) -> None:
        self.runner = WorkerRunner(handle_sigint=False)
        await self.runner.add_workers(self.worker)
        await self.runner.run()

    async def started(self, watch: Watch) -> bool:
        """Wait for the start; False where the run is over, or spoiled."""
        until = time.monotonic() + 10
        while not self.begun.is_set():
            if watch.struck:
                until = min(until, time.monotonic() + PATIENCE)
            if self.task.done() or time.monotonic() > until:
                return False
            await asyncio.sleep(0.002)
        # The worker is told a moment later, and drops a cancellation that comes before.
        await asyncio.sleep(0.01)
        return not watch.struck

    async def end(self) -> None:
        await self.worker.queue_frame(EndFrame())
        await self.over()

    async def cancel(self) -> None:
        self.cancelling = asyncio.create_task(self.worker.cancel())
        await self.over()

    async def over(self) -> None:
        """Wait; cancel what is stuck, as often as it takes."""
        await asyncio.wait([self.task], timeout=PATIENCE)
        if not self.task.done():
            self.cancelling = asyncio.create_task(self.worker.cancel())
        for _ in range(60):
            await asyncio.wait([self.task], timeout=PATIENCE)
            if self.task.done():
                return
            self.task.cancel()
        raise AssertionError("the run does not come to its end")
