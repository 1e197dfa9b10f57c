"""The ledger: private, shared, and never in the way of a call."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from loguru import logger

from pipecat_tavus.conversation import ledger as ledger_module
from pipecat_tavus.conversation.ledger import Ledger, fingerprint
from pipecat_tavus.conversation.owner import Owner

KEY = "key-f00d"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.sqlite3"


def ledger(path, *, base_url="https://tavus.test/v2", key=KEY):
    return Ledger(path, base_url=base_url, fingerprint=fingerprint(key))


@pytest.fixture
def warnings():
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    yield lines
    logger.remove(sink)


def test_an_entry_lives_from_the_intent_to_the_strike(path):
    book = ledger(path)
    before = time.time()
    book.intend("call 1")
    [entry] = book.entries()
    assert (entry.name, entry.conversation_id, entry.owner) == ("call 1", None, Owner.current())
    assert before <= entry.written_at <= time.time()
    book.opened("call 1", "c1")
    assert [e.conversation_id for e in book.entries()] == ["c1"]
    book.strike("call 1")
    assert book.entries() == []


def test_the_file_is_its_owners_alone(path):
    ledger(path).intend("call 1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for beside in path.parent.iterdir():
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_the_key_is_not_in_the_file(path):
    ledger(path).intend("call 1")
    for file in path.parent.iterdir():
        assert KEY.encode() not in file.read_bytes()
    assert KEY not in fingerprint(KEY)
    assert fingerprint(KEY) != fingerprint(KEY + "x")


def test_other_accounts_and_other_apis_are_not_seen(path):
    ledger(path).intend("call 1")
    assert ledger(path, key="another").entries() == []
    assert ledger(path, base_url="http://127.0.0.1:1/v2").entries() == []
    assert len(ledger(path).entries()) == 1


def test_no_file_is_made_to_read_from(path):
    assert ledger(path).entries() == []
    assert not path.exists()


def test_a_ledger_that_is_off_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("TAVUS_LEDGER", "off")
    assert Ledger.default_path() is None
    book = ledger(None)
    book.intend("call 1")
    book.opened("call 1", "c1")
    book.strike("call 1")
    assert book.entries() == []


def test_the_path_is_the_environments_else_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TAVUS_LEDGER", str(tmp_path / "l.db"))
    assert Ledger.default_path() == tmp_path / "l.db"
    monkeypatch.delenv("TAVUS_LEDGER")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Ledger.default_path().name == "ledger.sqlite3"


def test_many_processes_write_at_once_and_lose_nothing(path):
    script = f"""
import sys
from pathlib import Path
from pipecat_tavus.conversation.ledger import Ledger
book = Ledger(Path({str(path)!r}), base_url="u", fingerprint="f")
for n in range(25):
    book.intend(f"{{sys.argv[1]}} {{n}}")
    book.opened(f"{{sys.argv[1]}} {{n}}", "c")
    if n % 5:
        book.strike(f"{{sys.argv[1]}} {{n}}")
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(i)], stderr=subprocess.PIPE)
        for i in range(4)
    ]
    for child in children:
        _, errors = child.communicate(timeout=50)
        assert child.returncode == 0, errors.decode()
        assert b"Cannot write" not in errors
    entries = Ledger(path, base_url="u", fingerprint="f").entries()
    assert sorted(e.name for e in entries) == sorted(
        f"{i} {n}" for i in range(4) for n in range(0, 25, 5)
    )


@pytest.mark.parametrize("content", [b"", b"no database", os.urandom(5000)])
def test_a_file_that_is_no_ledger_costs_a_warning_and_is_set_aside(path, warnings, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    book = ledger(path)
    book.intend("call 1")
    book.intend("call 2")
    assert "call 2" in [e.name for e in ledger(path).entries()]
    assert len(warnings) == (1 if content else 0)
    assert KEY not in "".join(warnings)


def test_a_table_of_another_shape_costs_a_warning(path, warnings):
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE owed (something INTEGER)")
    db.close()
    book = ledger(path)
    book.intend("call 1")
    book.strike("call 1")
    assert book.entries() == []
    assert len(warnings) == 1


def test_values_of_wrong_types_cost_a_warning(path, warnings):
    book = ledger(path)
    book.intend("call 1")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE owed SET pid = 'many'")
    db.close()
    assert book.entries() == []
    assert len(warnings) == 1


def test_a_place_that_cannot_be_written_costs_a_warning(tmp_path, warnings):
    (tmp_path / "file").write_text("")
    book = ledger(tmp_path / "file" / "below" / "ledger.sqlite3")
    book.intend("call 1")
    book.opened("call 1", "c1")
    book.strike("call 1")
    assert book.entries() == []
    assert len(warnings) == 1


def test_a_full_disk_costs_a_warning(path, warnings):
    book = ledger(path)
    book.intend("call 1")
    # A database that may not grow fails as one on a full disk does.
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON owed BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    db.close()
    book.intend("call 2")
    assert len(warnings) == 1
    assert "full" in warnings[0]


class Lock:
    """Somebody who holds the file's lock, as another process does that is slow."""

    def __init__(self, path, seconds=None):
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("BEGIN IMMEDIATE")
        self._timer = threading.Timer(seconds or 60, self._let_go)
        self._timer.start()

    def _let_go(self):
        self._db.execute("ROLLBACK")

    def close(self):
        self._timer.cancel()
        self._timer.join()
        self._db.close()


def test_a_lock_is_waited_for_beyond_what_sqlite_waits(path, warnings, monkeypatch):
    monkeypatch.setattr(ledger_module, "_BUSY_TIMEOUT", 0.02)
    book = ledger(path)
    book.intend("call 1")
    with closing(Lock(path, seconds=0.3)):
        book.intend("call 2")
        book.opened("call 1", "c1")
    assert {e.name: e.conversation_id for e in book.entries()} == {"call 1": "c1", "call 2": None}
    assert warnings == []


def test_a_lock_that_is_never_let_go_costs_one_warning(path, warnings, monkeypatch):
    monkeypatch.setattr(ledger_module, "_BUSY_TIMEOUT", 0.02)
    monkeypatch.setattr(ledger_module, "_PATIENCE", 0.1)
    book = ledger(path)
    book.intend("call 1")
    with closing(Lock(path)):
        book.intend("call 2")
        book.strike("call 1")
    assert [e.name for e in book.entries()] == ["call 1"]
    assert len(warnings) == 1
    assert "locked" in warnings[0]


def test_what_is_a_day_old_has_ended_and_is_forgotten(path):
    ledger(path, base_url="http://127.0.0.1:1/v2").intend("of a sandbox that is gone")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE owed SET written_at = written_at - 24 * 3600")
    db.close()
    ledger(path).intend("call 1")
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT name FROM owed").fetchall() == [("call 1",)]
    db.close()
