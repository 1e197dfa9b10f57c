#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""One attempt to open a conversation, which is answered for until its end is confirmed.

It is written into the ledger before the request is sent, under a name that is unique. Where
the answer is lost, the conversation is looked for by that name: it is never opened twice.
"""

import asyncio
from collections.abc import Callable

from loguru import logger

from pipecat_tavus.conversation import farewell, orphans
from pipecat_tavus.conversation.debt import Debt
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.errors import TavusApiError, TavusTimeoutError
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import Conversation, ConversationOptions

_AT_ONCE: tuple[float, ...] = (0.0,)
_PATIENTLY: tuple[float, ...] = (0.0, 0.3, 0.7, 1.5)
"""Seconds before each look, where the request may still be under way on Tavus's side."""

_SEEK_TIMEOUT = 4.0


class Opening(Debt):
    """One attempt, and what it owes."""

    def __init__(self, api: TavusApi, ledger: Ledger, options: ConversationOptions):
        """Initialize the attempt; nothing is sent or written.

        Args:
            api: The REST client.
            ledger: The account's ledger.
            options: What to open the conversation with.
        """
        super().__init__(api, ledger, options.conversation_name)
        self._options = options
        self._intending: asyncio.Future[None] | None = None
        self._sent = False
        self._patience = _PATIENTLY
        self._twins: list[Conversation] = []

    async def open(self, until: Callable[[], bool]) -> Conversation:
        """Open the conversation.

        Args:
            until: Whether it is no longer wanted, so that a lost answer is not waited for.

        Returns:
            The conversation.

        Raises:
            TavusApiError: It was not opened, or it is not known whether it was; then
                :attr:`owes` is True.
        """
        if self._api.development:
            self.conversation = await self._api.create_conversation(**self._options.body())
            return self.conversation
        self._intending = self._intend()
        await asyncio.shield(self._intending)
        self._sent = True
        body = {**self._options.body(), "conversation_name": self.name}
        try:
            self.conversation = await self._api.create_conversation(**body)
        except TavusApiError as e:
            if not e.maybe_accepted:
                await self._settled()
                raise
            logger.warning("{}; looking for the conversation by its name", e)
            # What was answered is done; what was not may still be under way.
            if e.status is not None:
                self._patience = _AT_ONCE
            try:
                self.conversation = await self._seek(until)
                await self._end_twins()
            except TavusApiError as unseen:
                logger.warning("It could not be looked for, or not be made the one: {}", unseen)
            if self.conversation is None or not self._can_be_adopted(self.conversation):
                raise
            logger.warning("Tavus conversation {} was opened all the same", self.conversation.id)
            self.conversation.persona_id = self.conversation.persona_id or self._options.persona
        # As long as there are others of the name, the name is what to look for.
        if not self._twins:
            await asyncio.to_thread(self._ledger.opened, self.name, self.conversation.id)
        return self.conversation

    async def end(self) -> bool:
        """End what was opened.

        Returns:
            Whether there was something to end. Where the answer was lost and nothing is
            found yet, the ledger keeps the name, and the next transport looks again.

        Raises:
            TavusApiError: It could not be ended, or not be looked for; the ledger keeps it.
        """
        if not self.owes:
            return False
        if self._intending and not self._sent:
            await asyncio.wait([self._intending])
            await self._settled()
            return False
        try:
            if self.conversation is None:
                self.conversation = await self._seek(lambda: False)
            if self.conversation is None:
                return False
            try:
                await self._end_twins()
            finally:
                await self._pay(self.conversation)
            await self._settled()
            return True
        finally:
            self._let_others()
            if self.conversation is None:
                farewell.forget(self)

    async def _end_twins(self) -> None:
        """End those that were opened besides, by somebody who sent our request again."""
        while self._twins:
            await self._api.end_conversation(self._twins[-1].id)
            logger.warning("Tavus conversation {} was opened twice", self._twins.pop().id)

    async def _seek(self, until: Callable[[], bool]) -> Conversation | None:
        """Look for the conversation by its name.

        Raises:
            TavusApiError: The last look failed: it may be there.
        """
        error: TavusApiError | None = None
        try:
            async with asyncio.timeout(_SEEK_TIMEOUT):
                for delay in self._patience:
                    await asyncio.sleep(delay)
                    try:
                        found, error = await orphans.find_by_name(self._api, self.name), None
                    except TavusApiError as e:
                        found, error = [], e
                    if found:
                        # Only the newest is lived in.
                        self._twins = found[1:]
                        return found[0]
                    if until():
                        return None
        except TimeoutError:
            error = TavusTimeoutError("GET /conversations", f"no answer in {_SEEK_TIMEOUT:g} s")
        if error:
            raise error
        self._patience = _AT_ONCE
        return None

    def _can_be_adopted(self, conversation: Conversation) -> bool:
        # What a list shows of a private room lacks the token.
        private = self._options.require_auth and not conversation.token
        return bool(conversation.url) and not private
