#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation that is answered for until its end is confirmed.

However it came to be ours, it is written into the ledger under a name that is unique, and
the process looks after it at its exit.
"""

import asyncio
import uuid
from collections.abc import Callable

from pipecat_tavus.conversation import farewell, orphans
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import Conversation


class Debt:
    """A conversation, and whether its end is owed."""

    def __init__(self, api: TavusApi, ledger: Ledger, title: str | None = None):
        """Initialize the debt; nothing is sent or written.

        Args:
            api: The REST client.
            ledger: The account's ledger.
            title: What its unique name begins with.
        """
        self._api = api
        self._ledger = ledger
        self.name = f"{title or 'pipecat-tavus'} {uuid.uuid4().hex[:12]}"
        self.conversation: Conversation | None = None
        self.owes = False

    def last_call(self) -> tuple[str, dict[str, str]] | None:
        """The end without an event loop: see :mod:`~pipecat_tavus.conversation.farewell`."""
        if not self.owes or self.conversation is None:
            return None
        return self._api.end_request(self.conversation.id)

    def last_call_made(self) -> None:
        """The last call ended it."""
        self.owes = False
        self._ledger.strike(self.name)

    def _intend(self) -> asyncio.Future[None]:
        """Owe it from now on; the ledger is being written."""
        orphans.living.add(self.name)
        self.owes = True
        farewell.watch(self)
        return in_thread(self._ledger.intend, self.name)

    async def _pay(self, conversation: Conversation) -> None:
        await self._api.end_conversation(conversation.id)
        conversation.status = "ended"

    async def _settled(self) -> None:
        self.owes = False
        farewell.forget(self)
        await asyncio.shield(in_thread(self._strike))

    def _let_others(self) -> None:
        """Leave it to the next transport, where it could not be ended."""
        if self.owes:
            orphans.living.discard(self.name)

    def _strike(self) -> None:
        try:
            self._ledger.strike(self.name)
        finally:
            # Not before: as long as it is written down, somebody else would end it as well.
            orphans.living.discard(self.name)


def in_thread(write: Callable[..., None], *args: str) -> asyncio.Future[None]:
    """Write, which `to_thread` would not do where whoever waits for it is cancelled at once.

    Args:
        write: What writes.
        *args: Its arguments.

    Returns:
        Done when it is written.
    """
    return asyncio.get_running_loop().run_in_executor(None, write, *args)
