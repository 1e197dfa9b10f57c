#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What an HTTP answer of Tavus's means: a typed value, or the error that it is. No I/O."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from yarl import URL

from pipecat_tavus.errors import (
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusInvalidRequestError,
    TavusMalformedAnswerError,
    TavusNotFoundError,
    TavusOutOfCreditsError,
    TavusRateLimitError,
    TavusServerError,
)
from pipecat_tavus.rest.models import describe

Model = TypeVar("Model", bound=BaseModel)

_ERRORS: dict[int, type[TavusApiError]] = {
    401: TavusAuthenticationError,
    402: TavusOutOfCreditsError,
    403: TavusAuthenticationError,
    404: TavusNotFoundError,
    429: TavusRateLimitError,
}


def read_answer(request: str, status: int, text: str, model: type[Model]) -> Model:
    """Read a good answer.

    Args:
        request: The call, such as ``POST /conversations``.
        status: The HTTP status, 2xx.
        text: The body.
        model: What it should be.

    Returns:
        The answer.

    Raises:
        TavusMalformedAnswerError: It is something else.
    """
    try:
        return model.model_validate(json.loads(text))
    except ValidationError as e:
        reason = describe(e)
    except (ValueError, RecursionError):
        # No more of it: an answer that was cut off may hold a token.
        reason = f"not JSON, it begins with {text[:20]!r}" if text.strip() else "an empty answer"
    raise TavusMalformedAnswerError(request, tidy(reason), status=status, maybe_accepted=True)


def read_error(request: str, status: int, text: str, headers: Mapping[str, str]) -> TavusApiError:
    """Tell which error an answer is.

    Args:
        request: The call, such as ``POST /conversations``.
        status: The HTTP status, not 2xx.
        text: The body.
        headers: The headers.

    Returns:
        The error, to be raised.
    """
    if 300 <= status < 400:
        place = _host(headers.get("Location", "")) or "another address"
        return TavusInvalidRequestError(
            request,
            f"redirected to {place}, which is not followed: check the API URL (TAVUS_API_URL)",
            status=status,
        )
    message = tidy(_words(text)) or "(no message)"
    error = _ERRORS.get(status)
    if error is None:
        error = TavusServerError if status >= 500 else TavusInvalidRequestError
    if status < 500 and "concurrent conversation" in message.lower():
        error = TavusConcurrencyLimitError
    retry_after = _seconds(headers.get("Retry-After"))
    # A 503 that says when to come back was refused at the door; any other 5xx may have
    # failed after the work was done.
    refused = status < 500 or (status == 503 and retry_after is not None)
    return error(
        request, message, status=status, retry_after=retry_after, maybe_accepted=not refused
    )


def tidy(text: str) -> str:
    """Foreign text fit for an error: short, and on one line.

    Args:
        text: Any text.

    Returns:
        At most 300 characters.
    """
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."


def _words(text: str) -> str:
    """Tavus's words in an error's body: ``message`` or ``error``, else the text itself."""
    try:
        data: Any = json.loads(text)
        if isinstance(data, dict):
            for key in ("message", "error"):
                words: Any = data.get(key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                if words:
                    return words if isinstance(words, str) else json.dumps(words)
    except (ValueError, RecursionError):
        return text
    return text


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        # The other form of Retry-After is a date, which a clock that is off would misread.
        return None


def _host(location: str) -> str | None:
    try:
        return URL(location).host
    except ValueError:
        return None
