"""Every way out of a process: its conversation is ended by it, or by the next of the machine.

The processes are real (see `child_bot.py`); the sandbox is in this one.
"""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child_bot.py")
SECONDS = 20.0


class Child:
    """A process, and what it has said."""

    def __init__(self, process, sandbox):
        self.process = process
        self._sandbox = sandbox

    async def says(self, word):
        async with asyncio.timeout(SECONDS):
            while line := await self.process.stdout.readline():
                words = line.decode().split()
                if words[0] == word:
                    return words[1:]
        raise AssertionError(f"it did not say {word!r}: {await self.process.stderr.read()}")

    async def exits(self, within=SECONDS):
        async with asyncio.timeout(within):
            _, stderr = await self.process.communicate()
        return self.process.returncode, stderr.decode()

    def signal(self, number):
        self.process.send_signal(number)


@asynccontextmanager
async def child(stage, mode):
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error::ResourceWarning", str(CHILD), mode),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Child(process, stage.sandbox)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ended(stage):
    return stage.active() == [] and len(stage.sandbox.conversations) > 0


async def test_a_bot_that_ends(stage):
    async with child(stage, "ends") as bot:
        code, stderr = await bot.exits()
    assert code == 0
    assert ended(stage)
    assert "Traceback" not in stderr


@pytest.mark.parametrize("mode", ["runs", "runs, handles SIGTERM", "runs, handles nothing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_the_bot_runs(stage, mode, number):
    async with child(stage, mode) as bot:
        await bot.says("started")
        bot.signal(number)
        code, stderr = await bot.exits(10)
    assert ended(stage), stderr
    handled = mode == "runs, handles SIGTERM" or (mode == "runs" and number == signal.SIGINT)
    assert code == (0 if handled else -number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["creates and waits", "creates and sleeps"])
async def test_a_signal_where_there_is_no_pipeline(stage, mode, number):
    async with child(stage, mode) as bot:
        await bot.says("created")
        if mode == "creates and sleeps":
            await bot.says("ready")
        bot.signal(number)
        code, _ = await bot.exits(10)
    assert ended(stage)
    assert code == -number


async def test_signals_again_and_again(stage):
    """Somebody is impatient."""
    stage.sandbox.fail("POST /conversations/{id}/end", delay=0.5)
    async with child(stage, "runs") as bot:
        await bot.says("started")
        for _ in range(3):
            bot.signal(signal.SIGINT)
            await asyncio.sleep(0.1)
        bot.signal(signal.SIGTERM)
        await bot.exits(10)
    assert ended(stage)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2])
async def test_a_signal_while_the_bot_starts(stage, number, delay):
    """The answer to the creation is on its way, or the room is being joined."""
    stage.sandbox.fail("POST /conversations", delay=0.1)
    async with child(stage, "runs") as bot:
        async with asyncio.timeout(SECONDS):
            while not stage.sandbox.requests:
                await asyncio.sleep(0.002)
        await asyncio.sleep(delay)
        bot.signal(number)
        await bot.exits(10)
    # What was on its way is ended by the next where this one could not know of it.
    if stage.active() or stage.ledger().entries():
        async with child(stage, "ends") as following:
            await following.exits()
    assert stage.active() == []


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
async def test_a_process_that_only_created_a_conversation(stage, mode, code):
    async with child(stage, mode) as bot:
        assert (await bot.exits())[0] == code
    assert len(stage.sandbox.conversations) == (2 if mode == "creates two" else 1)
    assert ended(stage)


@pytest.mark.parametrize("mode", ["runs", "creates and sleeps", "creates and exits at once"])
async def test_a_process_that_is_killed_is_cleared_up_after_by_the_next(stage, mode):
    async with child(stage, mode) as bot:
        if mode != "creates and exits at once":
            await bot.says("started" if mode == "runs" else "ready")
            bot.signal(signal.SIGKILL)
        await bot.exits()
    assert len(stage.active()) == 1, "nobody could"
    assert len(stage.ledger().entries()) == 1
    async with child(stage, "ends") as following:
        await following.exits()
    assert len(stage.sandbox.conversations) == 2
    assert ended(stage)


async def test_the_next_leaves_those_of_a_living_process_alone(stage):
    async with child(stage, "creates and waits") as bot:
        [mine] = await bot.says("created")
        async with child(stage, "ends") as following:
            await following.exits()
        assert stage.active() == [mine]
        bot.signal(signal.SIGTERM)
        await bot.exits()
    assert ended(stage)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("mode", ["forks", "forks while the loop runs", "forks and terminates"])
async def test_a_forked_child_ends_nothing_of_its_parents(stage, mode):
    async with child(stage, mode) as bot:
        [mine] = await bot.says("created")
        code = await bot.says("forked")
        assert stage.active() == [mine]
        if mode == "forks and terminates":
            assert code == [str(-signal.SIGTERM)], "it dies as it would have"
        bot.process.stdin.write(b"\n")
        await bot.exits()
    assert ended(stage)


async def test_an_application_that_handles_sigterm_keeps_its_handler(stage):
    async with child(stage, "handles SIGTERM itself") as bot:
        await bot.says("ready")
        bot.signal(signal.SIGTERM)
        await bot.says("handled")
        code, _ = await bot.exits()
    assert code == 7
    assert ended(stage)


async def test_an_end_that_fails_at_exit_stays_in_the_ledger(stage):
    stage.sandbox.fail("POST /conversations/{id}/end", status=500)
    async with child(stage, "creates") as bot:
        _, stderr = await bot.exits()
    assert "could not be ended at exit" in stderr
    assert len(stage.active()) == 1
    assert len(stage.ledger().entries()) == 1
    async with child(stage, "ends") as following:
        await following.exits()
    assert ended(stage)
