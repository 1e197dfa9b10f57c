#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Webhooks: what Tavus tells to a conversation's ``callback_url``."""

import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from loguru import logger

from pipecat_tavus.sandbox.conversation import SandboxConversation

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class Webhooks:
    """Keeps what Tavus tells of conversations, and posts it where somebody wants to know."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], None]):
        """Initialize it; nothing is posted before :meth:`open`.

        Args:
            spawn: Starts a task.
        """
        self._spawn = spawn
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Post from now on."""
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        """Post no more."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def tell_joined(self, conversation: SandboxConversation) -> None:
        """The replica has joined.

        Args:
            conversation: Which.
        """
        self._tell(conversation, {"system.replica_joined": {}})

    def tell_over(self, conversation: SandboxConversation) -> None:
        """The conversation has ended: why, and what was said, as far as that is known.

        Args:
            conversation: Which.
        """
        told: dict[str, dict[str, Any]] = {
            "system.shutdown": {"shutdown_reason": conversation.shutdown_reason}
        }
        if conversation.transcript:
            told["application.transcription_ready"] = {"transcript": conversation.transcript}
        self._tell(conversation, told)

    def _tell(
        self, conversation: SandboxConversation, told: Mapping[str, Mapping[str, Any]]
    ) -> None:
        bodies = [
            _body(conversation, event_type, properties) for event_type, properties in told.items()
        ]
        conversation.events += bodies
        if conversation.callback_url and self._session:
            self._spawn(_post(self._session, conversation.callback_url, bodies))


def _body(
    conversation: SandboxConversation, event_type: str, properties: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "properties": {"replica_id": conversation.replica_id, **properties},
        "conversation_id": conversation.id,
        "webhook_url": conversation.callback_url,
        "event_type": event_type,
        "message_type": event_type.partition(".")[0],
        "timestamp": time.time(),
    }


async def _post(session: aiohttp.ClientSession, url: str, bodies: list[dict[str, Any]]) -> None:
    """Each once, in their order; a failure is only logged."""
    for body in bodies:
        try:
            async with session.post(url, json=body, timeout=_TIMEOUT):
                pass
        except (aiohttp.ClientError, TimeoutError, ValueError) as e:
            logger.warning(f"The webhook {body['event_type']} was not taken: {e}")
