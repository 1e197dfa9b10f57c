"""Conversations whose creation is uncertain, orphans, slots, and what is sent to bound them."""

import asyncio
import time

import pytest
from bots import Bot, until

from pipecat_tavus import (
    TavusApi,
    TavusConcurrencyLimitError,
    TavusParams,
    TavusTimeoutError,
    TavusTransport,
)
from pipecat_tavus.conversation import life, orphans
from pipecat_tavus.conversation.ledger import Ledger, fingerprint
from pipecat_tavus.conversation.owner import Owner
from pipecat_tavus.sandbox import TavusSandbox

CREATE = "POST /conversations"


def creates(sandbox):
    return [r for r in sandbox.requests if (r.method, r.path) == ("POST", "/v2/conversations")]


def book(sandbox, path):
    return Ledger(path, base_url=sandbox.api_url, fingerprint=fingerprint(sandbox.api_key))


def abandoned(sandbox, path, name, conversation_id=None, *, pid=1 << 30, age=0.0, host=None):
    """Write down what a process that is gone has left."""
    import sqlite3

    ledger = book(sandbox, path)
    ledger.intend(name)
    if conversation_id:
        ledger.opened(name, conversation_id)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE owed SET pid = ?, written_at = written_at - ?", (pid, age))
        if host:
            db.execute("UPDATE owed SET host = ?", (host,))
    db.close()
    return ledger


async def test_each_conversation_has_a_unique_name_and_limits(sandbox):
    for _ in range(2):
        transport = TavusTransport(bot_name="Ada")
        await transport.create_conversation()
        await transport.close()
    first, second = (c.body for c in sandbox.conversations.values())
    assert first["conversation_name"].startswith("pipecat-tavus ")
    assert first["conversation_name"] != second["conversation_name"]
    assert first["properties"] == {
        "max_call_duration": 3600,
        "participant_left_timeout": 30,
        "participant_absent_timeout": 120,
    }


async def test_limits_are_the_applications_to_set(sandbox):
    params = TavusParams(
        max_call_duration=60, participant_left_timeout=None, participant_absent_timeout=None
    )
    transport = TavusTransport(bot_name="Ada", params=params)
    await transport.create_conversation()
    await transport.close()
    [conversation] = sandbox.conversations.values()
    assert conversation.body["properties"] == {"max_call_duration": 60}


@pytest.mark.parametrize("fault", [{"reset": True}, {"hang": True, "work": True}])
async def test_a_lost_answer_is_looked_for_and_the_conversation_adopted(sandbox, fault):
    sandbox.fail(CREATE, **fault)
    transport = TavusTransport(bot_name="Ada", params=TavusParams(request_timeout=1))
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        assert bot.named("on_error") == []
    assert len(creates(sandbox)) == 1
    assert len(sandbox.conversations) == 1


async def test_what_is_adopted_knows_its_persona_though_the_list_does_not_tell(sandbox):
    sandbox.fail(CREATE, hang=True, work=True)
    params = TavusParams(request_timeout=1)
    transport = TavusTransport(bot_name="Ada", persona_id="pipecat0", params=params)
    creating = asyncio.create_task(transport.create_conversation())
    await until(lambda: sandbox.conversations)
    for conversation in sandbox.conversations.values():
        conversation.persona_id = None
    assert (await creating).persona_id == "pipecat0"
    await transport.close()


async def test_a_private_conversation_whose_token_was_lost_is_ended(sandbox, ledger_path):
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url, timeout=0.5)
    from pipecat_tavus.conversation.opening import Opening
    from pipecat_tavus.rest.models import ConversationOptions

    sandbox.fail(CREATE, hang=True, work=True)
    options = ConversationOptions.check(replica_id="r1", require_auth=True)
    opening = Opening(api, book(sandbox, ledger_path), options)
    with pytest.raises(TavusTimeoutError):
        await opening.open(lambda: False)
    assert await opening.end()
    await api.close()
    assert book(sandbox, ledger_path).entries() == []


async def test_what_opens_late_is_ended_by_the_next_transport(sandbox, ledger_path):
    """The answer is lost, and the conversation opens only after everybody stopped looking."""
    sandbox.fail(CREATE, hang=True)
    transport = TavusTransport(bot_name="Ada", params=TavusParams(request_timeout=0.2))
    with pytest.raises(TavusTimeoutError):
        await transport.create_conversation()
    await transport.close()
    [entry] = book(sandbox, ledger_path).entries()
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    late = await api.create_conversation("r1", conversation_name=entry.name)
    await api.close()

    after = TavusTransport(bot_name="Ada")
    await after.create_conversation()
    await after.close()
    assert sandbox.conversations[late.id].status == "ended"
    assert book(sandbox, ledger_path).entries() == []


async def test_a_ledger_that_cannot_be_written_does_not_stop_the_call(
    sandbox, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAVUS_LEDGER", str(tmp_path / "file" / "ledger"))
    transport = TavusTransport(bot_name="Ada")
    async with Bot(transport) as bot:
        await bot.event("on_connected")


async def test_an_orphan_of_a_dead_process_is_ended_by_the_next_transport(sandbox, ledger_path):
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    orphan = await api.create_conversation("r1", conversation_name="left open")
    nameless = await api.create_conversation("r1", conversation_name="answer lost")
    await api.close()
    abandoned(sandbox, ledger_path, "left open", orphan.id)
    ledger = abandoned(sandbox, ledger_path, "answer lost")
    transport = TavusTransport(bot_name="Ada")
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        async with asyncio.timeout(20):
            while len(ledger.entries()) > 1:
                await asyncio.sleep(0.01)
    for conversation in (orphan, nameless):
        assert sandbox.conversations[conversation.id].status == "ended"
    assert ledger.entries() == []


async def test_those_of_live_processes_and_other_hosts_are_not_touched(sandbox, ledger_path):
    import os

    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    theirs = await api.create_conversation("r1", conversation_name="theirs")
    ledger = abandoned(sandbox, ledger_path, "theirs", theirs.id, host="elsewhere")
    assert await orphans.end_orphans(api, ledger) == 0
    ledger.strike("theirs")
    ledger = abandoned(sandbox, ledger_path, "theirs", theirs.id, pid=os.getppid())
    import sqlite3

    with sqlite3.connect(ledger_path) as db:
        db.execute("UPDATE owed SET started = ''")
    db.close()
    assert await orphans.end_orphans(api, ledger) == 0
    assert sandbox.conversations[theirs.id].status == "active"
    await api.end_conversation(theirs.id)
    await api.close()


async def test_what_ends_while_the_ledger_is_read_is_no_orphan(sandbox, ledger_path):
    class Book(Ledger):
        def entries(self):
            found = super().entries()
            orphans.living.discard("ours")
            return found

    ledger = Book(ledger_path, base_url=sandbox.api_url, fingerprint=fingerprint(sandbox.api_key))
    orphans.living.add("ours")
    ledger.intend("ours")
    ledger.opened("ours", "c1")
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    assert await orphans.end_orphans(api, ledger) == 0
    assert sandbox.requests == []
    await api.close()


async def test_an_intent_that_came_to_nothing_is_struck_after_a_while(sandbox, ledger_path):
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    ledger = abandoned(sandbox, ledger_path, "never opened")
    assert await orphans.end_orphans(api, ledger) == 0
    assert len(ledger.entries()) == 1, "the request may still be under way"
    ledger.strike("never opened")
    ledger = abandoned(sandbox, ledger_path, "never opened", age=orphans.STILL_UNDER_WAY_SECS + 1)
    assert await orphans.end_orphans(api, ledger) == 0
    assert ledger.entries() == []
    await api.close()


async def test_an_orphan_that_cannot_be_ended_stays_in_the_ledger(sandbox, ledger_path):
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url, timeout=1)
    orphan = await api.create_conversation("r1", conversation_name="left open")
    ledger = abandoned(sandbox, ledger_path, "left open", orphan.id)
    sandbox.fail("POST /conversations/{id}/end", status=500, times=20)
    assert await orphans.end_orphans(api, ledger) == 0
    assert len(ledger.entries()) == 1
    sandbox.fail("POST /conversations/{id}/end", status=404, body={"error": "unknown"})
    await api.close()
    sandbox.end(orphan.id, "end_conversation_endpoint_hit")


async def test_a_conversation_is_found_on_whatever_page_it_is(monkeypatch, ledger_path):
    async with TavusSandbox(max_concurrent=300) as sandbox:
        api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
        for n in range(120):
            await api.create_conversation("r1", conversation_name=f"n {n}")
        for name in ("n 0", "n 119"):
            [found] = await orphans.find_by_name(api, name)
            assert found.conversation_name == name
        assert await orphans.find_by_name(api, "n 120") == []
        await api.close()


async def test_the_slot_of_an_orphan_is_freed_for_the_next_bot(ledger_path, monkeypatch):
    # A busy machine may take longer than a person would wait.
    monkeypatch.setattr(life, "_REAP_TIMEOUT", 20.0)
    async with TavusSandbox(max_concurrent=1) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        api = TavusApi(sandbox.api_key, None)
        orphan = await api.create_conversation("r1", conversation_name="left open")
        await api.close()
        abandoned(sandbox, ledger_path, "left open", orphan.id)
        transport = TavusTransport(bot_name="Ada", replica_id="r1")
        await transport.create_conversation()
        await transport.close()
        assert sandbox.conversations[orphan.id].status == "ended"


async def test_a_slot_is_waited_for_where_that_is_wanted(ledger_path, monkeypatch):
    async with TavusSandbox(max_concurrent=1) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        first = TavusTransport(bot_name="Ada", replica_id="r1")
        await first.create_conversation()

        impatient = TavusTransport(bot_name="Ada", replica_id="r1")
        with pytest.raises(TavusConcurrencyLimitError):
            await impatient.create_conversation()
        await impatient.close()

        patient = TavusTransport(
            bot_name="Ada", replica_id="r1", params=TavusParams(wait_for_slot=20)
        )
        waiting = asyncio.create_task(patient.create_conversation())
        await asyncio.sleep(0.2)
        await first.close()
        await waiting
        await patient.close()
        assert {c.status for c in sandbox.conversations.values()} == {"ended"}


async def test_who_waits_for_a_slot_can_be_closed_at_once(ledger_path, monkeypatch):
    async with TavusSandbox(max_concurrent=1) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        first = TavusTransport(bot_name="Ada", replica_id="r1")
        await first.create_conversation()
        patient = TavusTransport(
            bot_name="Ada", replica_id="r1", params=TavusParams(wait_for_slot=60)
        )
        waiting = asyncio.create_task(patient.create_conversation())
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await patient.close()
        assert time.monotonic() - began < 3
        with pytest.raises(TavusConcurrencyLimitError):
            await waiting
        await first.close()


def test_owners_differ_by_process():
    assert Owner.current().started
