"""What holds for all tests."""

import inspect

import pytest
from machine import tried_again


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever listens to a machine that stands still hears that, and no defect."""
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("in_real_time"):
            if inspect.iscoroutinefunction(item.obj):
                item.obj = tried_again(item.obj)


@pytest.fixture(autouse=True)
def ledger_path(monkeypatch, tmp_path):
    """Each test has a ledger of its own, and never the user's."""
    path = tmp_path / "state" / "ledger.sqlite3"
    monkeypatch.setenv("TAVUS_LEDGER", str(path))
    return path
