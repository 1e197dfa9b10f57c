#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Conversations whose process is gone, found in the ledger and ended."""

import asyncio
import time
from dataclasses import dataclass

from loguru import logger

from pipecat_tavus.conversation.ledger import Entry, Ledger
from pipecat_tavus.conversation.owner import Owner
from pipecat_tavus.errors import TavusApiError
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import Conversation

_PAGE = 100
_MAX_PAGES = 20
_LOOKS = 3
"""How often to look where conversations end while the pages are read."""

_SECOND_LOOK_SECS = 1.0

STILL_UNDER_WAY_SECS = 60.0
"""For how long a request whose answer was lost may still open a conversation."""

living: set[str] = set()
"""The names of the conversations that this process is taking care of."""


async def find_by_name(api: TavusApi, name: str) -> list[Conversation]:
    """Look for the active conversations that were created with a unique name.

    Args:
        api: The REST client.
        name: The name.

    Returns:
        Those that were seen, the newest first. There is one, or none (yet); several where
        somebody on the way to Tavus sent the request again.

    Raises:
        TavusApiError: The look-up failed.
    """
    look = await _look(api)
    for _ in range(_LOOKS - 1):
        if look.complete or name in look.named:
            break
        look = await _look(api)
    return look.named.get(name, [])


@dataclass
class _Look:
    """What was seen in one look through all active conversations.

    Parameters:
        named: They, by name, the newest first.
        complete: Whether none that was active all the while can have been missed.
    """

    named: dict[str, list[Conversation]]
    complete: bool


async def _look(api: TavusApi) -> _Look:
    named: dict[str, list[Conversation]] = {}
    seen: set[str] = set()
    most = 0
    steady = True
    for page in range(1, _MAX_PAGES + 1):
        found = await api.list_conversations(status="active", limit=_PAGE, page=page)
        # One that ends moves all older ones up, perhaps onto a page that was read already.
        # Where more ended than began meanwhile, the total tells; otherwise none was missed.
        steady = steady and found.total_count >= most
        most = max(most, found.total_count)
        for it in found.data:
            if it.status != "ended" and it.id not in seen:
                seen.add(it.id)
                named.setdefault(it.conversation_name or "", []).append(it)
        # A server may give less than it was asked for.
        if not found.data or page * _PAGE >= found.total_count:
            return _Look(named, complete=steady)
    return _Look(named, complete=False)


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
    known = {it.name: [it.conversation_id] for it in entries if it.conversation_id}
    ended = await _end_all(api, ledger, known)
    nameless = [entry for entry in entries if entry.conversation_id is None]
    if nameless:
        try:
            ended += await _end_nameless(api, ledger, nameless)
        except TavusApiError as e:
            logger.warning("Tavus conversations of dead processes could not be looked for: {}", e)
    return ended


def _orphans(ledger: Ledger) -> list[Entry]:
    me = Owner.current()
    # One that ends while the ledger is read is in it, and then living no more.
    before = living.copy()
    entries = [entry for entry in ledger.entries() if entry.name not in before | living]
    return [entry for entry in entries if entry.owner == me or entry.owner.is_gone]


async def _end_nameless(api: TavusApi, ledger: Ledger, entries: list[Entry]) -> int:
    """End those whose ids are found by their names.

    One that came to nothing is struck: it is old, and was not there in two complete looks.

    Raises:
        TavusApiError: A look-up failed.
    """
    at = time.time()
    first = await _look(api)
    ended = await _end_all(api, ledger, _ids(entries, first))
    left = [it for it in entries if it.name not in first.named]
    old = [it for it in left if at - it.written_at > STILL_UNDER_WAY_SECS]
    if old or (left and not first.complete):
        await asyncio.sleep(_SECOND_LOOK_SECS)
        second = await _look(api)
        ended += await _end_all(api, ledger, _ids(left, second))
        if first.complete and second.complete:
            for name in {it.name for it in old} - second.named.keys():
                await asyncio.to_thread(ledger.strike, name)
    return ended


def _ids(entries: list[Entry], look: _Look) -> dict[str, list[str]]:
    return {
        entry.name: [it.id for it in look.named[entry.name]]
        for entry in entries
        if entry.name in look.named
    }


async def _end_all(api: TavusApi, ledger: Ledger, found: dict[str, list[str]]) -> int:
    """End conversations, given by name; how many were. What cannot be ended stays written."""
    ended = 0
    for name, ids in found.items():
        try:
            if name not in living:
                for conversation_id in ids:
                    await api.end_conversation(conversation_id)
                    ended += 1
                    logger.info(
                        "Tavus conversation {}, left open by a dead process, ended", conversation_id
                    )
                await asyncio.to_thread(ledger.strike, name)
        except TavusApiError as e:
            logger.warning("Tavus conversation {} of a dead process stays open: {}", name, e)
    return ended
