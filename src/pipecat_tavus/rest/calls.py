#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""One call to Tavus's REST API: tried again where that helps, and bounded in time."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
from loguru import logger
from pydantic import BaseModel, SecretStr
from yarl import URL

from pipecat_tavus.errors import (
    TavusApiError,
    TavusConfigError,
    TavusConnectionError,
    TavusMalformedAnswerError,
    TavusTimeoutError,
)
from pipecat_tavus.rest.answers import read_answer, read_error, tidy
from pipecat_tavus.rest.retry import RetryPolicy

_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CONNECT_TIMEOUT = 5.0

Model = TypeVar("Model", bound=BaseModel)


class RestCalls:
    """Makes the requests of one account.

    Parameters:
        base_url: Where the API is, without a slash at the end.
        api_key: The account's key.
    """

    def __init__(
        self,
        api_key: str,
        session: aiohttp.ClientSession | None,
        *,
        base_url: str,
        timeout: float,
        retry: RetryPolicy,
    ):
        """Initialize the calls; nothing is sent.

        Args:
            api_key: The account's key.
            session: The session that makes the requests, and is not closed here. With None,
                or once it is closed, an own one is opened.
            base_url: Where the API is.
            timeout: Limit for each call in seconds, all its tries included.
            retry: How often and how long to try.

        Raises:
            TavusConfigError: The URL is none.
        """
        self.base_url = _checked_url(base_url)
        self.api_key = SecretStr(api_key)
        self._session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._timeout = timeout
        self._retry = retry

    async def close(self) -> None:
        """Close the session that was opened here, if one was."""
        if self._own_session:
            await self._own_session.close()

    async def call(
        self,
        method: str,
        path: str,
        model: type[Model] | None,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Any:
        """Make a call.

        Args:
            method: The HTTP method.
            path: The path below :attr:`base_url`.
            model: What a good answer is, or None where it does not matter.
            body: What is sent as JSON, or None.
            params: The query, or None.
            repeatable: Whether it may be tried again though Tavus may have accepted it.

        Returns:
            The answer as a ``model``, or None.

        Raises:
            TavusApiError: It failed, after all tries.
        """
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
                self.base_url + path,
                json=body,
                params=params,
                headers={"x-api-key": self.api_key.get_secret_value()},
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
            raise TavusConnectionError(request, f"cannot reach {self.base_url}: {reason}") from None
        except (aiohttp.ClientError, OSError) as e:
            reason = tidy(str(e) or type(e).__name__)
            raise TavusConnectionError(
                request, f"the connection broke: {reason}", maybe_accepted=True
            ) from None

    def _open_session(self) -> aiohttp.ClientSession:
        # An application may close its session while a conversation still wants its end.
        if self._session and not self._session.closed:
            return self._session
        # Or have created the conversation in a loop that is over.
        loop = asyncio.get_running_loop()
        if not self._own_session or self._own_session.closed or self._own_loop is not loop:
            self._own_session, self._own_loop = aiohttp.ClientSession(), loop
        return self._own_session

    def _without_key(self, text: str) -> str:
        key = self.api_key.get_secret_value()
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
