#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The machine on which the tests run: it may stand still, and who listens hears it."""

import functools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Self

from loguru import logger

STANDSTILL_SECS = 0.1
BEAT_SECS = 0.02
TRIES = 3

P = ParamSpec("P")


class Heartbeat:
    """Measures how long the machine let nobody run, beside the event loop."""

    def __init__(self) -> None:
        self.longest_pause = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        last, is_over = time.monotonic(), False
        while not is_over:
            is_over = self._over.wait(BEAT_SECS)
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - last - BEAT_SECS)
            last = now


def tried_again(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """A test that is tried again if it fails and the machine stood still meanwhile."""

    @functools.wraps(test)
    async def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(TRIES - 1):
            failure = None
            with Heartbeat() as heart:
                try:
                    await test(*args, **kwargs)
                except Exception as e:
                    failure = e
            if failure is None:
                return
            if heart.longest_pause < STANDSTILL_SECS:
                raise failure
            logger.warning(f"The machine stood still for {heart.longest_pause:.2f} s: {failure!r}")
        await test(*args, **kwargs)

    return tried
