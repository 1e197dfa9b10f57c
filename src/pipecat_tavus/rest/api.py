#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The client of Tavus's REST API."""

import os
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import aiohttp
from loguru import logger

from pipecat_tavus.conversation.ledger import fingerprint
from pipecat_tavus.errors import (
    TavusConfigError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
)
from pipecat_tavus.rest.calls import RestCalls
from pipecat_tavus.rest.models import (
    Conversation,
    ConversationOptions,
    ConversationPage,
)
from pipecat_tavus.rest.personas import Persona, Replica
from pipecat_tavus.rest.retry import RetryPolicy


class TavusApi:
    """Calls to Tavus's REST API (v2), typed and bounded in time.

    Safe calls, and the end of a conversation, are tried again where that can help; a
    create only where Tavus certainly did not accept it.

    With ``TAVUS_SAMPLE_ROOM_URL`` set, no call is made for a conversation: it is
    ``dev-conversation``, in the room of that URL, and its replica ``TestTavusTransport``.
    """

    BASE_URL: ClassVar[str] = "https://tavusapi.com/v2"
    MOCK_CONVERSATION_ID: ClassVar[str] = "dev-conversation"
    MOCK_PERSONA_NAME: ClassVar[str] = "TestTavusTransport"

    def __init__(
        self,
        api_key: str,
        session: aiohttp.ClientSession | None,
        *,
        base_url: str | None = None,
        timeout: float = 9.0,
        retry: RetryPolicy | None = None,
    ):
        """Initialize the client; nothing is sent.

        Args:
            api_key: The Tavus API key.
            session: The session that makes the requests, and is not closed here. With None,
                or once it is closed, the client opens its own, which :meth:`close` closes.
            base_url: Where the API is, else ``TAVUS_API_URL``, else :attr:`BASE_URL`.
            timeout: Limit for each call in seconds, all its tries included.
            retry: How often and how long to try.

        Raises:
            TavusConfigError: The key is none, or the URL is none.
        """
        self._dev_room_url = os.getenv("TAVUS_SAMPLE_ROOM_URL", "").strip()
        key = api_key.strip()
        if not key and not self._dev_room_url:
            raise TavusConfigError("The Tavus API key is empty (api_key, or TAVUS_API_KEY)")
        if not (key.isascii() and key.isprintable()):
            raise TavusConfigError(
                "The Tavus API key has characters that no key has, such as a line break "
                "(api_key, or TAVUS_API_KEY)"
            )
        self._calls = RestCalls(
            key,
            session,
            base_url=base_url or os.getenv("TAVUS_API_URL") or self.BASE_URL,
            timeout=timeout,
            retry=retry or RetryPolicy(),
        )

    def __repr__(self) -> str:
        """The client without its key."""
        return f"TavusApi(base_url={self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Where the API is, without a slash at the end."""
        return self._calls.base_url

    @property
    def development(self) -> bool:
        """Whether the development room stands for every conversation."""
        return bool(self._dev_room_url)

    @property
    def fingerprint(self) -> str:
        """What tells this key from others and gives it not away."""
        return fingerprint(self._calls.api_key.get_secret_value())

    def end_request(self, conversation_id: str) -> tuple[str, dict[str, str]]:
        """The request that ends a conversation, for who cannot await :meth:`end_conversation`.

        Args:
            conversation_id: Its id.

        Returns:
            The URL to POST to, and its headers, with the key.
        """
        url = f"{self.base_url}/conversations/{quote(conversation_id, safe='')}/end"
        return url, {"x-api-key": self._calls.api_key.get_secret_value()}

    async def close(self) -> None:
        """Close the session that the client opened for itself, if it did."""
        await self._calls.close()

    async def create_conversation(
        self, replica_id: str | None = None, persona_id: str | None = None, **options: Any
    ) -> Conversation:
        """Open a conversation. Tavus bills from here on, until it is ended.

        Args:
            replica_id: The replica; the persona's own if None.
            persona_id: The persona.
            **options: Fields of :class:`~pipecat_tavus.rest.models.ConversationOptions`, of its
                ``properties``, or any that this library does not know yet.

        Returns:
            The conversation, with its id and the URL of its room.

        Raises:
            TavusConfigError: A value was refused before anything was sent.
            TavusApiError: The call failed; ``maybe_accepted`` says whether Tavus may
                have opened the conversation all the same.
        """
        checked = ConversationOptions.check(replica_id=replica_id, persona_id=persona_id, **options)
        if self._dev_room_url:
            return Conversation(
                conversation_id=self.MOCK_CONVERSATION_ID, conversation_url=self._dev_room_url
            )
        conversation = await self._calls.call(
            "POST", "/conversations", Conversation, body=checked.body(), repeatable=False
        )
        if not conversation.has_room:
            raise TavusMalformedAnswerError(
                "POST /conversations",
                f"conversation {conversation.id} has no conversation_url",
                status=200,
                maybe_accepted=True,
            )
        # Not every answer tells it again, and how the bot is heard depends on it.
        conversation.persona_id = conversation.persona_id or checked.persona
        return conversation

    async def end_conversation(self, conversation_id: str) -> None:
        """End a conversation. One that Tavus does not know, or has ended, counts as ended.

        Args:
            conversation_id: Its id.

        Raises:
            TavusApiError: The call failed, after all tries.
        """
        if not conversation_id or conversation_id == self.MOCK_CONVERSATION_ID:
            return
        try:
            await self._calls.call(
                "POST", f"/conversations/{quote(conversation_id, safe='')}/end", None
            )
        except (TavusNotFoundError, TavusInvalidRequestError) as e:
            # A redirect, say, has ended nothing.
            if e.status not in (400, 404):
                raise
            logger.debug("Tavus conversation {} was ended already: {}", conversation_id, e.message)
        else:
            logger.debug("Tavus conversation {} ended", conversation_id)

    async def get_conversation(
        self, conversation_id: str, *, verbose: bool = False
    ) -> Conversation:
        """Look a conversation up.

        Args:
            conversation_id: Its id.
            verbose: Whether to have ``shutdown_reason``, transcript and events as well; they
                are among the model's extra fields.

        Returns:
            The conversation.

        Raises:
            TavusApiError: The call failed.
        """
        path = f"/conversations/{quote(conversation_id, safe='')}"
        return await self._calls.call(
            "GET", path, Conversation, params={"verbose": "true"} if verbose else {}
        )

    async def list_conversations(
        self,
        *,
        status: Literal["active", "ended"] | None = None,
        limit: int = 10,
        page: int = 1,
    ) -> ConversationPage:
        """List conversations, the newest first.

        Args:
            status: Only those of this status.
            limit: How many a page has.
            page: Which page, from 1.

        Returns:
            The page.

        Raises:
            TavusApiError: The call failed.
        """
        params = {"limit": str(limit), "page": str(page)}
        if status:
            params["status"] = status
        return await self._calls.call("GET", "/conversations", ConversationPage, params=params)

    async def get_persona(self, persona_id: str) -> Persona:
        """Look a persona up.

        Args:
            persona_id: Its id.

        Returns:
            The persona.

        Raises:
            TavusApiError: The call failed.
        """
        return await self._calls.call("GET", f"/personas/{quote(persona_id, safe='')}", Persona)

    async def get_persona_name(self, persona_id: str) -> str:
        """The name of a persona, which its replica bears in the room.

        Args:
            persona_id: Its id.

        Returns:
            The name.

        Raises:
            TavusApiError: The call failed.
        """
        if self._dev_room_url:
            return self.MOCK_PERSONA_NAME
        return (await self.get_persona(persona_id)).persona_name

    async def get_replica(self, replica_id: str) -> Replica:
        """Look a replica up.

        Args:
            replica_id: Its id.

        Returns:
            The replica.

        Raises:
            TavusApiError: The call failed.
        """
        return await self._calls.call("GET", f"/replicas/{quote(replica_id, safe='')}", Replica)
