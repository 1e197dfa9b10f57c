"""Every way out of a process: its conversation is ended by it, or by the next of the machine.

The processes are real (see `child_bot.py`); the sandbox is in this one.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipecat_tavus.conversation.ledger import Ledger

CHILD = Path(__file__).with_name("child_bot.py")
SECONDS = 20.0
ENVIRONMENT = ("TAVUS_API_URL", "TAVUS_API_KEY", "TAVUS_REPLICA_ID", "TAVUS_LEDGER")


class Nursery:
    """The process that forks the bots, and what it tells of them."""

    def __init__(self):
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", str(CHILD), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        theirs.close()
        self._orders.settimeout(SECONDS)
        self._codes = {}

    def start(self, mode, fds):
        environ = {name: os.environ[name] for name in ENVIRONMENT}
        order = json.dumps({"mode": mode, "environ": environ})
        socket.send_fds(self._orders, [order.encode()], fds)
        while (news := self._next())[0] != "started":
            pass
        return int(news[1])

    def code(self, pid):
        """How a process ended; None while it lives."""
        self._orders.setblocking(False)
        try:
            while pid not in self._codes:
                self._next()
        except BlockingIOError:
            return None
        finally:
            self._orders.settimeout(SECONDS)
        return self._codes[pid]

    def _next(self):
        what, pid, code = self._orders.recv(200).decode().split()
        if what == "ended":
            self._codes[int(pid)] = int(code)
        return what, pid

    def close(self):
        self._process.kill()
        self._process.wait(SECONDS)
        self._orders.close()


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


class Child:
    """A process, and what it has said."""

    def __init__(self, nursery, mode, stderr):
        self._nursery = nursery
        self._stderr = stderr
        stdin, self._stdin = os.pipe()
        self._stdout, stdout = os.pipe()
        os.set_blocking(self._stdout, False)
        self._said = b""
        with stderr.open("wb") as file:
            self._pid = nursery.start(mode, [stdin, stdout, file.fileno()])
        os.close(stdin)
        os.close(stdout)

    async def says(self, word):
        async with asyncio.timeout(SECONDS):
            while True:
                line, newline, rest = self._said.partition(b"\n")
                if newline:
                    self._said = rest
                    if (words := line.decode().split())[0] == word:
                        return words[1:]
                elif not await self._listen():
                    raise AssertionError(f"it did not say {word!r}: {self._stderr.read_text()}")

    async def _listen(self):
        """Hear more; False where there will be no more."""
        while True:
            try:
                heard = os.read(self._stdout, 65536)
            except BlockingIOError:
                await asyncio.sleep(0.002)
                continue
            self._said += heard
            return bool(heard)

    async def exits(self):
        async with asyncio.timeout(SECONDS):
            while (code := self._nursery.code(self._pid)) is None:
                await asyncio.sleep(0.005)
        return code, self._stderr.read_text()

    def signal(self, number):
        os.kill(self._pid, number)

    def go_on(self):
        os.write(self._stdin, b"\n")

    def close(self):
        if self._nursery.code(self._pid) is None:
            self.signal(signal.SIGKILL)
        os.close(self._stdin)
        os.close(self._stdout)


@pytest.fixture
def child(nursery, tmp_path):
    @contextmanager
    def start(stage, mode):
        stage.set_environment(stage.sandbox, stage.ledger_path)
        child = Child(nursery, mode, tmp_path / "stderr")
        try:
            yield child
        finally:
            child.close()

    return start


def ended(stage):
    return stage.active() == [] and len(stage.sandbox.conversations) > 0


async def test_a_bot_that_ends(stage, child):
    with child(stage, "ends") as bot:
        code, stderr = await bot.exits()
    assert code == 0
    assert ended(stage)
    assert "Traceback" not in stderr


@pytest.mark.parametrize("mode", ["runs", "runs, handles SIGTERM", "runs, handles nothing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_the_bot_runs(stage, child, mode, number):
    with child(stage, mode) as bot:
        await bot.says("started")
        bot.signal(number)
        code, stderr = await bot.exits()
    assert ended(stage), stderr
    if number == signal.SIGINT:
        # Pipecat's runner takes the cancellation that asyncio makes of it for its own end.
        assert code == 0
    else:
        assert code == (0 if mode == "runs, handles SIGTERM" else -number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["creates and waits", "creates and sleeps"])
async def test_a_signal_where_there_is_no_pipeline(stage, child, mode, number):
    with child(stage, mode) as bot:
        await bot.says("created")
        if mode == "creates and sleeps":
            await bot.says("ready")
        bot.signal(number)
        code, _ = await bot.exits()
    assert ended(stage)
    assert code == -number


async def test_signals_again_and_again(stage, child):
    """Somebody is impatient."""
    stage.sandbox.fail("POST /conversations/{id}/end", delay=0.5)
    with child(stage, "runs") as bot:
        await bot.says("started")
        for _ in range(3):
            bot.signal(signal.SIGINT)
            await asyncio.sleep(0.1)
        bot.signal(signal.SIGTERM)
        await bot.exits()
    assert ended(stage)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2])
async def test_a_signal_while_the_bot_starts(stage, child, number, delay):
    """The answer to the creation is on its way, or the room is being joined."""
    stage.sandbox.fail("POST /conversations", delay=0.1)
    with child(stage, "runs") as bot:
        async with asyncio.timeout(SECONDS):
            while not stage.sandbox.requests:
                await asyncio.sleep(0.002)
        await asyncio.sleep(delay)
        bot.signal(number)
        await bot.exits()
    # What was on its way is ended by the next where this one could not know of it.
    if stage.active() or stage.ledger().entries():
        with child(stage, "ends") as following:
            await following.exits()
    assert stage.active() == []
    forget_what_came_to_nothing(stage)


def forget_what_came_to_nothing(stage):
    """As the next does after a minute, when what was on its way can be so no longer."""
    ledger: Ledger = stage.ledger()
    for entry in ledger.entries():
        assert entry.conversation_id is None
        ledger.strike(entry.name)


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("creates", 0),
        ("creates and fails", 1),
        ("creates and exits", 3),
        ("creates two", 0),
        ("creates in a thread", 0),
    ],
)
async def test_a_process_that_only_created_a_conversation(stage, child, mode, code):
    with child(stage, mode) as bot:
        assert (await bot.exits())[0] == code
    assert len(stage.sandbox.conversations) == (2 if mode == "creates two" else 1)
    assert ended(stage)


@pytest.mark.parametrize("mode", ["runs", "creates and sleeps", "creates and exits at once"])
async def test_a_process_that_is_killed_is_cleared_up_after_by_the_next(stage, child, mode):
    with child(stage, mode) as bot:
        if mode != "creates and exits at once":
            await bot.says("started" if mode == "runs" else "ready")
            bot.signal(signal.SIGKILL)
        await bot.exits()
    assert len(stage.active()) == 1, "nobody could"
    assert len(stage.ledger().entries()) == 1
    with child(stage, "ends") as following:
        await following.exits()
    assert len(stage.sandbox.conversations) == 2
    assert ended(stage)


async def test_the_next_leaves_those_of_a_living_process_alone(stage, child):
    with child(stage, "creates and waits") as bot:
        [mine] = await bot.says("created")
        with child(stage, "ends") as following:
            await following.exits()
        assert stage.active() == [mine]
        bot.signal(signal.SIGTERM)
        await bot.exits()
    assert ended(stage)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("mode", ["forks", "forks and terminates"])
async def test_a_forked_child_ends_nothing_of_its_parents(stage, child, mode):
    with child(stage, mode) as bot:
        [mine] = await bot.says("created")
        code = await bot.says("forked")
        assert stage.active() == [mine]
        if mode == "forks and terminates":
            assert code == [str(-signal.SIGTERM)], "it dies as it would have"
        bot.go_on()
        await bot.exits()
    assert ended(stage)


@pytest.mark.parametrize("mode", ["has a forked child", "has a spawned child"])
async def test_a_child_of_multiprocessing_ends_its_own_at_its_exit(stage, child, mode):
    """It exits without what `atexit` would have run."""
    with child(stage, mode) as bot:
        [mine] = await bot.says("created")
        [theirs] = await bot.says("created")
        assert await bot.says("forked") == ["0"]
        assert stage.active() == [mine] != [theirs]
        bot.go_on()
        await bot.exits()
    assert ended(stage)


@pytest.mark.parametrize("mode", ["shuts its loop down", "shuts its loop down at the start"])
async def test_a_loop_that_is_shut_down_under_a_bot(stage, child, mode):
    """Measured with Pipecat 1.12 and 1.14: the worker, and the process with it, then hangs."""
    if mode.endswith("start"):
        # It is opened, and nobody is told.
        stage.sandbox.fail("POST /conversations", hang=True, work=True)
    with child(stage, mode) as bot:
        async with asyncio.timeout(SECONDS):
            while not stage.sandbox.conversations:
                await asyncio.sleep(0.005)
            bot.go_on()
            await bot.says("returns")
            while not ended(stage) or stage.ledger().entries():
                await asyncio.sleep(0.005)


async def test_an_application_that_handles_sigterm_keeps_its_handler(stage, child):
    with child(stage, "handles SIGTERM itself") as bot:
        await bot.says("ready")
        bot.signal(signal.SIGTERM)
        await bot.says("handled")
        code, _ = await bot.exits()
    assert code == 7
    assert ended(stage)


async def test_an_end_that_fails_at_exit_is_tried_once_more(stage, child):
    stage.sandbox.fail("POST /conversations/{id}/end", status=500)
    with child(stage, "creates") as bot:
        await bot.exits()
    assert ended(stage)


async def test_an_end_that_fails_at_exit_stays_in_the_ledger(stage, child):
    stage.sandbox.fail("POST /conversations/{id}/end", status=500, times=2)
    with child(stage, "creates") as bot:
        _, stderr = await bot.exits()
    assert "could not be ended at exit" in stderr
    assert len(stage.active()) == 1
    assert len(stage.ledger().entries()) == 1
    with child(stage, "ends") as following:
        await following.exits()
    assert ended(stage)
