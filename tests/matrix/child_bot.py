"""A bot in a process of its own: `child_bot.py MODE`. Says what it has reached, one word a line."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time

from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import TavusParams, TavusTransport


def say(*words):
    print(*words, flush=True)


def make():
    return TavusTransport(bot_name="Ada", params=TavusParams(audio_out_end_silence_secs=0))


async def run(*, ends=False, **signals):
    transport = make()
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]), enable_rtvi=False, cancel_timeout_secs=2
    )

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(worker, frame):
        say("started", transport.conversation.id)
        if ends:
            await worker.queue_frame(EndFrame())

    runner = WorkerRunner(**signals)
    await runner.add_workers(worker)
    await runner.run()
    say("over")


async def create(transport=None):
    conversation = await (transport or make()).create_conversation()
    say("created", conversation.id)
    return conversation


async def create_and(then):
    await create()
    then()


async def create_and_wait():
    await create()
    await asyncio.sleep(60)


def fail():
    raise RuntimeError("the application's own fault")


def fork():
    """The child exits as a process does; the parent goes on."""
    asyncio.run(create())
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)
    say("forked")
    sys.stdin.readline()


def fork_and_terminate():
    """The child has the parent's handler of SIGTERM, and none of its conversations."""
    asyncio.run(create())
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    say("forked", os.waitstatus_to_exitcode(status))
    sys.stdin.readline()


def fork_another():
    """A child of `multiprocessing` has a conversation of its own, and leaves it open."""

    async def main():
        await create()
        child = multiprocessing.get_context("fork").Process(target=fork_and_create)
        child.start()
        await asyncio.to_thread(child.join)
        say("forked", child.exitcode)
        await asyncio.to_thread(sys.stdin.readline)

    asyncio.run(main())


def fork_and_create():
    asyncio.run(create())


def own_handler():
    """An application that handles SIGTERM itself."""

    def on_sigterm(signum, frame):
        say("handled")
        sys.exit(7)

    signal.signal(signal.SIGTERM, on_sigterm)
    asyncio.run(create())
    say("ready")
    time.sleep(60)


def in_a_thread():
    thread = threading.Thread(target=lambda: asyncio.run(create()))
    thread.start()
    thread.join()


def sleeping():
    asyncio.run(create())
    say("ready")
    time.sleep(60)


def twice():
    """Two conversations, in two loops."""
    transports = [make(), make()]
    for transport in transports:
        asyncio.run(create(transport))


MODES = {
    "ends": lambda: asyncio.run(run(ends=True)),
    "runs": lambda: asyncio.run(run()),
    "runs, handles SIGTERM": lambda: asyncio.run(run(handle_sigterm=True)),
    "runs, handles nothing": lambda: asyncio.run(run(handle_sigint=False)),
    "creates": lambda: asyncio.run(create()),
    "creates and waits": lambda: asyncio.run(create_and_wait()),
    "creates and fails": lambda: asyncio.run(create_and(fail)),
    "creates and exits": lambda: asyncio.run(create_and(lambda: sys.exit(3))),
    "creates and exits at once": lambda: asyncio.run(create_and(lambda: os._exit(0))),
    "creates and sleeps": sleeping,
    "creates two": twice,
    "creates in a thread": in_a_thread,
    "forks": fork,
    "forks and terminates": fork_and_terminate,
    "forks another": fork_another,
    "handles SIGTERM itself": own_handler,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
