#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The conversations that we owe an end, written down before they are opened.

An entry is written before the request that opens a conversation, gets the conversation's
id from the answer, and is struck when the end is confirmed. What stays was opened by a
process that is gone, and the next one ends it. No key is written, only its fingerprint.

A ledger that cannot be written costs a warning, never the call.
"""

import hashlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger
from platformdirs import user_state_path

from pipecat_tavus.conversation.owner import Owner

Result = TypeVar("Result")

_BUSY_TIMEOUT = 1.0
_PATIENCE = 4.0
_FORGOTTEN_SECS = 24 * 3600.0
"""After this no conversation can be open: Tavus ends each after an hour."""

_making = threading.Lock()
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owed (
    name TEXT PRIMARY KEY,
    conversation_id TEXT,
    base_url TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL,
    written_at REAL NOT NULL
)
"""


@dataclass(frozen=True)
class Entry:
    """A conversation that is owed an end.

    Parameters:
        name: The unique name that it was created with.
        conversation_id: Its id, or None where the answer to its creation was lost.
        owner: The process that opened it.
        written_at: When, in Unix seconds.
    """

    name: str
    conversation_id: str | None
    owner: Owner
    written_at: float


def fingerprint(api_key: str) -> str:
    """What tells keys apart and gives none away.

    Args:
        api_key: The key.

    Returns:
        16 hexadecimal digits.
    """
    return hashlib.sha256(b"pipecat-tavus ledger\0" + api_key.encode()).hexdigest()[:16]


class Ledger:
    """The ledger of one account at one API, in a file that many processes share."""

    def __init__(self, path: Path | None, *, base_url: str, fingerprint: str):
        """Initialize the ledger; the file is made with the first entry.

        Args:
            path: The file; None for a ledger that writes nothing.
            base_url: Where the API is.
            fingerprint: That of the account's key.
        """
        self._path = path
        self._base_url = base_url
        self._fingerprint = fingerprint
        self._complained = False

    @staticmethod
    def default_path() -> Path | None:
        """The path in ``TAVUS_LEDGER``, None for its value ``off``, else the user's own."""
        chosen = os.getenv("TAVUS_LEDGER", "").strip()
        if chosen.lower() == "off":
            return None
        if chosen:
            return Path(chosen).expanduser()
        return user_state_path("pipecat-tavus") / "ledger.sqlite3"

    def intend(self, name: str) -> None:
        """Write down that a conversation is about to be created.

        Args:
            name: The unique name that it is created with.
        """
        me = Owner.current()
        account = (self._base_url, self._fingerprint)
        owner = (me.host, me.boot, me.pid, me.started)
        # Those of any account: what is so old has ended long ago, whoever was to end it.
        self._write("DELETE FROM owed WHERE written_at < ?", (time.time() - _FORGOTTEN_SECS,))
        self._write(
            "INSERT OR REPLACE INTO owed VALUES (?, NULL, ?, ?, ?, ?, ?, ?, ?)",
            (name, *account, *owner, time.time()),
        )

    def opened(self, name: str, conversation_id: str) -> None:
        """Write down the id of a conversation that was created.

        Args:
            name: The name that it was created with.
            conversation_id: Its id.
        """
        self._write("UPDATE owed SET conversation_id = ? WHERE name = ?", (conversation_id, name))

    def adopted(self, name: str, conversation_id: str) -> None:
        """Write down the id of a conversation whose end was handed over, whoever owed it before.

        Args:
            name: The name of the new entry.
            conversation_id: Its id.
        """
        self.opened(name, conversation_id)
        self._write(
            "DELETE FROM owed WHERE conversation_id = ? AND name != ?", (conversation_id, name)
        )

    def strike(self, name: str) -> None:
        """Strike an entry: its conversation was ended, or never was.

        Args:
            name: The name that it was created with.
        """
        self._write("DELETE FROM owed WHERE name = ?", (name,))

    def entries(self) -> list[Entry]:
        """All entries of this account at this API, the oldest first."""
        if self._path is None or not self._path.exists():
            return []
        return self._do("read", self._entries) or []

    def _entries(self, db: sqlite3.Connection) -> list[Entry]:
        rows = db.execute(
            "SELECT name, conversation_id, host, boot, pid, started, written_at FROM owed"
            " WHERE base_url = ? AND fingerprint = ? ORDER BY written_at",
            (self._base_url, self._fingerprint),
        )
        return [entry for row in rows if (entry := _entry(*row))]

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        self._do("write", lambda db: db.execute(statement, values))

    def _do(self, what: str, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Work on the file in a transaction; what goes wrong with it is only logged."""
        if self._path is None:
            return None
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with closing(self._connect(self._path)) as db, db:
                    return work(db)
            except (sqlite3.Error, OSError, TypeError, ValueError) as e:
                # SQLite itself does not wait for every lock, nor take turns.
                if "locked" not in str(e) or time.monotonic() > until:
                    self._complain(what, e)
                    return None
            time.sleep(random.uniform(0.01, 0.05))

    def _connect(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
        db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _complain(self, what: str, error: Exception) -> None:
        # Once: a bot that cannot write cannot write the next entry either.
        if not self._complained:
            self._complained = True
            logger.warning(
                "Cannot {} the ledger of open Tavus conversations, {}: {}. Conversations "
                "that this process leaves open when it is killed will not be ended by the next.",
                what,
                self._path,
                error,
            )
        broken = ("not a database", "malformed")
        if isinstance(error, sqlite3.DatabaseError) and any(it in str(error) for it in broken):
            self._set_aside()

    def _set_aside(self) -> None:
        """Move a file that is no ledger out of the way of the next entries."""
        if self._path is not None:
            aside = self._path.with_name(f"{self._path.name}.corrupt-{int(time.time())}")
            try:
                self._path.replace(aside)
            except OSError as e:
                logger.debug("could not set the ledger aside: {}", e)


def _make(path: Path) -> None:
    """Make the file, so that it is nobody else's from the first moment, unless there is one.

    It is never opened but by SQLite once there is one: to close it would let go of the locks
    that this process's other threads have on it.
    """
    with _making:
        if not path.exists():
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _entry(
    name: Any, conversation_id: Any, host: Any, boot: Any, pid: Any, started: Any, at: Any
) -> Entry | None:
    """A row as an entry; None where it cannot be one, which spoils none of the others."""
    try:
        owner = Owner(str(host), str(boot), int(pid), str(started))
        known = str(conversation_id) if conversation_id else None
        return Entry(str(name), known, owner, float(at))
    except (TypeError, ValueError, OverflowError) as e:
        logger.warning("An entry of the ledger of Tavus conversations cannot be read: {}", e)
        return None
