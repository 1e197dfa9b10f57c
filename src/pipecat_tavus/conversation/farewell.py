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

A web server takes SIGTERM for itself as long as it runs. When it has shut down it gives the
signal back to whom it took it from, and raises it again (uvicorn does so, and dies of it with
no exit): :func:`stand_by` is to be called before it runs.
"""

import atexit
import http.client
import os
import signal
import threading
import time
from collections.abc import Iterable
from multiprocessing import util
from types import FrameType
from typing import Protocol

from loguru import logger
from yarl import URL

_ROUNDS = 2
_ROUND_SECS = 3.0
"""Limit for a round of requests, however many there are."""

_PAUSE_SECS = 0.2
_TRANSIENT = (429, 500, 502, 503, 504)


class Debtor(Protocol):
    """Who owes a conversation its end."""

    def last_call(self) -> tuple[str, dict[str, str]] | None:
        """The URL to POST to and its headers, or None where nothing is owed any more."""
        ...

    def last_call_made(self) -> None:
        """The conversation was ended by :meth:`last_call`."""
        ...


_debtors: set[Debtor] = set()
_stands_by = False
_exit_of: int | None = None
"""The process whose exit is taken care of."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: forget_all())


def watch(debtor: Debtor) -> None:
    """Take care of a conversation from now on.

    Args:
        debtor: Who owes its end.
    """
    if not _debtors:
        _take_sigterm()
        _take_exit()
    _debtors.add(debtor)


def stand_by() -> None:
    """Take SIGTERM from now on, though nothing is owed yet, unless somebody else has it."""
    global _stands_by
    _stands_by = True
    _take_sigterm()


def forget(debtor: Debtor) -> None:
    """Take care of it no longer, since it has ended.

    Args:
        debtor: Who owed its end.
    """
    _debtors.discard(debtor)
    if not _debtors and not _stands_by:
        _give_sigterm_back()


def forget_all() -> None:
    """Take care of nothing any longer, as a process does that was forked."""
    for debtor in list(_debtors):
        forget(debtor)


@atexit.register
def settle_all() -> None:
    """End all that is owed, now and without a loop; what cannot be ended is only logged."""
    left = list(_debtors)
    for round_ in range(_ROUNDS):
        if round_ and left:
            time.sleep(_PAUSE_SECS)
        left = _settle(left, last=round_ == _ROUNDS - 1)


def _settle(debtors: Iterable[Debtor], *, last: bool) -> list[Debtor]:
    """Ask for all ends, then read all answers, so that the server works on them at once.

    Not in threads: from Python 3.12 on none can be started at exit.

    Returns:
        Those to ask once more.
    """
    until = time.monotonic() + _ROUND_SECS
    asked: list[tuple[Debtor, http.client.HTTPConnection]] = []
    left: list[Debtor] = []

    def failed(debtor: Debtor, why: object, *, for_good: bool = False) -> None:
        if last or for_good:
            logger.error("A Tavus conversation could not be ended at exit: {}", why)
            _debtors.discard(debtor)
        else:
            left.append(debtor)

    for debtor in debtors:
        if (call := debtor.last_call()) is None:
            _debtors.discard(debtor)
            continue
        try:
            asked.append((debtor, _ask(*call, until)))
        except (OSError, http.client.HTTPException, ValueError) as e:
            failed(debtor, e)
    for debtor, connection in asked:
        try:
            status = _answer(connection, until)
        except (OSError, http.client.HTTPException, ValueError) as e:
            failed(debtor, e)
            continue
        # As everywhere: ended already, or unknown, is ended.
        if status < 300 or status in (400, 404):
            debtor.last_call_made()
            # Only now: a signal may come in between.
            _debtors.discard(debtor)
        else:
            failed(debtor, f"status {status}", for_good=status not in _TRANSIENT)
    return left


def _ask(url: str, headers: dict[str, str], until: float) -> http.client.HTTPConnection:
    target = URL(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.host or "", target.port, timeout=_left(until))
    try:
        connection.request("POST", target.raw_path_qs, headers=headers)
    except BaseException:
        connection.close()
        raise
    return connection


def _answer(connection: http.client.HTTPConnection, until: float) -> int:
    try:
        if connection.sock:
            connection.sock.settimeout(_left(until))
        return connection.getresponse().status
    finally:
        connection.close()


def _left(until: float) -> float:
    # An answer that is there is read, late as it is.
    return max(0.05, until - time.monotonic())


def _on_sigterm(signum: int, frame: FrameType | None) -> None:
    # Here and now. An exit would unwind the loop: all tasks are cancelled at once, and a
    # Pipecat worker that waits for its pipeline's end then waits forever (measured, 1.14).
    try:
        settle_all()
    finally:
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def _take_exit() -> None:
    """Be called at the exit of a child of :mod:`multiprocessing`, which runs no ``atexit``."""
    global _exit_of
    # A child that was forked has forgotten what its parent registered.
    if _exit_of != os.getpid():
        _exit_of = os.getpid()
        # Before it waits for children of its own.
        util.Finalize(None, settle_all, exitpriority=0)


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
