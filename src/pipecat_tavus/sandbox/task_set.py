#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tasks that end with their owner, and whose failures are not lost."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from loguru import logger


class TaskSet:
    """Tasks that nobody waits for until their owner ends."""

    def __init__(self) -> None:
        """Initialize with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a task.

        Args:
            coroutine: What it does. Where it fails, that is logged.
        """
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.opt(exception=error).error(f"The Tavus sandbox failed: {error}")
