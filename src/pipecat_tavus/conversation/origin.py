#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Where a conversation comes from: Tavus creates it for us, or somebody else has had it created."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from pipecat_tavus.conversation.attaching import Adoption, Visit
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.conversation.opening import Opening
from pipecat_tavus.conversation.orphans import end_orphans
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.models import Conversation, ConversationOptions

Beginning = Callable[[], Opening] | Adoption | Visit
"""Makes an attempt to create a conversation; or the one that there is."""

Reaping = Callable[[], Coroutine[Any, Any, int]]
"""Ends the account's orphans, and counts them."""


def origin(
    api: TavusApi | None,
    options: ConversationOptions,
    conversation: Conversation | None,
    *,
    own: bool,
) -> tuple[Beginning, Reaping | None]:
    """Where a conversation comes from.

    Args:
        api: The REST client, or None where there is no API key: for somebody else's only.
        options: What to create it with.
        conversation: One that somebody else created, or None.
        own: Whether that one is ours to end.

    Returns:
        How it begins; and how to end the account's orphans, where that is to be done.
    """
    if api is None:
        # Whoever creates one, or ends one, has a client.
        assert conversation is not None and not own
        return Visit(conversation), None
    ledger = Ledger(Ledger.default_path(), base_url=api.base_url, fingerprint=api.fingerprint)
    reaping = None if api.development else partial(end_orphans, api, ledger)
    if conversation is None:
        return partial(Opening, api, ledger, options), reaping
    return (Adoption(api, ledger, conversation) if own else Visit(conversation)), reaping
