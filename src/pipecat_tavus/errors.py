#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What can go wrong, as one tree.

::

    TavusError
    ├── TavusConfigError (ValueError)    refused here, before any request
    ├── TavusApiError                    a REST call failed
    │   ├── TavusAuthenticationError     401, 403
    │   ├── TavusNotFoundError           404
    │   ├── TavusInvalidRequestError     400, 422, every other 4xx, and 3xx
    │   ├── TavusConcurrencyLimitError   "maximum concurrent conversations"
    │   ├── TavusOutOfCreditsError       402
    │   ├── TavusRateLimitError          429, has ``retry_after``
    │   ├── TavusServerError             5xx, may have ``retry_after``
    │   ├── TavusMalformedAnswerError    answered, but not what Tavus answers
    │   ├── TavusConnectionError         not reached, or cut off
    │   └── TavusTimeoutError            no answer in time
    ├── TavusRoomError                   the Daily room, or its stand-in
    │   ├── TavusRoomJoinError           the bot could not join
    │   ├── TavusRoomClosedError         the room was closed under the bot
    │   │   └── TavusReplicaLeftError    the replica went, and it was to end with it
    │   ├── TavusReplicaAbsentError      the replica did not come in time
    │   └── TavusRoomSendError           a message or audio could not be sent
    └── TavusWebhookError (ValueError)   what was posted is no webhook of Tavus's

Every error tells what failed, with Tavus's own words and what to do about it, and
carries Pipecat's ``ErrorCategory`` for what it means to a pipeline.
"""

from typing import ClassVar

from pipecat.utils.errors import ErrorCategory


class TavusError(Exception):
    """Base of everything that this library raises.

    Parameters:
        category: What the error means to a Pipecat pipeline. Authentication, authorization
            and invalid request are permanent; all others may pass.
        hint: What to do about it, or empty.
    """

    category: ClassVar[ErrorCategory] = ErrorCategory.UNKNOWN
    hint: ClassVar[str] = ""

    def __str__(self) -> str:
        """What failed, and what to do about it."""
        text = super().__str__().rstrip(".")
        return f"{text}. {self.hint}" if self.hint else text


class TavusConfigError(TavusError, ValueError):
    """A value was refused before anything was opened or billed."""

    category = ErrorCategory.INVALID_REQUEST


class TavusApiError(TavusError):
    """A REST call to Tavus failed.

    Parameters:
        request: The call, such as ``POST /conversations``.
        status: The HTTP status, or None where there was no answer.
        message: Tavus's own words (``message`` or ``error`` of its answer), or what went wrong.
        retry_after: Seconds that Tavus asked to wait, or None.
        maybe_accepted: Whether the request may have taken effect all the same. False only
            where it certainly did not.
    """

    def __init__(
        self,
        request: str,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        maybe_accepted: bool = False,
    ):
        """Initialize the error.

        Args:
            request: The call, such as ``POST /conversations``.
            message: Tavus's own words, or what went wrong.
            status: The HTTP status, or None where there was no answer.
            retry_after: Seconds that Tavus asked to wait, or None.
            maybe_accepted: Whether the request may have taken effect all the same.
        """
        self.request = request
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.maybe_accepted = maybe_accepted
        answer = f"{status} {message}" if status is not None else message
        super().__init__(f"Tavus {request} failed: {answer}")


class TavusAuthenticationError(TavusApiError):
    """Tavus does not accept the API key (401, 403)."""

    category = ErrorCategory.AUTHENTICATION
    hint = "Check the API key (TAVUS_API_KEY)."


class TavusNotFoundError(TavusApiError):
    """Tavus does not know what was asked for (404)."""

    category = ErrorCategory.INVALID_REQUEST
    hint = "Check the id, and that it belongs to this account."


class TavusInvalidRequestError(TavusApiError):
    """Tavus refused the request (400, 422, every other 4xx), or redirects it (3xx)."""

    category = ErrorCategory.INVALID_REQUEST


class TavusConcurrencyLimitError(TavusApiError):
    """The account has as many active conversations as its plan allows."""

    category = ErrorCategory.RATE_LIMIT
    hint = (
        "End a running conversation (list_conversations(status='active') shows them), "
        "wait for one to end, or raise the plan's limit."
    )


class TavusOutOfCreditsError(TavusApiError):
    """The account has no credits left (402)."""

    category = ErrorCategory.QUOTA
    hint = "Add credits to the Tavus account."


class TavusRateLimitError(TavusApiError):
    """Too many requests (429); ``retry_after`` says when to try again, if Tavus did."""

    category = ErrorCategory.RATE_LIMIT


class TavusServerError(TavusApiError):
    """Tavus failed internally (5xx)."""

    category = ErrorCategory.SERVER


class TavusMalformedAnswerError(TavusApiError):
    """The answer is not what Tavus answers: HTML, cut off, too large, of a wrong type."""

    category = ErrorCategory.SERVER
    hint = "Check the API URL (TAVUS_API_URL), and for a proxy in between."


class TavusConnectionError(TavusApiError):
    """Tavus could not be reached, or the connection broke."""

    category = ErrorCategory.CONNECTIVITY
    hint = "Check the network, and the API URL (TAVUS_API_URL)."


class TavusTimeoutError(TavusApiError):
    """Tavus did not answer in time."""

    category = ErrorCategory.CONNECTIVITY


class TavusRoomError(TavusError):
    """The room of a conversation failed."""

    category = ErrorCategory.CONNECTIVITY


class TavusRoomJoinError(TavusRoomError):
    """The bot could not join the conversation's room."""


class TavusRoomClosedError(TavusRoomError):
    """The room was closed, or the bot put out of it, while the bot was in it."""


class TavusReplicaLeftError(TavusRoomClosedError):
    """The replica left, and the parameters say that the conversation ends with it."""


class TavusReplicaAbsentError(TavusRoomError):
    """The replica did not come in time; the bot speaks all the same."""


class TavusRoomSendError(TavusRoomError):
    """A message or audio could not be sent to the room."""


class TavusWebhookError(TavusError, ValueError):
    """What was posted is no webhook of a Tavus conversation's; by whom is not known."""

    category = ErrorCategory.UNKNOWN
