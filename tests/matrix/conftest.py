"""A sandbox whose every conversation must have been ended by us, once."""

import asyncio
import time

import pytest
from matrix.points import Watch, begin, watching
from matrix.stage import QUICK, Stage

from pipecat_tavus import client
from pipecat_tavus.conversation import farewell, orphans
from pipecat_tavus.sandbox import TavusSandbox

END_HIT = "end_conversation_endpoint_hit"


async def look_at(stage, ended_by_tavus):
    """What a bot may leave behind, which is nothing."""
    book, watch = stage.sandbox.conversations, stage.watch
    until = time.monotonic() + 15
    while (watch.unfinished() or stage.active()) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    assert watch.unfinished() == [], "a task is left"
    assert stage.bots() == [], "a bot is in the room"
    assert stage.active() == []
    if not ended_by_tavus:
        assert {c.shutdown_reason for c in book.values()} <= {END_HIT}, "it was not we"
        assert sorted(stage.ends()) == sorted(book), "ended once each"
    await asyncio.sleep(0.02)
    assert stage.ledger().entries() == []


async def put_an_end_to(tasks):
    """Cancel what a test that failed has left, as often as it takes."""
    for _ in range(20):
        if not (left := {task for task in tasks if not task.done()} - {asyncio.current_task()}):
            return
        await asyncio.wait(left, timeout=0.2)
        for task in left:
            task.cancel()


@pytest.fixture
async def stage(monkeypatch, tmp_path, request):
    """Where a bot lives; what it leaves behind is looked at when the test is over."""
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    monkeypatch.setattr(client, "_GUARD_INTERVAL", 0.1)

    def set_environment(sandbox, ledger_path):
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        monkeypatch.setenv("TAVUS_LEDGER", str(ledger_path))

    watch = Watch()
    with watching():
        async with TavusSandbox(replica=QUICK, max_concurrent=10) as sandbox:
            stage = Stage(sandbox, tmp_path / "ledger.sqlite3", set_environment, watch)
            set_environment(sandbox, stage.ledger_path)
            begin(watch)
            yield stage
            begin(None)
            try:
                await look_at(stage, request.node.get_closest_marker("ended_by_tavus"))
            finally:
                await put_an_end_to(watch.tasks)
    kept = [*farewell._debtors, *orphans.living]
    farewell.forget_all()
    orphans.living.clear()
    assert kept == []
