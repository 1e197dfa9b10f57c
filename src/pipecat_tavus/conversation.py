#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation from its creation to its end, which happens once, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger

from pipecat_tavus.api import TavusApi
from pipecat_tavus.errors import TavusApiError, TavusError
from pipecat_tavus.models import Conversation, ConversationOptions
from pipecat_tavus.room import RoomClient


class ConversationLife:
    """The one owner of a conversation, and of the bot's place in its room.

    From the moment that the request to create it is sent, it is ended by :meth:`close`,
    which works for a request still under way as well, and goes on to its end though
    whoever called it is cancelled.
    """

    def __init__(
        self,
        api: TavusApi,
        options: ConversationOptions,
        *,
        created: Callable[[Conversation], Awaitable[None]],
        left: Callable[[], Awaitable[None]],
        failed: Callable[[TavusError], Awaitable[None]],
    ):
        """Initialize the life; nothing is opened.

        Args:
            api: The REST client, which is closed with the conversation.
            options: What to create it with.
            created: Told when it is created.
            left: Told when the bot has left the room.
            failed: Told of an end that failed for good.
        """
        self._api = api
        self._options = options
        self._created = created
        self._left = left
        self._failed = failed
        self._creating: asyncio.Task[Conversation] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._told = False
        self.conversation: Conversation | None = None
        self.room: RoomClient | None = None

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
            self._creating = asyncio.create_task(self._create(), name="tavus::create")
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

    def start_closing(self) -> asyncio.Task[None]:
        """Begin to leave the room and to end the conversation, unless that is under way.

        Returns:
            The task that does it.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="tavus::close")
        return self._closing

    async def close(self) -> None:
        """Leave the room and end the conversation. Harmless when repeated."""
        await asyncio.shield(self.start_closing())

    async def wait_closed(self) -> None:
        """Wait for an end that is under way, if one is."""
        if self._closing:
            await asyncio.shield(self._closing)

    async def _create(self) -> Conversation:
        conversation = await self._api.create_conversation(**self._options.body())
        self.conversation = conversation
        logger.info("Tavus conversation {} created", conversation.id)
        return conversation

    async def _close(self) -> None:
        steps = (self._settle, self._leave, self._left, self._end, self._release, self._api.close)
        for step in steps:
            try:
                await self._attempt(step)
            except asyncio.CancelledError:
                # A loop that shuts down cancels each task once, then waits for it.
                await self._attempt(step)

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception as e:
            # Whatever breaks here, the steps after it are what ends the bill.
            logger.exception("closing a Tavus conversation")
            await self._failed(TavusError(f"Closing the conversation: {e or type(e).__name__}"))

    async def _settle(self) -> None:
        if self._creating:
            await asyncio.wait([self._creating])

    async def _leave(self) -> None:
        if self.room:
            await self.room.leave()

    async def _end(self) -> None:
        conversation = self.conversation
        if conversation is None or conversation.status == "ended":
            return
        try:
            await self._api.end_conversation(conversation.id)
        except TavusApiError as e:
            error = TavusError(
                f"Tavus conversation {conversation.id} could not be ended, "
                f"and is billed until it times out: {e}"
            )
            error.__cause__ = e
            logger.error("{}", error)
            await self._failed(error)
        else:
            conversation.status = "ended"
            logger.info("Tavus conversation {} ended", conversation.id)

    async def _release(self) -> None:
        if self.room:
            await self.room.cleanup()


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
