"""Bots in processes of their own: `child_bot.py SOCKET`. They say what they have reached.

A process that has all modules loaded forks one for each order that comes through the socket,
so that none of them takes seconds to start. Each runs one of `MODES`, and then exits as a
script does.
"""

import asyncio
import json
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time

from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import TavusParams, TavusTransport

# Loaded before anybody is forked, as all else: the transport does it when it needs it.
from pipecat_tavus.sandbox import room_client  # noqa: F401


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


def wait_for_the_parent():
    sys.stdin.readline()


def fork():
    """The child exits as a process does; the parent goes on."""
    asyncio.run(create())
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)
    say("forked")
    wait_for_the_parent()


def fork_and_terminate():
    """The child has the parent's handler of SIGTERM, and none of its conversations."""
    asyncio.run(create())
    ready, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        # A signal that comes while Python is still at its own work after a fork is lost.
        os.write(writes, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    say("forked", os.waitstatus_to_exitcode(status))
    wait_for_the_parent()


def have_a_child(method):
    """A child of `multiprocessing` has a conversation of its own, and leaves it open."""
    asyncio.run(create())
    child = multiprocessing.get_context(method).Process(target=create_in_a_child)
    child.start()
    child.join()
    say("forked", child.exitcode)
    wait_for_the_parent()


def create_in_a_child():
    asyncio.run(create())


async def shut_the_loop_down(*, at_the_start=False):
    """The application returns, though its bot runs: asyncio cancels everything at once."""
    transport = make()
    worker = PipelineWorker(Pipeline([transport.input(), transport.output()]), enable_rtvi=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(worker, frame):
        say("started", transport.conversation.id)
        started.set()

    async def run():
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    tasks.append(asyncio.create_task(run()))
    await (asyncio.to_thread(wait_for_the_parent) if at_the_start else started.wait())
    say("returns")


tasks = []


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
    "has a forked child": lambda: have_a_child("fork"),
    "has a spawned child": lambda: have_a_child("spawn"),
    "shuts its loop down": lambda: asyncio.run(shut_the_loop_down()),
    "shuts its loop down at the start": lambda: asyncio.run(shut_the_loop_down(at_the_start=True)),
    "handles SIGTERM itself": own_handler,
}


def serve(orders):
    """Fork a process for each order, and tell of their exits; the mode, in each of them."""
    pids = set()
    while True:
        if select.select([orders], [], [], 0.01 if pids else None)[0]:
            order, fds, _, _ = socket.recv_fds(orders, 65536, 3)
            if not order:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                orders.close()
                return begin(json.loads(order), fds)
            for fd in fds:
                os.close(fd)
            pids.add(pid)
            orders.send(f"started {pid} 0".encode())
        while pids and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pids.discard(ended[0])
            orders.send(f"ended {ended[0]} {os.waitstatus_to_exitcode(ended[1])}".encode())


def begin(order, fds):
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    # Whoever runs the tests in the background has it ignored, here as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What is no terminal, Python reads in blocks.
    sys.stdin = open(0, closefd=False)
    os.environ.update(order["environ"])
    return order["mode"]


if __name__ == "__main__":
    MODES[serve(socket.socket(fileno=int(sys.argv[1])))]()
