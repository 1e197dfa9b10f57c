#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tasks that nobody may be waiting for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from loguru import logger

Result = TypeVar("Result")

_running: set[asyncio.Task[Any]] = set()
"""An event loop has only weak references to its tasks."""


def in_background(coroutine: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
    """Run a coroutine beside its caller, who need not look at how it ends.

    Args:
        coroutine: What to run.
        name: The task's name.

    Returns:
        The task, whose failure is a line in the log where nobody else hears of it.
    """
    task = asyncio.create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_look_at)
    return task


def _look_at(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    # What has been looked at is not logged by asyncio as never retrieved.
    if not task.cancelled() and (error := task.exception()):
        logger.debug("{} failed: {!r}", task.get_name(), error)
