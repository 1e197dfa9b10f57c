"""What the tests excuse: a machine that stood still, and nothing else."""

import os
import signal
import subprocess
import sys

import pytest
from machine import TRIES, tried_again


def stand_still() -> None:
    pid = os.getpid()
    with subprocess.Popen([sys.executable, "-c", WAKER, str(pid)], stdout=subprocess.PIPE) as it:
        assert it.stdout and it.stdout.readline()
        os.kill(pid, signal.SIGSTOP)


WAKER = """
import os, signal, sys, time
print(flush=True)
time.sleep(0.4)
os.kill(int(sys.argv[1]), signal.SIGCONT)
"""


@pytest.mark.parametrize(("succeeds_at", "tries"), [(1, 1), (2, 2), (TRIES + 1, TRIES)])
async def test_a_test_that_fails_on_a_machine_that_stands_still_is_tried_again(succeeds_at, tries):
    tried: list[int] = []

    @tried_again
    async def test() -> None:
        tried.append(len(tried) + 1)
        stand_still()
        assert tried[-1] >= succeeds_at

    if succeeds_at > TRIES:
        with pytest.raises(AssertionError):
            await test()
    else:
        await test()
    assert len(tried) == tries


async def test_a_test_that_fails_by_itself_fails():
    tried: list[int] = []

    @tried_again
    async def test() -> None:
        tried.append(1)
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await test()
    # More often where the machine really stands still.
    assert len(tried) <= TRIES


attempts: list[int] = []


@pytest.mark.in_real_time
async def test_the_marker_is_what_does_it():
    attempts.append(1)
    if len(attempts) == 1:
        stand_still()
        raise AssertionError
