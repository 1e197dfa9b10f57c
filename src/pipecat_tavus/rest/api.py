#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The client of Tavus's REST API."""

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote

import aiohttp
from loguru import logger
from pydantic import BaseModel, SecretStr
from yarl import URL

from pipecat_tavus.conversation.ledger import fingerprint
from pipecat_tavus.errors import (
    TavusApiError,
    TavusConfigError,
    TavusConnectionError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusTimeoutError,
)
from pipecat_tavus.rest.answers import read_answer, read_error, tidy
from pipecat_tavus.rest.models import (
    Conversation,
    ConversationOptions,
    ConversationPage,
    Persona,
    Replica,
)
from pipecat_tavus.rest.retry import RetryPolicy

_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CONNECT_TIMEOUT = 5.0

Model = TypeVar("Model", bound=BaseModel)


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
            TavusConfigError: The key is empty, or the URL is none.
        """
        self._dev_room_url = os.getenv("TAVUS_SAMPLE_ROOM_URL", "").strip()
        if not api_key.strip() and not self._dev_room_url:
            raise TavusConfigError("The Tavus API key is empty (api_key, or TAVUS_API_KEY)")
        self._api_key = SecretStr(api_key.strip())
        self._session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._base_url = _checked_url(base_url or os.getenv("TAVUS_API_URL") or self.BASE_URL)
        self._timeout = timeout
        self._retry = retry or RetryPolicy()

    def __repr__(self) -> str:
        """The client without its key."""
        return f"TavusApi(base_url={self._base_url!r})"

    @property
    def base_url(self) -> str:
        """Where the API is, without a slash at the end."""
        return self._base_url

    @property
    def development(self) -> bool:
        """Whether the development room stands for every conversation."""
        return bool(self._dev_room_url)

    @property
    def fingerprint(self) -> str:
        """What tells this key from others and gives it not away."""
        return fingerprint(self._api_key.get_secret_value())

    def end_request(self, conversation_id: str) -> tuple[str, dict[str, str]]:
        """The request that ends a conversation, for who cannot await :meth:`end_conversation`.

        Args:
            conversation_id: Its id.

        Returns:
            The URL to POST to, and its headers, with the key.
        """
        url = f"{self._base_url}/conversations/{quote(conversation_id, safe='')}/end"
        return url, {"x-api-key": self._api_key.get_secret_value()}

    async def close(self) -> None:
        """Close the session that the client opened for itself, if it did."""
        if self._own_session:
            await self._own_session.close()

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
        conversation = await self._call(
            "POST", "/conversations", Conversation, body=checked.body(), repeatable=False
        )
        if not conversation.conversation_url.startswith(("http://", "https://")):
            raise TavusMalformedAnswerError(
                "POST /conversations",
                f"conversation {conversation.id} has no conversation_url",
                status=200,
                maybe_accepted=True,
            )
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
            await self._call("POST", f"/conversations/{quote(conversation_id, safe='')}/end", None)
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
        return await self._call(
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
        return await self._call("GET", "/conversations", ConversationPage, params=params)

    async def get_persona(self, persona_id: str) -> Persona:
        """Look a persona up.

        Args:
            persona_id: Its id.

        Returns:
            The persona.

        Raises:
            TavusApiError: The call failed.
        """
        return await self._call("GET", f"/personas/{quote(persona_id, safe='')}", Persona)

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
        return await self._call("GET", f"/replicas/{quote(replica_id, safe='')}", Replica)

    async def _call(
        self,
        method: str,
        path: str,
        model: type[Model] | None,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Any:
        request = f"{method} {path}"
        attempt = 0
        last: TavusApiError | None = None
        under_way = False
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    attempt += 1
                    under_way = True
                    try:
                        status, text = await self._send(method, path, body, params)
                        return read_answer(request, status, text, model) if model else None
                    except TavusApiError as e:
                        last, under_way = e, False
                        delay = self._retry.delay(
                            e, attempt=attempt, repeatable=repeatable, jitter=random.random()
                        )
                        if delay is None:
                            raise
                        logger.warning("{}; trying again in {:.1f} s", e, delay)
                        await asyncio.sleep(delay)
        except TimeoutError:
            # The last try may have been accepted, whatever was said to the one before.
            if last and (repeatable or not under_way):
                raise last from None
            raise TavusTimeoutError(
                request, f"no answer within {self._timeout:g} s", maybe_accepted=True
            ) from None

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None,
    ) -> tuple[int, str]:
        """One try: the status and text of a good answer, or an error."""
        request = f"{method} {path}"
        # The session's own limit of 5 minutes does not count: `_call` has one for all tries.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
        try:
            async with self._open_session().request(
                method,
                self._base_url + path,
                json=body,
                params=params,
                headers={"x-api-key": self._api_key.get_secret_value()},
                timeout=limits,
                # The key must not follow to another host.
                allow_redirects=False,
            ) as response:
                data = bytearray()
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > _MAX_ANSWER_BYTES:
                        raise TavusMalformedAnswerError(
                            request,
                            f"an answer of more than {_MAX_ANSWER_BYTES} bytes",
                            status=response.status,
                            maybe_accepted=True,
                        )
                text = self._without_key(data.decode("utf-8", "replace"))
                if 200 <= response.status < 300:
                    return response.status, text
                raise read_error(request, response.status, text, response.headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as e:
            reason = str(e) or type(e).__name__
            raise TavusConnectionError(
                request, f"cannot reach {self._base_url}: {reason}"
            ) from None
        except (aiohttp.ClientError, OSError) as e:
            reason = tidy(str(e) or type(e).__name__)
            raise TavusConnectionError(
                request, f"the connection broke: {reason}", maybe_accepted=True
            ) from None

    def _open_session(self) -> aiohttp.ClientSession:
        # An application may close its session while a conversation still wants its end.
        if self._session and not self._session.closed:
            return self._session
        if not self._own_session or self._own_session.closed:
            self._own_session = aiohttp.ClientSession()
        return self._own_session

    def _without_key(self, text: str) -> str:
        key = self._api_key.get_secret_value()
        return text.replace(key, "[key]") if key else text


def _checked_url(url: str) -> str:
    try:
        parsed = URL(url.strip())
        good = parsed.scheme in ("http", "https") and bool(parsed.host)
    except ValueError:
        good = False
    if not good:
        raise TavusConfigError(
            f"The API URL {url!r} is not an http or https URL (base_url, or TAVUS_API_URL)"
        )
    return url.strip().rstrip("/")
