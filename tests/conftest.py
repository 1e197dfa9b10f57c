"""What holds for all tests."""

import pytest


@pytest.fixture(autouse=True)
def ledger_path(monkeypatch, tmp_path):
    """Each test has a ledger of its own, and never the user's."""
    path = tmp_path / "state" / "ledger.sqlite3"
    monkeypatch.setenv("TAVUS_LEDGER", str(path))
    return path
