#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation that somebody else created: joined, and ended only where that is ours."""

from dataclasses import dataclass

from loguru import logger

from pipecat_tavus.conversation import farewell
from pipecat_tavus.conversation.debt import Debt, in_thread
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import Conversation


@dataclass
class Visit:
    """A conversation that is left, and goes on.

    Parameters:
        conversation: The conversation.
        owes: Whether its end is owed: never.
    """

    conversation: Conversation
    owes: bool = False

    @property
    def name(self) -> str:
        """What it is called in logs."""
        return self.conversation.id

    async def open(self) -> Conversation:
        """There is nothing to do.

        Returns:
            The conversation.
        """
        logger.info("Visiting Tavus conversation {}", self.conversation.id)
        return self.conversation

    async def end(self) -> bool:
        """Whoever created it ends it.

        Returns:
            That there was nothing to end.
        """
        return False


class Adoption(Debt):
    """A conversation whose end was handed over to us: owed from now on, joined or not."""

    def __init__(self, api: TavusApi, ledger: Ledger, conversation: Conversation):
        """Initialize the adoption; nothing is sent or written.

        Args:
            api: The REST client.
            ledger: The account's ledger.
            conversation: The conversation.
        """
        super().__init__(api, ledger)
        self.conversation = self._adopted = conversation
        self.owes = True
        farewell.watch(self)

    async def open(self) -> Conversation:
        """Write into the ledger that its end is owed.

        Returns:
            The conversation.
        """
        await self._intend()
        await in_thread(self._ledger.adopted, self.name, self._adopted.id)
        logger.info("Tavus conversation {} adopted", self._adopted.id)
        return self._adopted

    async def end(self) -> bool:
        """End it.

        Returns:
            Whether that was still owed.

        Raises:
            TavusApiError: It could not be ended; the ledger keeps it.
        """
        if not self.owes:
            return False
        try:
            await self._pay(self._adopted)
            await self._settled()
            return True
        finally:
            self._let_others()
