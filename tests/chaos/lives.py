"""The lives that the chaos consists of: what an application may do with a transport.

Everything here runs in a child process, which hosts several lives at once and may be killed
at any moment.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from bots import tone
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.runner import WorkerRunner

import pipecat_tavus
from pipecat_tavus import (
    TavusCallbacks,
    TavusError,
    TavusParams,
    TavusTransport,
    TavusTransportClient,
)

# Loaded before the children are forked, as all else: the transport does it when it needs it.
from pipecat_tavus.sandbox import room_client  # noqa: F401

STUCK_SECS = 40.0
"""A life that takes longer after its command hangs, which is a failure of its own."""

RATE = 24000
SPEECH = tone(1.0, RATE)

HOME = str(Path(pipecat_tavus.__file__).parent)

Report = Callable[..., None]
"""Tells the storm's process of a life: ``B``egun, ``E``nded or ``S``tuck; and of a task that
``H``angs when all are over, whose number is 1 where it is of the library."""


class Setup:
    """What a client takes of a processor's setup."""

    audio_in_sample_rate = 16000
    audio_out_sample_rate = RATE

    def __init__(self):
        self.task_manager = TaskManager(loop=asyncio.get_running_loop())


def patience(dice: random.Random) -> TavusParams:
    """Parameters of somebody in a hurry, none of whose limits ends a conversation for us."""
    return TavusParams(
        request_timeout=dice.uniform(0.3, 1.0),
        join_timeout=dice.uniform(0.3, 1.0),
        wait_for_slot=dice.choice([0.0, 0.0, 0.5]),
        participant_absent_timeout=3600,
        participant_left_timeout=3600,
        replica_left=dice.choice(["wait", "end"]),
        audio_out_10ms_chunks=dice.choice([2, 4]),
    )


def make_transport(dice: random.Random) -> TavusTransport:
    transport = TavusTransport(bot_name="Ada", params=patience(dice))
    if dice.random() < 0.15:
        event = dice.choice(["on_conversation_created", "on_connected", "on_replica_joined"])

        @transport.event_handler(event)
        async def handler(transport, *args):
            raise RuntimeError("an application's own fault")

    return transport


async def create_first(dice: random.Random, transport: TavusTransport) -> None:
    """Create the conversation before anything else, once more where that fails."""
    for _ in range(dice.choice([1, 2, 3])):
        try:
            await transport.create_conversation()
            return
        except TavusError:
            await asyncio.sleep(dice.uniform(0, 0.1))


async def run_pipeline(dice: random.Random) -> None:
    """A bot, which is told to end in one way or another, or in two."""
    transport = make_transport(dice)
    if dice.random() < 0.25:
        await create_first(dice, transport)
    parts = dice.choice([(1, 1)] * 6 + [(1, 0), (0, 1)])
    processors = [p for p, used in zip((transport.input, transport.output), parts, strict=True)]
    worker = PipelineWorker(
        Pipeline([make() for make, used in zip(processors, parts, strict=True) if used]),
        params=PipelineParams(audio_out_sample_rate=RATE),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )

    async def run() -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    task = asyncio.create_task(run())
    try:
        if dice.random() < 0.4:
            size = int(dice.uniform(0.1, 0.5) * RATE) * 2
            await worker.queue_frames(
                [TTSStartedFrame(), TTSAudioRawFrame(SPEECH[:size], RATE, 1), TTSStoppedFrame()]
            )
        for _ in range(dice.choice([1, 1, 2])):
            await asyncio.wait([task], timeout=dice.expovariate(1 / 0.35))
            await command(dice, transport, worker, task)
        done, _ = await asyncio.wait([task], timeout=dice.uniform(0, 3))
        if not done:
            await worker.cancel()
        await asyncio.wait([task])
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()


async def command(
    dice: random.Random, transport: TavusTransport, worker: PipelineWorker, task: asyncio.Task
) -> None:
    match dice.choice(["end"] * 4 + ["cancel", "cancel frame", "task", "task", "close", "nothing"]):
        case "end":
            await worker.queue_frame(EndFrame())
        case "cancel":
            await worker.cancel()
        case "cancel frame":
            await worker.queue_frame(CancelFrame())
        case "task":
            task.cancel()
        case "close":
            await transport.close()
        case _:
            pass


async def use_client(dice: random.Random) -> None:
    """Processors of the application's own, which share a client."""
    client = TavusTransportClient(
        bot_name="Ada",
        callbacks=TavusCallbacks(),
        api_key=os.environ["TAVUS_API_KEY"],
        replica_id="r1",
        params=patience(dice),
    )
    setup, shares = Setup(), dice.choice([1, 2])

    async def work() -> None:
        for _ in range(shares):
            await client.setup(setup)
        for _ in range(shares):
            await client.join()
        await asyncio.sleep(dice.expovariate(1 / 0.2))
        for _ in range(shares):
            await client.stop()

    task = asyncio.create_task(work())
    try:
        if dice.random() < 0.5:
            await asyncio.wait([task], timeout=dice.expovariate(1 / 0.2))
            task.cancel()
        await asyncio.wait([task])
    finally:
        task.cancel()
        await client.close()
        for _ in range(shares):
            await client.cleanup()
    if not task.cancelled():
        task.exception()


async def only_create(dice: random.Random) -> None:
    """Somebody creates a conversation and never runs a bot in it."""
    transport = make_transport(dice)
    task = asyncio.create_task(create_first(dice, transport))
    wait = dice.expovariate(1 / 0.1) if dice.random() < 0.4 else None
    await asyncio.wait([task], timeout=wait)
    task.cancel()
    if dice.random() < 0.6:
        await transport.close()
    else:
        # Forgotten, until this process is over.
        _forgotten.append(transport)


_forgotten: list[TavusTransport] = []

KINDS = [run_pipeline] * 7 + [use_client] * 2 + [only_create]


async def live(number: int, seed: int, report: Report) -> None:
    dice = random.Random(seed)
    kind = dice.choice(KINDS)
    report("B", number, kind.__name__)
    task = asyncio.create_task(kind(dice))
    try:
        _, late = await asyncio.wait([task], timeout=STUCK_SECS)
        if late:
            report("S", number, kind.__name__)
            for it in asyncio.all_tasks():
                it.print_stack(file=sys.stderr)
    finally:
        # An application that is told to end waits for its bots.
        task.cancel()
        await asyncio.wait([task], timeout=STUCK_SECS)
    if task.done() and not task.cancelled() and (error := task.exception()):
        report("X", number, f"{kind.__name__} {error!r}".replace("\n", " ")[:300])
    report("E", number, kind.__name__)


async def host(seed: int, lives: int, at_once: int, report: Report) -> None:
    """Live so many lives, several at once."""
    dice = random.Random(seed)
    numbers = iter(range(lives))

    async def one_after_another() -> None:
        for number in numbers:
            await live(number, dice.getrandbits(63), report)

    # Unlike gather(), a group waits for all when it is cancelled.
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())


async def next_start() -> None:
    """A plain bot of the same account, which ends what the others left."""
    worker = PipelineWorker(
        Pipeline([(transport := TavusTransport(bot_name="Ada")).input(), transport.output()]),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=True, handle_sigterm=True)
    await runner.add_workers(worker)
    await runner.run()


def listen_to_log(report: Report, path: str | None) -> None:
    """Count what the ledger complains of, and keep the log where that is wanted."""
    logger.remove()
    if path:
        logger.add(path, level="WARNING", format="{time:HH:mm:ss.SSS} {process} {level} {message}")
    logger.add(
        lambda message: report("L", 0, str(message).replace("\n", " ")[:300]),
        level="WARNING",
        filter=lambda record: "the ledger" in record["message"],
        format="{message}",
    )


def tell_what_hangs(report: Report) -> None:
    """Tell what the tasks wait for that an event loop cannot come to its end with."""
    for task in asyncio.all_tasks():
        frames = list(_inside(task.get_coro()))
        ours = task.get_name().startswith("tavus::") or any(
            HOME in it.co_filename for it, _ in frames
        )
        places = [f"{code.co_qualname}:{line}" for code, line in frames]
        report("H", int(ours), f"{task.get_name()}: {' > '.join(places)}".replace("\n", " ")[:300])


def _inside(coroutine: Any) -> Iterator[tuple[CodeType, int]]:
    """Where a suspended coroutine is, the outermost first."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame.f_code, frame.f_lineno
        inner = getattr(coroutine, "cr_await", None)
        coroutine = inner if inner is not None else getattr(coroutine, "gi_yieldfrom", None)


def main(order: dict, report: Report) -> None:
    """What a child process does."""
    if order["log"]:
        errors = os.open(order["log"] + ".stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGUSR1, lambda *_: tell_what_hangs(report))
    listen_to_log(report, order["log"])
    os.environ.update(order["environ"])
    if order["do"] == "next start":
        asyncio.run(next_start())
    else:
        asyncio.run(host(order["seed"], order["lives"], order["at_once"], report))
    sys.exit(0)
