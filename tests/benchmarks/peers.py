#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Ours against the Tavus transport that is built into Pipecat, over the same stand-ins.

Prints a table: the same work, in a real pipeline, over the same stand-in for the native Daily
module and the same REST server. Each run is a process of its own, the sides taking turns;
the table has medians.

Two columns are floors: `bare` is what the stand-in costs by itself, driven by the least that
asyncio needs, and `pipeline` what this Pipecat costs with no transport behind it. The
built-in one of Pipecat 1.14 hands speech over in one burst, faster than real time, which
costs less than any pace does, and is why an interruption throws all of it away there.

    python tests/benchmarks/peers.py
    python tests/benchmarks/peers.py --runs 5 --baseline-python OTHER/bin/python
"""

import argparse
import asyncio
import base64
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "daily"))

RATE = 24000
CHUNK_SECS = 0.04
SPEECH_SECS = 6.0
BOTS = 10

OURS = {"ours": "pipecat-stream", "ours, echo": "pipecat0"}
"""Our sides, with the persona that wants the delivery: by track, or by echo messages."""

Figures = dict[str, float]


# One bot, whichever Pipecat it runs on.


class Bot:
    """A transport in a pipeline that runs, in a room of its own."""

    def __init__(self, side: str, native: Any, tavus: Any, session: Any, index: int = 0):
        from pipecat.frames.frames import BotStoppedSpeakingFrame
        from pipecat.pipeline.pipeline import Pipeline
        from pipecat.processors.frame_processor import FrameProcessor

        class Tap(FrameProcessor):
            stopped_at = 0.0
            audio_frames = 0

            async def process_frame(self, frame: Any, direction: Any) -> None:
                await super().process_frame(frame, direction)
                if isinstance(frame, BotStoppedSpeakingFrame):
                    self.stopped_at = time.monotonic()
                await self.push_frame(frame, direction)

        self.room = native.room(tavus.room_url(index))
        self.tavus = tavus
        options = {"bot_name": "Ada", "session": session, "api_key": "k", "replica_id": "r"}
        if side in OURS:
            from pipecat_tavus import TavusParams, TavusTransport

            options["persona_id"] = OURS[side]
        else:
            from pipecat.transports.tavus.transport import TavusApi, TavusParams, TavusTransport

            TavusApi.BASE_URL = tavus.url
        self.transport = TavusTransport(params=TavusParams(audio_out_end_silence_secs=0), **options)
        self.connected = asyncio.Event()
        self.clients: list[float] = []

        @self.transport.event_handler("on_connected")
        async def on_connected(*_: Any) -> None:
            self.connected_at = time.monotonic()
            self.connected.set()

        @self.transport.event_handler("on_client_connected")
        async def on_client_connected(*_: Any) -> None:
            self.clients.append(time.monotonic())

        self.tap = Tap()
        pipeline = Pipeline([self.transport.input(), self.transport.output(), self.tap])
        self.worker, self.run = _runnable(pipeline)

    async def start(self, *, replica: bool = True) -> None:
        self.running = asyncio.create_task(self.run())
        async with asyncio.timeout(20):
            await self.connected.wait()
        if replica:
            self.enter_replica()
        await asyncio.sleep(0.3)

    def enter_replica(self) -> None:
        self.room.enter("Replica", user_id="tavus-replica-r")

    async def say(self, seconds: float) -> None:
        from pipecat.frames.frames import TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame

        piece = b"\x10\x20" * (RATE // 10)
        frames: list[Any] = [TTSStartedFrame()]
        frames += [TTSAudioRawFrame(piece, RATE, 1) for _ in range(round(seconds * 10))]
        await self.worker.queue_frames([*frames, TTSStoppedFrame()])

    async def stop(self) -> None:
        await self.worker.cancel()
        await asyncio.wait([self.running], timeout=10)

    def handed_over(self) -> list[tuple[float, float]]:
        """What went to the replica: when, and how many seconds, by either delivery."""
        if "stream" in self.room.tracks and self.room.stream.writes:
            return [(write.at, len(write.pcm) / 2 / RATE) for write in self.room.stream.writes]
        return [
            (sent.at, len(base64.b64decode(audio)) / 2 / sent.message["properties"]["sample_rate"])
            for sent in self.room.messages
            if sent.message.get("event_type") == "conversation.echo"
            and (audio := sent.message["properties"].get("audio"))
        ]

    def interrupts(self) -> list[float]:
        return [
            sent.at
            for sent in self.room.messages
            if sent.message.get("event_type") == "conversation.interrupt"
        ]


class Alone:
    """Pipecat's own input and output, with nothing behind them: what no transport is below.

    Speech takes the way through Pipecat in pieces of the same length as ours.
    """

    say = Bot.say
    stop = Bot.stop

    def __init__(self) -> None:
        from pipecat.pipeline.pipeline import Pipeline
        from pipecat.processors.frame_processor import FrameProcessor
        from pipecat.transports.base_input import BaseInputTransport
        from pipecat.transports.base_output import BaseOutputTransport

        from pipecat_tavus import TavusParams

        class Ready(FrameProcessor):
            async def start(self, frame: Any) -> None:
                await super().start(frame)
                await self.set_transport_ready(frame)

        class Input(Ready, BaseInputTransport):
            pass

        class Output(Ready, BaseOutputTransport):
            free_at = 0.0

            async def write_audio_frame(self, frame: Any) -> bool:
                now = time.monotonic()
                self.free_at = max(now, self.free_at) + frame.num_frames / frame.sample_rate
                await asyncio.sleep(self.free_at - now)
                return True

        class Tap(FrameProcessor):
            async def process_frame(self, frame: Any, direction: Any) -> None:
                await super().process_frame(frame, direction)
                await self.push_frame(frame, direction)

        params = TavusParams(audio_out_end_silence_secs=0)
        self.input = Input(params)
        self.worker, self.run = _runnable(Pipeline([self.input, Output(params), Tap()]))

    async def start(self) -> None:
        self.running = asyncio.create_task(self.run())
        await asyncio.sleep(0.5)

    async def hear(self, seconds: float) -> None:
        from pipecat.frames.frames import InputAudioRawFrame

        start, piece = time.monotonic(), b"\x10\x20" * 320
        for n in range(round(seconds / 0.02)):
            await asyncio.sleep(start + 0.02 * n - time.monotonic())
            await self.input.push_audio_frame(InputAudioRawFrame(piece, 16000, 1))


def _runnable(pipeline: Any) -> tuple[Any, Callable[[], Awaitable[None]]]:
    try:
        from pipecat.pipeline.worker import PipelineWorker
        from pipecat.workers.runner import WorkerRunner
    except ImportError:  # Pipecat before 1.3
        from pipecat.pipeline.runner import PipelineRunner
        from pipecat.pipeline.task import PipelineTask

        task = PipelineTask(pipeline, idle_timeout_secs=None, enable_rtvi=False)
        return task, lambda: PipelineRunner(handle_sigint=False).run(task)

    worker = PipelineWorker(pipeline, idle_timeout_secs=None, enable_rtvi=False)

    async def run() -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    return worker, run


@asynccontextmanager
async def world():
    """Both stand-ins, and a session."""
    import aiohttp
    from native import NativeDaily
    from tavus_server import TavusServer

    with NativeDaily() as native:
        async with TavusServer() as tavus, aiohttp.ClientSession() as session:
            import os

            os.environ["TAVUS_API_URL"] = tavus.url
            yield native, tavus, session


def played_until(handed_over: list[tuple[float, float]]) -> float:
    """When all of it has been played, by somebody who plays in real time."""
    end = 0.0
    for at, seconds in handed_over:
        end = max(end, at) + seconds
    return end


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Cpu:
    """CPU of this process, in milliseconds for each second of something."""

    def __init__(self, seconds: float):
        self._seconds = seconds

    def __enter__(self) -> "Cpu":
        gc.collect()
        self._start = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.per_second = (time.process_time() - self._start) * 1000 / self._seconds


# The situations.


async def starting(side: str) -> Figures:
    from tavus_server import Fault

    async with world() as (native, tavus, session):
        tavus.faults["POST /conversations"] = Fault(delay=0.4)
        bot = Bot(side, native, tavus, session)
        bot.room.join_delay = 0.3
        start = time.monotonic()
        await bot.start()
        await bot.stop()
        return {"run to joined, ms": (bot.connected_at - start) * 1000}


async def clients(side: str) -> Figures:
    from tavus_server import Fault

    async with world() as (native, tavus, session):
        tavus.faults["GET /personas/{id}"] = Fault(delay=0.3, times=1000)
        bot = Bot(side, native, tavus, session)
        await bot.start(replica=False)
        came = time.monotonic()
        first = bot.room.enter("User")
        while not bot.clients:
            await asyncio.sleep(0.001)
        delay = (bot.clients[0] - came) * 1000
        for fault in tavus.faults.values():
            fault.delay = 0.0
        people = [first, *(bot.room.enter(f"User {n}") for n in range(9))]
        while len(bot.clients) < BOTS:
            await asyncio.sleep(0.01)
        for person in people:
            person.leave()
        await asyncio.sleep(1.0)
        requests = len(tavus.of("GET /personas/{id}"))
        await bot.stop()
        return {"client to on_client_connected, ms": delay, "persona requests": requests}


async def speaking(side: str) -> Figures:
    async with world() as (native, tavus, session):
        bot = Bot(side, native, tavus, session)
        await bot.start()
        await bot.say(2.0)
        while not bot.tap.stopped_at:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        lateness = bot.tap.stopped_at - played_until(bot.handed_over())
        before = len(bot.handed_over())
        start = time.monotonic()
        with Cpu(SPEECH_SECS) as cpu:
            await bot.say(SPEECH_SECS)
            await asyncio.sleep(max(0.0, SPEECH_SECS + 0.6 - (time.monotonic() - start)))
        spoken = sum(seconds for _, seconds in bot.handed_over()[before:])
        assert spoken > SPEECH_SECS * 0.85, spoken
        await bot.stop()
        return {
            "BotStoppedSpeaking against the end of playing, ms": lateness * 1000,
            "CPU per second of speech out, ms": cpu.per_second * SPEECH_SECS / spoken,
        }


async def interrupting(side: str) -> Figures:
    delays: list[float] = []
    leads: list[float] = []
    async with world() as (native, tavus, session):
        from pipecat.frames.frames import InterruptionFrame

        bot = Bot(side, native, tavus, session)
        await bot.start()
        for turn in range(24):
            before = len(bot.handed_over())
            await bot.say(9.0)
            await asyncio.sleep(0.3 + 0.0037 * turn)
            at = time.monotonic()
            await bot.worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.1)
            sent = [message for message in bot.interrupts() if message >= at]
            delays.append((sent[0] - at) * 1000)
            handed = [piece for piece in bot.handed_over()[before:] if piece[0] <= sent[0]]
            leads.append((played_until(handed) - sent[0]) * 1000)
        await bot.stop()
    return {
        "interruption to message, p50 ms": percentile(delays, 50),
        "interruption to message, p95 ms": percentile(delays, 95),
        "handed over beyond real time, median ms": statistics.median(leads),
        "handed over beyond real time, worst ms": max(leads),
    }


async def greeting(side: str) -> Figures:
    """The client comes first, and is greeted; the replica comes a second later."""
    async with world() as (native, tavus, session):
        bot = Bot(side, native, tavus, session)
        await bot.start(replica=False)
        bot.room.enter("User")
        await bot.say(1.0)
        await asyncio.sleep(1.0)
        bot.enter_replica()
        came = time.monotonic()
        await asyncio.sleep(1.8)
        lost = sum(seconds for at, seconds in bot.handed_over() if at < came)
        spoken = sum(seconds for at, seconds in bot.handed_over() if at >= came)
        await bot.stop()
        return {
            "greeting lost, of 1000 ms": lost * 1000,
            "greeting spoken to the replica, of 1000 ms": spoken * 1000,
        }


async def hearing(side: str) -> Figures:
    async with world() as (native, tavus, session):
        bot = Bot(side, native, tavus, session)
        await bot.start()
        user = bot.room.enter("User")
        await asyncio.sleep(0.5)
        with Cpu(SPEECH_SECS) as cpu:
            await user.say(b"\x10\x20" * round(16000 * SPEECH_SECS))
        await bot.stop()
        return {"CPU per second of user audio in, ms": cpu.per_second}


async def ten(side: str) -> Figures:
    """Ten bots that speak; then ten that speak and hear."""
    figures: Figures = {}
    async with world() as (native, tavus, session):
        bots = [Bot(side, native, tavus, session, index) for index in range(BOTS)]
        for bot in bots:  # One after the other: a room is that of its create's number.
            await bot.start()
        seconds = SPEECH_SECS / 2
        for bot in bots:
            await bot.say(seconds)
            await asyncio.sleep(0.0041)
        await asyncio.sleep(seconds + 0.8)
        late: list[float] = []
        for bot in bots:
            if "stream" in bot.room.tracks and bot.room.stream.writes:
                late += lateness_of(bot.room.stream)
        if late:
            figures["p99 lateness of writes, ten bots, ms"] = percentile(late, 99)
            figures["p50 lateness of writes, ten bots, ms"] = percentile(late, 50)
        users = [bot.room.enter("User") for bot in bots]
        await asyncio.sleep(0.6)
        with Cpu(SPEECH_SECS * BOTS) as cpu:
            for bot, user in zip(bots, users, strict=True):
                await bot.say(SPEECH_SECS)
                user.start_saying(b"\x10\x20" * round(16000 * SPEECH_SECS), 16000)
            await asyncio.sleep(SPEECH_SECS + 0.5)
        figures["CPU per conversation second, ten, ms"] = cpu.per_second
        for bot in bots:
            await bot.stop()
    return figures


def lateness_of(source: Any) -> list[float]:
    """How long the track had nothing to play before each write, in milliseconds."""
    return [
        (late.at - early.played_at) * 1000
        for early, late in zip(source.writes, source.writes[1:], strict=False)
        if late.at - early.played_at < 0.2  # A longer one is a pause between utterances.
    ]


async def bare(_: str) -> Figures:
    """The stand-in alone, driven by the least that asyncio needs for it."""
    from native import CallClient, CustomAudioSource
    from pipecat.transports.daily.transport import completion_callback

    async def write(source: Any, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        piece = b"\x10\x20" * round(RATE * CHUNK_SECS)
        for _ in range(round(seconds / CHUNK_SECS)):
            future = loop.create_future()
            source.write_frames(piece, completion=completion_callback(future))
            await future

    figures: Figures = {}
    async with world() as (native, _, _session):
        with Cpu(SPEECH_SECS) as cpu:
            await write(CustomAudioSource(RATE, 1), SPEECH_SECS)
        figures["CPU per second of speech out, ms"] = cpu.per_second
        sources = [CustomAudioSource(RATE, 1) for _ in range(BOTS)]
        with Cpu(SPEECH_SECS * BOTS) as cpu_ten:
            writers: list[asyncio.Task[None]] = []
            for source in sources:
                writers.append(asyncio.create_task(write(source, SPEECH_SECS)))
                await asyncio.sleep(0.0041)
            await asyncio.gather(*writers)
        late = [value for source in sources for value in lateness_of(source)]
        figures["p99 lateness of writes, ten bots, ms"] = percentile(late, 99)
        figures["p50 lateness of writes, ten bots, ms"] = percentile(late, 50)
        client, room = CallClient(), native.room("https://tavus.daily.co/bare")
        client.join(room.url)
        await asyncio.sleep(0.2)
        user = room.enter("User")
        client.set_audio_renderer(user.id, lambda *_: None)
        with Cpu(SPEECH_SECS) as cpu:
            await user.say(b"\x10\x20" * round(16000 * SPEECH_SECS))
        figures["CPU per second of user audio in, ms"] = cpu.per_second
        figures["CPU per conversation second, ten, ms"] = cpu_ten.per_second + cpu.per_second
        client.release()
    return figures


async def alone(_: str) -> Figures:
    """Pipecat itself."""
    figures: Figures = {}
    bots = [Alone() for _ in range(BOTS)]
    for bot in bots:
        await bot.start()
    await bots[0].say(2.0)
    await asyncio.sleep(2.5)
    with Cpu(SPEECH_SECS) as cpu:
        await bots[0].say(SPEECH_SECS)
        await asyncio.sleep(SPEECH_SECS + 0.6)
    figures["CPU per second of speech out, ms"] = cpu.per_second
    with Cpu(SPEECH_SECS) as cpu:
        await bots[0].hear(SPEECH_SECS)
    figures["CPU per second of user audio in, ms"] = cpu.per_second
    with Cpu(SPEECH_SECS * BOTS) as cpu:
        for bot in bots:
            await bot.say(SPEECH_SECS)
        await asyncio.gather(*(bot.hear(SPEECH_SECS) for bot in bots))
        await asyncio.sleep(0.5)
    figures["CPU per conversation second, ten, ms"] = cpu.per_second
    for bot in bots:
        await bot.stop()
    return figures


FLOORS = {"bare": bare, "pipeline": alone}
"""What nobody is below: of all that each measures at once, whatever the situations."""

SITUATIONS = {
    "starting": starting,
    "clients": clients,
    "speaking": speaking,
    "interrupting": interrupting,
    "greeting": greeting,
    "hearing": hearing,
    "ten": ten,
}


# The table.


def measure(side: str, situations: list[str]) -> Figures:
    """All figures of one side, in this process."""
    from loguru import logger

    logger.remove()
    figures: Figures = {}
    for situation in [FLOORS[side]] if side in FLOORS else [SITUATIONS[it] for it in situations]:
        figures |= asyncio.run(asyncio.wait_for(situation(side), 90))
    return figures


def in_a_process(python: str, side: str, situations: list[str]) -> Figures:
    command = [python, __file__, "--only", side, "--json", "--situations", *situations]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side} with {python} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def pipecat_of(python: str) -> str:
    code = "from importlib.metadata import version; print(version('pipecat-ai'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default 3)")
    parser.add_argument("--only", choices=[*OURS, "builtin", *FLOORS], help="one side, one run")
    parser.add_argument("--json", action="store_true", help="with --only: figures as JSON")
    parser.add_argument(
        "--baseline-python",
        help="a Python with another Pipecat, whose built-in one is measured too",
    )
    parser.add_argument("--situations", nargs="+", choices=SITUATIONS, default=list(SITUATIONS))
    options = parser.parse_args()

    if options.only:
        figures = measure(options.only, options.situations)
        if options.json:
            print(json.dumps(figures))
        else:
            for name, value in figures.items():
                print(f"{name:52} {value:8.1f}")
        return

    here = sys.executable
    sides = {side: (here, side) for side in [*FLOORS, *OURS]}
    sides[f"built-in {version('pipecat-ai')}"] = (here, "builtin")
    if options.baseline_python:
        python = options.baseline_python
        sides[f"built-in {pipecat_of(python)}"] = (python, "builtin")
    runs: dict[str, list[Figures]] = {title: [] for title in sides}
    for number in range(options.runs):
        for title, (python, side) in sides.items():
            print(f"run {number + 1} of {options.runs}: {title}", file=sys.stderr)
            runs[title].append(in_a_process(python, side, options.situations))
    print_table(runs)


def print_table(runs: dict[str, list[Figures]]) -> None:
    rows = list(dict.fromkeys(name for run in runs["ours"] for name in run))
    baselines = [title for title in runs if title.startswith("built-in")]
    width = max(map(len, rows))
    print(f"{'medians of ' + str(len(runs['ours'])) + ' runs':{width}}", end="")
    print("".join(f"{title:>17}" for title in runs), "   ours / each baseline")
    for row in rows:
        medians = {
            title: statistics.median([run[row] for run in all_runs])
            for title, all_runs in runs.items()
            if all(row in run for run in all_runs)
        }
        cells = "".join(f"{medians[t]:17.1f}" if t in medians else f"{'-':>17}" for t in runs)
        ratio = ""
        for title in baselines:
            if medians.get(title, 0) > 0:
                ratio += f"{medians['ours'] / medians[title]:10.2f}"
                if row.startswith("CPU"):
                    # What the stand-in costs by itself is nobody's merit.
                    net = [medians[side] - medians["bare"] for side in ("ours", title)]
                    ratio += f" ({net[0] / net[1]:.2f} net)" if net[1] > 0 else ""
        print(f"{row:{width}}{cells}{ratio}")


if __name__ == "__main__":
    main()
