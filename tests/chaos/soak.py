"""Soak: conversations one after another in one process, which must not grow.

    python tests/chaos/soak.py --conversations 1000 --mode pipeline
    python tests/chaos/soak.py --conversations 1000 --mode client
    python tests/chaos/soak.py --conversations 1000 --mode baseline

``pipeline`` is a bot with the whole transport, ``client`` the client alone, and ``baseline``
a pipeline without either, which tells what Pipecat itself keeps. The sandbox runs in another
process, so that its book does not count. Memory is measured against what it was after the
first tenth, at least 10 conversations; file descriptors, threads and tasks, and the library's
own registries, must not grow at all. Exit status 1 if something does.
"""

import argparse
import asyncio
import gc
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# As a script as well as a module: `chaos` is this folder, not one of its files.
here = Path(__file__).resolve().parent
sys.path[:] = [str(here.parent), *(p for p in sys.path if Path(p or ".").resolve() != here)]

from bots import tone  # noqa: E402
from loguru import logger  # noqa: E402
from pipecat.frames.frames import (  # noqa: E402
    EndFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineParams, PipelineWorker  # noqa: E402
from pipecat.processors.filters.identity_filter import IdentityFilter  # noqa: E402
from pipecat.utils.asyncio.task_manager import TaskManager  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402

from pipecat_tavus import (  # noqa: E402
    TavusCallbacks,
    TavusParams,
    TavusTransport,
    TavusTransportClient,
)
from pipecat_tavus.conversation import farewell, orphans  # noqa: E402

RATE = 24000
SPEECH = tone(0.2, RATE)
MAX_GROWTH_MB = 5.0
_THREADS = 2


@dataclass(frozen=True)
class Footprint:
    """What the process holds."""

    rss_mb: float
    files: int
    threads: int
    tasks: int
    owed: int

    @classmethod
    def now(cls) -> "Footprint":
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # pyright: ignore
        return cls(
            resident / 1024,
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(asyncio.all_tasks()),
            len(farewell._debtors) + len(orphans.living),
        )

    def __str__(self) -> str:
        return (
            f"{self.rss_mb:.1f} MB, {self.files} files, {self.threads} threads, "
            f"{self.tasks} tasks, {self.owed} owed"
        )


async def _run(worker: PipelineWorker) -> None:
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def pipeline() -> None:
    """A bot says something and is told to end."""
    # Without the silence that Pipecat plays at an end, 2 s of it by default.
    params = TavusParams(audio_out_end_silence_secs=0)
    transport = TavusTransport(bot_name="Ada", params=params)
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        params=PipelineParams(audio_out_sample_rate=RATE),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    speech = [TTSStartedFrame(), TTSAudioRawFrame(SPEECH, RATE, 1), TTSStoppedFrame()]
    await worker.queue_frames([*speech, EndFrame()])
    await _run(worker)


class _Setup:
    """What a client takes of a processor's setup."""

    audio_in_sample_rate = 16000
    audio_out_sample_rate = RATE

    def __init__(self):
        self.task_manager = TaskManager(loop=asyncio.get_running_loop())


async def client() -> None:
    """The client alone goes through its life."""
    client = TavusTransportClient(
        bot_name="Ada",
        callbacks=TavusCallbacks(),
        api_key=os.environ["TAVUS_API_KEY"],
        replica_id="r1",
    )
    try:
        await client.setup(_Setup())
        await client.join()
        await client.stop()
    finally:
        await client.cleanup()


async def baseline() -> None:
    """A pipeline that has nothing of this library."""
    worker = PipelineWorker(
        Pipeline([IdentityFilter(), IdentityFilter()]), enable_rtvi=False, idle_timeout_secs=None
    )
    await worker.queue_frames([TTSAudioRawFrame(SPEECH, RATE, 1), EndFrame()])
    await _run(worker)


MODES: dict[str, Callable[[], Awaitable[None]]] = {
    "pipeline": pipeline,
    "client": client,
    "baseline": baseline,
}


class Sandbox:
    """A sandbox in a process of its own."""

    async def __aenter__(self) -> "Sandbox":
        arguments = ("--port", "0", "--join-delay", "0")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipecat_tavus.sandbox", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.created = self.ended_by_us = 0
        ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read(ready))
        async with asyncio.timeout(60):
            await ready.wait()
        return self

    async def _read(self, ready: asyncio.Event) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            words = line.decode().strip()
            if set_to := re.match(r"export (TAVUS_\w+)=(.*)", words):
                os.environ[set_to[1]] = set_to[2]
            elif words.startswith("Ctrl-C"):
                ready.set()
            self.created += ": created" in words
            self.ended_by_us += "end_conversation_endpoint_hit" in words

    async def __aexit__(self, *exc: object) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._reading


async def soak(mode: str, conversations: int) -> list[str]:
    """Hold so many conversations; what grew."""
    first = max(10, conversations // 10)
    began, watched = time.monotonic(), sys.stderr.isatty()
    # The loop's own threads come one by one, up to a limit: all of them are there at once.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.1) for _ in range(_THREADS)))
    async with Sandbox() as sandbox:
        before = None
        for number in range(1, conversations + 1):
            await MODES[mode]()
            if number == first:
                before = Footprint.now()
                print(f"{mode}: after {number}: {before}", flush=True)
            if watched:
                print(f"  {number}/{conversations}", end="\r", file=sys.stderr, flush=True)
            elif number % max(1, conversations // 10) == 0:
                print(f"  {number}: {Footprint.now()}", file=sys.stderr, flush=True)
        after = Footprint.now()
        # What the sandbox's process says comes behind, and what only ends is no growth.
        for _ in range(500):
            if sandbox.ended_by_us == sandbox.created and not _grown(before, after):
                break
            await asyncio.sleep(0.02)
            after = Footprint.now()
        wrong = [] if sandbox.ended_by_us == sandbox.created else ["not all were ended by us"]
        created = sandbox.created
    assert before
    print(f"{mode}: after {conversations}: {after}")
    growth = after.rss_mb - before.rss_mb
    per = 1024 * growth / max(1, conversations - first)
    print(
        f"{mode}: {created} conversations in {time.monotonic() - began:.0f} s, "
        f"memory {growth:+.2f} MB since the first {first} ({per:+.2f} kB each)"
    )
    if growth > MAX_GROWTH_MB:
        wrong.append(f"memory grew by {growth:.1f} MB")
    return wrong + _grown(before, after)


def _grown(before: Footprint | None, after: Footprint) -> list[str]:
    counts = ("files", "threads", "tasks", "owed")
    grown = [(what, getattr(before, what), getattr(after, what)) for what in counts]
    return [f"{what} grew from {then} to {now}" for what, then, now in grown if now > then]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--conversations", type=int, default=1000, help="(%(default)s)")
    parser.add_argument("--mode", choices=list(MODES), default="pipeline", help="(%(default)s)")
    options = parser.parse_args()
    logger.remove()
    os.environ.pop("TAVUS_SAMPLE_ROOM_URL", None)
    with tempfile.TemporaryDirectory() as state:
        os.environ["TAVUS_LEDGER"] = str(Path(state) / "ledger.sqlite3")
        wrong = asyncio.run(soak(options.mode, options.conversations))
    for it in wrong:
        print(f"FAILED {it}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
