#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Faults that are ordered for calls to come: pure state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CALLS = (
    "POST /conversations",
    "POST /conversations/{id}/end",
    "GET /conversations",
    "GET /conversations/{id}",
    "DELETE /conversations/{id}",
    "GET /personas/{id}",
    "GET /pals/{id}",
    "GET /replicas/{id}",
    "GET /faces/{id}",
    "JOIN",
    "SEND",
)
"""What can be made to fail: the REST calls, a bot's joining, and its app messages."""


@dataclass(frozen=True)
class Fault:
    """How a call goes wrong.

    Parameters:
        status: The HTTP status to answer with, or None for the real one.
        body: The answer: text, or anything else as JSON.
        headers: Headers of that answer, such as ``Retry-After``.
        delay: Seconds before anything is done.
        hang: Whether the call is never answered.
        reset: Whether the connection is cut instead of an answer.
        work: Whether the call takes effect all the same.
    """

    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    delay: float = 0.0
    hang: bool = False
    reset: bool = False
    work: bool = True

    @property
    def refuses(self) -> bool:
        """Whether another answer than the real one is given."""
        return self.status is not None or self.body is not None

    @property
    def words(self) -> str:
        """The body as text, for where there is no HTTP."""
        return "refused by an ordered fault" if self.body is None else str(self.body)


class Faults:
    """The faults that are ordered and not yet used up."""

    def __init__(self) -> None:
        """Initialize with none."""
        self._ordered: dict[str, list[tuple[Fault, int | None]]] = {}

    def order(
        self,
        call: str,
        *,
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        hang: bool = False,
        reset: bool = False,
        work: bool | None = None,
        times: int | None = 1,
    ) -> None:
        """Order a fault; several for one call are used in the order given.

        Args:
            call: One of :data:`CALLS`.
            status: The HTTP status; 500 where nothing else is given.
            body: The answer: text, or anything else as JSON.
            headers: Headers of that answer.
            delay: Seconds before anything is done.
            hang: Whether the call is never answered.
            reset: Whether the connection is cut instead of an answer.
            work: Whether the call takes effect all the same. By default it does where it is
                only slow or the connection is cut, and does not where it hangs or has
                another answer.
            times: For how many calls, None for all.

        Raises:
            ValueError: There is no such call.
        """
        if call not in CALLS:
            raise ValueError(f"no call {call!r}; there are: {', '.join(CALLS)}")
        if status is None and body is None and not (delay or hang or reset):
            status = 500
        if work is None:
            work = status is None and body is None and not hang
        fault = Fault(status, body, headers, delay, hang, reset, work)
        self._ordered.setdefault(call, []).append((fault, times))

    def take(self, call: str) -> Fault | None:
        """The fault of a call that comes now, which is used up by it.

        Args:
            call: One of :data:`CALLS`.

        Returns:
            The fault, or None.
        """
        ordered = self._ordered.get(call)
        while ordered:
            fault, times = ordered[0]
            if times is None:
                return fault
            if times > 1:
                ordered[0] = (fault, times - 1)
            else:
                ordered.pop(0)
            if times > 0:
                return fault
        return None
