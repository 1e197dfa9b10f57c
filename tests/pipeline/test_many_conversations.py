"""Conversations found by their names: among many, while others end, and twice the same."""

import asyncio

import pytest

from pipecat_tavus import TavusApi, TavusTransport
from pipecat_tavus.conversation import farewell, orphans
from pipecat_tavus.conversation.ledger import Ledger
from pipecat_tavus.conversation.opening import Opening
from pipecat_tavus.rest.models import ConversationOptions
from pipecat_tavus.sandbox import TavusSandbox
from pipeline.test_lost_answers import CREATE, abandoned, book

END = "POST /conversations/{id}/end"
LIST = "GET /conversations"
OLD = 2 * orphans.STILL_UNDER_WAY_SECS


@pytest.fixture(autouse=True)
def nothing_at_exit():
    """What could not be ended would be tried once more when the tests exit."""
    yield
    farewell.forget_all()


def looks(sandbox):
    """The pages that were asked for."""
    path = "/v2/conversations"
    return [r for r in sandbox.requests if (r.method, r.path) == ("GET", path)]


def active(sandbox):
    return [c.id for c in sandbox.conversations.values() if c.status == "active"]


@pytest.fixture
async def crowd(monkeypatch):
    """130 active conversations, on two pages: ``n 29`` is the first of the second."""
    monkeypatch.setattr(orphans, "_SECOND_LOOK_SECS", 0.05)
    async with TavusSandbox(max_concurrent=300) as sandbox:
        for n in range(130):
            sandbox.create({"replica_id": "r1", "conversation_name": f"n {n}"})
        api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
        yield sandbox, api
        await api.close()


async def some_end_between_two_pages(sandbox, *names):
    """What is asked for next is the first page; before the second, some are over."""
    sandbox.fail(LIST, delay=0.001)
    sandbox.fail(LIST, delay=0.4)
    asked = len(looks(sandbox)) + 2
    async with asyncio.timeout(20):
        while len(looks(sandbox)) < asked:
            await asyncio.sleep(0.002)
    for conversation in list(sandbox.conversations.values()):
        if conversation.name in names:
            sandbox.end(conversation.id, "chaos")


async def test_one_is_found_though_others_end_while_the_pages_are_read(crowd):
    sandbox, api = crowd
    found, _ = await asyncio.gather(
        orphans.find_by_name(api, "n 29"), some_end_between_two_pages(sandbox, "n 129")
    )
    assert [it.conversation_name for it in found] == ["n 29"]


async def test_one_that_moved_to_another_page_is_ended_and_not_struck(crowd, ledger_path):
    sandbox, api = crowd
    ledger = abandoned(sandbox, ledger_path, "n 29", age=OLD)
    ended, _ = await asyncio.gather(
        orphans.end_orphans(api, ledger), some_end_between_two_pages(sandbox, "n 129", "n 128")
    )
    assert ended == 1
    assert "n 29" not in {c.name for c in sandbox.conversations.values() if c.status == "active"}
    assert ledger.entries() == []


async def test_an_intent_is_struck_only_after_two_looks_that_missed_nobody(crowd, ledger_path):
    sandbox, api = crowd
    ledger = abandoned(sandbox, ledger_path, "never opened", age=OLD)
    await asyncio.gather(
        orphans.end_orphans(api, ledger), some_end_between_two_pages(sandbox, "n 129")
    )
    assert [entry.name for entry in ledger.entries()] == ["never opened"], "it may be anywhere"
    before = len(looks(sandbox))
    await orphans.end_orphans(api, ledger)
    assert ledger.entries() == []
    assert len(looks(sandbox)) - before == 4, "two looks of two pages"


async def test_one_that_is_seen_only_at_the_second_look_is_ended(crowd, ledger_path, monkeypatch):
    """What Tavus lists may lag behind what it has opened."""
    sandbox, api = crowd
    monkeypatch.setattr(orphans, "_SECOND_LOOK_SECS", 0.5)
    ledger = abandoned(sandbox, ledger_path, "late", age=OLD)
    ending = asyncio.create_task(orphans.end_orphans(api, ledger))
    async with asyncio.timeout(20):
        while len(looks(sandbox)) < 2 or looks(sandbox)[1].answered_at is None:
            await asyncio.sleep(0.002)
    sandbox.create({"replica_id": "r1", "conversation_name": "late"})
    assert await ending == 1
    assert ledger.entries() == []


@pytest.fixture
async def twins(monkeypatch, ledger_path):
    """A sandbox in which somebody on the way sends each creation twice, and loses the answer."""

    async def open_another(conversation):
        names = [c.name for c in sandbox.conversations.values()]
        if names.count(conversation.name) == 1:
            sandbox.create(conversation.body)

    async with TavusSandbox(max_concurrent=9, on_conversation=open_another) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        sandbox.fail(CREATE, reset=True)
        yield sandbox


async def test_of_two_that_one_request_opened_one_is_lived_in_and_one_ended(twins, ledger_path):
    transport = TavusTransport(bot_name="Ada")
    conversation = await transport.create_conversation()
    assert len(twins.conversations) == 2
    assert active(twins) == [conversation.id]
    await transport.close()
    assert active(twins) == []
    assert book(twins, ledger_path).entries() == []


async def test_a_twin_that_could_not_be_ended_at_once_is_ended_with_the_other(twins, ledger_path):
    twins.fail(END, status=402)
    transport = TavusTransport(bot_name="Ada")
    await transport.create_conversation()
    assert len(active(twins)) == 2
    [entry] = book(twins, ledger_path).entries()
    assert entry.conversation_id is None, "so that the next one would look for all of the name"
    await transport.close()
    assert active(twins) == []
    assert book(twins, ledger_path).entries() == []


async def test_a_twin_that_cannot_be_ended_keeps_neither_from_its_end(twins, ledger_path):
    twins.fail(END, status=402, times=2)
    transport = TavusTransport(bot_name="Ada")
    conversation = await transport.create_conversation()
    await transport.close()
    assert conversation.id not in active(twins)
    assert len(active(twins)) == len(book(twins, ledger_path).entries())
    api = TavusApi(twins.api_key, None)
    await orphans.end_orphans(api, book(twins, ledger_path))
    await api.close()
    assert active(twins) == []
    assert book(twins, ledger_path).entries() == []


async def test_both_that_a_dead_process_left_under_one_name_are_ended(twins, ledger_path):
    for _ in range(2):
        twins.create({"replica_id": "r1", "conversation_name": "left open"})
    ledger = abandoned(twins, ledger_path, "left open")
    api = TavusApi(twins.api_key, None)
    assert await orphans.end_orphans(api, ledger) == 2
    await api.close()
    assert active(twins) == []
    assert ledger.entries() == []


class WatchedLedger(Ledger):
    """A ledger that notes whether who strikes an entry was taking care of it until then."""

    living: tuple[bool, ...] = ()

    def strike(self, name):
        before = name in orphans.living
        super().strike(name)
        self.living += (before, name in orphans.living)


async def test_who_strikes_an_entry_takes_care_of_it_until_it_is_struck(ledger_path):
    """Otherwise another transport of this process would end it as well, as an orphan."""
    async with TavusSandbox() as sandbox:
        api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
        account = {"base_url": api.base_url, "fingerprint": api.fingerprint}
        ledger = WatchedLedger(ledger_path, **account)
        opening = Opening(api, ledger, ConversationOptions.check(replica_id="r1"))
        await opening.open(lambda: False)
        assert opening.name in orphans.living
        assert await orphans.end_orphans(api, ledger) == 0
        assert await opening.end()
        assert ledger.living == (True, True)
        assert opening.name not in orphans.living
        await api.close()


async def test_who_could_not_end_it_leaves_it_to_the_next(ledger_path):
    async with TavusSandbox() as sandbox:
        api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
        ledger = book(sandbox, ledger_path)
        opening = Opening(api, ledger, ConversationOptions.check(replica_id="r1"))
        await opening.open(lambda: False)
        sandbox.fail(END, status=402)
        with pytest.raises(Exception, match="402"):
            await opening.end()
        assert opening.name not in orphans.living
        assert await orphans.end_orphans(api, ledger) == 1
        await api.close()
