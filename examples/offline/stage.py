#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A call with no account: Tavus, its room and replica, and a person, on this machine."""

import asyncio
import faulthandler
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger

from pipecat_tavus.sandbox import ReplicaSettings, SandboxPerson, TavusSandbox

TIME_LIMIT = 50.0
NOTICE_LIMIT = 1.0
LEAVE_LIMIT = 5.0
# Should the event loop itself hang, this ends the process.
HARD_TIME_LIMIT = 59.0

ENDED_BY_THE_BOT = "end_conversation_endpoint_hit"


async def play_call(
    bot: Callable[[], Awaitable[None]],
    act: Callable[[SandboxPerson], Awaitable[None]],
    replica: ReplicaSettings | None = None,
) -> int:
    """Let a bot and a person talk, and say what went wrong.

    Args:
        bot: Runs the bot until the call is over.
        act: What the person does in the room; then it leaves.
        replica: How the replica behaves.

    Returns:
        The exit status: 0 if nothing went wrong.
    """
    async with open_stage(replica) as sandbox:

        async def talk() -> None:
            person = await join(sandbox)
            await act(person)
            await person.leave()

        failures = await watch(bot(), talk()) + charges(sandbox)
    return report(failures)


def report(failures: Sequence[str]) -> int:
    """Print what went wrong.

    Args:
        failures: What did.

    Returns:
        The exit status: 0 if nothing went wrong.
    """
    for failure in failures:
        print(f"Failed: {failure}", flush=True)
    return 1 if failures else 0


def log_warnings(*, verbose: bool = False) -> None:
    """Log what goes wrong, and no more.

    Args:
        verbose: Whether to log everything instead.
    """
    logger.remove()
    logger.add(sys.stderr, level="TRACE" if verbose else "WARNING")


@asynccontextmanager
async def open_stage(replica: ReplicaSettings | None = None) -> AsyncIterator[TavusSandbox]:
    """Play Tavus, for the transports that are made from now on in this process.

    Args:
        replica: How the replica behaves.

    Yields:
        The sandbox.
    """
    faulthandler.dump_traceback_later(HARD_TIME_LIMIT, exit=True)
    async with TavusSandbox(replica=replica) as sandbox:
        os.environ["TAVUS_API_URL"] = sandbox.api_url
        os.environ["TAVUS_API_KEY"] = sandbox.api_key
        os.environ["TAVUS_REPLICA_ID"] = "r-sandbox"
        yield sandbox
    faulthandler.cancel_dump_traceback_later()


async def join(sandbox: TavusSandbox) -> SandboxPerson:
    """Join the first conversation as soon as both the bot and the replica are in its room.

    Args:
        sandbox: Tavus.

    Returns:
        The person.
    """
    while True:
        for id in sandbox.conversations:
            if sandbox.room(id).ids("bot") and sandbox.room(id).ids("replica"):
                return await sandbox.join_person(id, name="Ann")
        await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], timeout: float) -> None:
    """Wait until something is so.

    Args:
        condition: What.
        timeout: Limit in seconds.

    Raises:
        TimeoutError: It was not so for that long.
    """
    async with asyncio.timeout(timeout):
        while True:
            if condition():
                return
            await asyncio.sleep(0.05)


async def watch(bot: Awaitable[None], person: Awaitable[None]) -> list[str]:
    """Wait for both to come to their end, whoever ends the call.

    Args:
        bot: The bot, until the call is over.
        person: The person, until it has left.

    Returns:
        What went wrong.
    """
    running, talking = asyncio.ensure_future(bot), asyncio.ensure_future(person)
    failures: list[str] = []
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await asyncio.wait((running, talking), return_when=asyncio.FIRST_COMPLETED)
            # A bot that ends the call puts the person out, who is about to notice.
            await asyncio.wait((talking,), timeout=NOTICE_LIMIT)
            if not talking.done():
                failures.append("the bot ended before the person had said everything")
            elif talking.exception() is None:
                await asyncio.wait((running,), timeout=LEAVE_LIMIT)
                if not running.done():
                    failures.append(f"the bot did not end within {LEAVE_LIMIT:g} s")
    except TimeoutError:
        failures.append(f"the conversation was not over within {TIME_LIMIT:g} s")
    for future in (talking, running):
        if not future.done():
            future.cancel()
    for error in await asyncio.gather(talking, running, return_exceptions=True):
        if isinstance(error, TimeoutError):
            failures.append("the person waited in vain for the bot or the replica")
        elif isinstance(error, Exception):
            failures.append(f"{type(error).__name__}: {error}")
    return failures


def sent(sandbox: TavusSandbox, conversation_id: str, event_type: str) -> list[Any]:
    """The app messages of a type that were sent in a room.

    Args:
        sandbox: Tavus.
        conversation_id: Which room.
        event_type: Their type.

    Returns:
        The messages.
    """
    messages = [said.message for said in sandbox.room(conversation_id).messages]
    return [it for it in messages if isinstance(it, dict) and it.get("event_type") == event_type]


def charges(sandbox: TavusSandbox) -> list[str]:
    """What the sandbox's book holds against the bot.

    A conversation that nobody ends costs money, and what Tavus refuses is not heard.

    Args:
        sandbox: Tavus.

    Returns:
        What went wrong.
    """
    failures = [] if sandbox.conversations else ["no conversation was created"]
    for id, conversation in sandbox.conversations.items():
        failures += [f"Tavus would refuse it: {refusal}" for refusal in sandbox.refusals(id)]
        if conversation.ended_at is None:
            failures.append("the conversation was not ended")
        elif conversation.shutdown_reason != ENDED_BY_THE_BOT:
            reason = conversation.shutdown_reason
            failures.append(f"not the bot ended the conversation, but Tavus: {reason}")
    return failures
