#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation from its creation to its end, which happens once, whatever happens."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from loguru import logger

from pipecat_tavus.background import in_background
from pipecat_tavus.conversation.attaching import Adoption, Visit
from pipecat_tavus.conversation.opening import Opening
from pipecat_tavus.conversation.origin import Beginning, Reaping
from pipecat_tavus.errors import TavusApiError, TavusConcurrencyLimitError, TavusError
from pipecat_tavus.rest.models import Conversation
from pipecat_tavus.room.seam import RoomClient

_REAP_TIMEOUT = 2.0
_SLOT_INTERVAL = 2.0


class ConversationLife:
    """The one owner of a conversation, and of the bot's place in its room.

    From the moment that the request to create it is sent, it is ended by :meth:`close`,
    which works for a request still under way as well, and goes on to its end though
    whoever called it is cancelled.
    """

    def __init__(
        self,
        begin: Beginning,
        *,
        reap: Reaping | None,
        release: Callable[[], Awaitable[None]] | None,
        wait_for_slot: float,
        created: Callable[[Conversation], Awaitable[None]],
        left: Callable[[], Awaitable[None]],
        failed: Callable[[TavusError], Awaitable[None]],
    ):
        """Initialize the life; nothing is opened.

        Args:
            begin: How it begins.
            reap: Ends the account's orphans, or None.
            release: Closes what the conversation needed, when it is over.
            wait_for_slot: For how many seconds to wait where the account has as many
                conversations as it may.
            created: Told when it is created.
            left: Told when the bot has left the room.
            failed: Told of an end that failed for good.
        """
        self._reap = reap
        self._release_rest = release
        self._wait_for_slot = wait_for_slot
        self._created = created
        self._left = left
        self._failed = failed
        self._openings: list[Opening | Adoption | Visit] = []
        self._creating: asyncio.Task[Conversation] | None = None
        self._reaping: asyncio.Task[int] | None = None
        self._ends = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self.create_secs: float | None = None
        self.conversation: Conversation | None = None
        self.room: RoomClient | None = None
        if callable(begin):
            self._begin, self._told = partial(self._open, begin), False
        else:
            # Whoever created it was told.
            self._begin, self._told = partial(self._attach, begin), True
            self._openings.append(begin)
            self.conversation = begin.conversation

    @property
    def is_over(self) -> bool:
        """Whether the end has begun."""
        return self._closing is not None

    async def create(self) -> Conversation:
        """Create the conversation, or return the one that there is.

        Returns:
            The conversation.

        Raises:
            TavusApiError: Tavus did not create it.
            TavusError: It is over.
        """
        if self._closing:
            raise TavusError("The conversation is over, and a client has only one")
        if self._creating is None or _has_failed(self._creating):
            # Whoever waited for it may have been cancelled: then nobody hears of its failure.
            self._creating = in_background(self._begin(), "tavus::create")
        try:
            # The request outlives whoever waits for it: cut off, it could leave a
            # conversation that nobody knows.
            conversation = await asyncio.shield(self._creating)
        except asyncio.CancelledError:
            self.start_closing()
            raise
        if not self._told:
            self._told = True
            await self._created(conversation)
        return conversation

    async def wait_over(self) -> None:
        """Wait until the end begins."""
        await self._ends.wait()

    def start_closing(self) -> asyncio.Task[None]:
        """Begin to leave the room and to end the conversation, unless that is under way.

        Returns:
            The task that does it.
        """
        # One that was cancelled before its first step has done nothing.
        if self._closing is None or self._closing.cancelled():
            self._ends.set()
            self._closing = in_background(self._close(), "tavus::close")
        return self._closing

    def begin_end(self) -> bool:
        """Begin the end without waiting for it.

        Returns:
            False where it had begun before.
        """
        first = not self.is_over
        self.start_closing()
        return first

    async def close(self) -> None:
        """Leave the room and end the conversation. Harmless when repeated."""
        while not (closing := self.start_closing()).done():
            await asyncio.wait([closing])

    async def wait_for_end(self, seconds: float) -> bool:
        """Wait until the end has begun, for a while; whether it has.

        Args:
            seconds: For how long.
        """
        try:
            await asyncio.wait_for(self._ends.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def wait_closed(self) -> None:
        """Wait for an end that is under way, if one is."""
        if self._closing:
            await self.close()

    async def _attach(self, attached: Adoption | Visit) -> Conversation:
        # Written down before orphans are looked for: what is adopted is none any more.
        conversation = await attached.open()
        self._start_reaping()
        return conversation

    async def _open(self, attempt: Callable[[], Opening]) -> Conversation:
        self._start_reaping()
        begun = time.monotonic()
        until = begun + self._wait_for_slot
        while True:
            # Those before, which failed, may owe an end all the same.
            self._openings = [it for it in self._openings if it.owes]
            opening = attempt()
            self._openings.append(opening)
            try:
                self.conversation = await opening.open(self._ends.is_set)
            except TavusConcurrencyLimitError as e:
                left = until - time.monotonic()
                if not await self._slot_may_be_free(left):
                    raise
                logger.info("{} Trying again", e)
            else:
                self.create_secs = time.monotonic() - begun
                logger.info("Tavus conversation {} created", self.conversation.id)
                return self.conversation

    def _start_reaping(self) -> None:
        if self._reap and self._reaping is None:
            self._reaping = in_background(self._reap(), "tavus::reap")

    async def _slot_may_be_free(self, left: float) -> bool:
        """Wait for a slot, of an orphan first; whether to try again."""
        if self._reaping and not self._reaping.done():
            await asyncio.wait([self._reaping], timeout=_REAP_TIMEOUT)
            if _result(self._reaping):
                return True
        if left <= 0 or self._ends.is_set():
            return False
        return not await self.wait_for_end(min(left, _SLOT_INTERVAL))

    async def _close(self) -> None:
        steps = (
            self._settle,
            self._leave,
            self._left,
            self._end,
            self._release,
            self._stop_reaping,
            *([self._release_rest] if self._release_rest else []),
        )
        errors: list[Exception] = []
        for step in steps:
            # Whatever breaks in one, the steps after it are what ends the bill.
            if error := await self._attempt(step):
                errors.append(error)
        which = " ".join(
            it.conversation.id if it.conversation else it.name for it in self._openings
        )
        for error in errors:
            await self._failed(TavusError(f"Closing Tavus conversation {which}: {error!r}"))

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> Exception | None:
        """Take a step of the end, a second time where it breaks; what broke it then, if so."""
        try:
            await step()
        except (Exception, asyncio.CancelledError) as e:
            # A loop that shuts down cancels each task once, then waits for it.
            logger.debug("closing a Tavus conversation, {}: {!r}", step.__name__, e)
        else:
            return None
        try:
            await step()
        except Exception as e:
            logger.exception("closing a Tavus conversation")
            return e
        return None

    async def _settle(self) -> None:
        # One that is done may be of another loop, which is over.
        if self._creating and not self._creating.done():
            await asyncio.wait([self._creating])

    async def _leave(self) -> None:
        if self.room:
            await self.room.leave()

    async def _end(self) -> None:
        await asyncio.gather(*(self._end_one(opening) for opening in self._openings))

    async def _end_one(self, opening: Opening | Adoption | Visit) -> None:
        try:
            if await opening.end():
                logger.info("Tavus conversation {} ended", opening.name)
        except TavusApiError as e:
            conversation = opening.conversation
            which = conversation.id if conversation else opening.name
            error = TavusError(
                f"Tavus conversation {which} could not be ended, and is billed until it times "
                f"out, or a transport of this account is started again on this machine: {e}"
            )
            error.__cause__ = e
            logger.error("{}", error)
            await self._failed(error)

    async def _stop_reaping(self) -> None:
        if self._reaping:
            if not self._reaping.done():
                await asyncio.wait([self._reaping], timeout=_REAP_TIMEOUT)
            self._reaping.cancel()
            _result(self._reaping)

    async def _release(self) -> None:
        if self.room:
            await self.room.cleanup()


def _result(task: asyncio.Task[int]) -> int:
    """What a task came to; 0 if it came to nothing."""
    if not task.done() or task.cancelled():
        return 0
    if error := task.exception():
        logger.warning("Orphaned Tavus conversations could not be looked for: {}", error)
        return 0
    return task.result()


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
