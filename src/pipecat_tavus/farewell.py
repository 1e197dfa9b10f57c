#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The last chance of a process to end its conversations: its exit, and SIGTERM.

An event loop that is over can end nothing any more. What it left open is ended when the
interpreter exits, without a loop. SIGTERM, whose default is an end without an exit, ends
what is open first, unless the application handles it itself; then the process dies of it
as it would have.
"""

import atexit
import http.client
import os
import signal
import threading
from types import FrameType
from typing import Protocol

from loguru import logger
from yarl import URL

_TIMEOUT = 3.0


class Debtor(Protocol):
    """Who owes a conversation its end."""

    def last_call(self) -> tuple[str, dict[str, str]] | None:
        """The URL to POST to and its headers, or None where nothing is owed any more."""
        ...

    def last_call_made(self) -> None:
        """The conversation was ended by :meth:`last_call`."""
        ...


_debtors: set[Debtor] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: forget_all())


def watch(debtor: Debtor) -> None:
    """Take care of a conversation from now on.

    Args:
        debtor: Who owes its end.
    """
    if not _debtors:
        _take_sigterm()
    _debtors.add(debtor)


def forget(debtor: Debtor) -> None:
    """Take care of it no longer, since it has ended.

    Args:
        debtor: Who owed its end.
    """
    _debtors.discard(debtor)
    if not _debtors:
        _give_sigterm_back()


def forget_all() -> None:
    """Take care of nothing any longer, as a process does that was forked."""
    for debtor in list(_debtors):
        forget(debtor)


@atexit.register
def _settle_all() -> None:
    for debtor in list(_debtors):
        _settle(debtor)
        # Only now: a signal may come in between.
        _debtors.discard(debtor)


def _settle(debtor: Debtor) -> None:
    call = debtor.last_call()
    if call is None:
        return
    try:
        status = _post(*call)
    except (OSError, http.client.HTTPException, ValueError) as e:
        logger.error("A Tavus conversation could not be ended at exit: {}", e)
        return
    # As everywhere: ended already, or unknown, is ended.
    if status < 300 or status in (400, 404):
        debtor.last_call_made()
    else:
        logger.error("A Tavus conversation could not be ended at exit: status {}", status)


def _post(url: str, headers: dict[str, str]) -> int:
    target = URL(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.host or "", target.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", target.raw_path_qs, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    # Here and now. An exit would unwind the loop: all tasks are cancelled at once, and a
    # Pipecat worker that waits for its pipeline's end then waits forever (measured, 1.14).
    try:
        _settle_all()
    finally:
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def _take_sigterm() -> None:
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, _on_sigterm)


def _give_sigterm_back() -> None:
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _on_sigterm
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
