#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Whether and when to send a REST call again: a pure decision."""

from dataclasses import dataclass

from pipecat_tavus.errors import (
    TavusApiError,
    TavusConnectionError,
    TavusMalformedAnswerError,
    TavusRateLimitError,
    TavusServerError,
    TavusTimeoutError,
)

_TRANSIENT = (
    TavusConnectionError,
    TavusMalformedAnswerError,
    TavusRateLimitError,
    TavusServerError,
    TavusTimeoutError,
)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    Parameters:
        attempts: Tries in all, the first included.
        base_delay: Delay before the second try in seconds; it doubles with each further one.
        max_delay: The longest delay in seconds. A server that asks for a longer one is not
            tried again.
    """

    attempts: int = 4
    base_delay: float = 0.25
    max_delay: float = 4.0

    def delay(
        self, error: TavusApiError, *, attempt: int, repeatable: bool, jitter: float
    ) -> float | None:
        """How long to wait before the next try, or None for no further one.

        A call that is not repeatable (a create: each one that Tavus accepts is billed) is
        sent again only where Tavus certainly did not accept it.

        Args:
            error: Why the last try failed.
            attempt: How many tries there were, 1 or more.
            repeatable: Whether sending the call twice does no harm.
            jitter: A random number in [0, 1), which spreads the tries of many callers.

        Returns:
            Seconds to wait, or None to give up.
        """
        if attempt >= self.attempts or not isinstance(error, _TRANSIENT):
            return None
        if error.maybe_accepted and not repeatable:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.max_delay else None
        backoff = min(self.base_delay * 2 ** (attempt - 1), self.max_delay)
        return backoff * (0.5 + jitter / 2)
