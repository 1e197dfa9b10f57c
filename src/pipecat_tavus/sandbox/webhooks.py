#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Webhooks: what Tavus tells to a conversation's ``callback_url``."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from loguru import logger

from pipecat_tavus.sandbox.conversation import SandboxConversation

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


def event(
    conversation: SandboxConversation,
    event_type: str,
    properties: Mapping[str, Any],
    timestamp: float,
) -> dict[str, Any]:
    """Build a webhook's body.

    Args:
        conversation: What it is about.
        event_type: Such as ``system.shutdown``.
        properties: What belongs to it.
        timestamp: Unix seconds.

    Returns:
        The body.
    """
    return {
        "properties": {"replica_id": conversation.replica_id, **properties},
        "conversation_id": conversation.id,
        "webhook_url": conversation.callback_url,
        "event_type": event_type,
        "message_type": "system",
        "timestamp": timestamp,
    }


async def post(session: aiohttp.ClientSession, url: str, body: Mapping[str, Any]) -> None:
    """Send a webhook, once; a failure is only logged.

    Args:
        session: The HTTP client.
        url: Where it goes.
        body: What it says.
    """
    try:
        async with session.post(url, json=body, timeout=_TIMEOUT):
            pass
    except (aiohttp.ClientError, TimeoutError, ValueError) as e:
        logger.warning(f"The webhook {body['event_type']} was not taken: {e}")
