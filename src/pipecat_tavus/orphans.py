#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Conversations whose process is gone, found in the ledger and ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from loguru import logger

from pipecat_tavus.api import TavusApi
from pipecat_tavus.errors import TavusApiError
from pipecat_tavus.ledger import Entry, Ledger
from pipecat_tavus.models import Conversation
from pipecat_tavus.owner import Owner

_PAGE = 100
_MAX_PAGES = 20

STILL_UNDER_WAY_SECS = 60.0
"""For how long a request whose answer was lost may still open a conversation."""

living: set[str] = set()
"""The names of the conversations that this process is taking care of."""


async def find_by_name(api: TavusApi, name: str) -> Conversation | None:
    """Look for an active conversation by the unique name that it was created with.

    Args:
        api: The REST client.
        name: The name.

    Returns:
        The conversation, or None where there is none (yet).

    Raises:
        TavusApiError: The look-up failed.
    """
    async for conversation in _active(api):
        if conversation.conversation_name == name:
            return conversation
    return None


async def _active(api: TavusApi) -> AsyncIterator[Conversation]:
    for page in range(1, _MAX_PAGES + 1):
        found = await api.list_conversations(status="active", limit=_PAGE, page=page)
        for conversation in found.data:
            if conversation.status != "ended":
                yield conversation
        # A server may give less than it was asked for.
        if not found.data or page * _PAGE >= found.total_count:
            break


async def end_orphans(api: TavusApi, ledger: Ledger) -> int:
    """End the conversations that processes of this machine left open when they went.

    Those of live processes and of other hosts are not touched. What cannot be ended now
    stays in the ledger.

    Args:
        api: The REST client of the account.
        ledger: The account's ledger.

    Returns:
        How many were ended.
    """
    entries = await asyncio.to_thread(_orphans, ledger)
    if any(entry.conversation_id is None for entry in entries):
        entries = await _looked_up(api, ledger, entries)
    ended = 0
    for entry in entries:
        try:
            if entry.name not in living:
                ended += await _end_orphan(api, ledger, entry)
        except TavusApiError as e:
            logger.warning("Tavus conversation {} of a dead process stays open: {}", entry.name, e)
    return ended


def _orphans(ledger: Ledger) -> list[Entry]:
    me = Owner.current()
    entries = [entry for entry in ledger.entries() if entry.name not in living]
    return [entry for entry in entries if entry.owner == me or entry.owner.is_gone]


async def _looked_up(api: TavusApi, ledger: Ledger, entries: list[Entry]) -> list[Entry]:
    """The entries that have an id, or whose id is found by their name; all in one look."""
    at = time.time()
    try:
        ids = {it.conversation_name: it.id async for it in _active(api)}
    except TavusApiError as e:
        logger.warning("Tavus conversations of dead processes could not be looked for: {}", e)
        return [entry for entry in entries if entry.conversation_id]
    known: list[Entry] = []
    for entry in entries:
        found = entry.conversation_id or ids.get(entry.name)
        if found:
            known.append(replace(entry, conversation_id=found))
        elif at - entry.written_at > STILL_UNDER_WAY_SECS:
            await asyncio.to_thread(ledger.strike, entry.name)
    return known


async def _end_orphan(api: TavusApi, ledger: Ledger, entry: Entry) -> bool:
    if entry.conversation_id is None:
        return False
    await api.end_conversation(entry.conversation_id)
    await asyncio.to_thread(ledger.strike, entry.name)
    logger.info("Tavus conversation {}, left open by a dead process, ended", entry.conversation_id)
    return True
