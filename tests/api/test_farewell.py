"""The last call: all ends at once, once more where that may help, and never for long."""

import asyncio
import signal
import socket
import time

import pytest
from aiohttp import web
from loguru import logger

from pipecat_tavus.conversation import farewell

KEY = {"x-api-key": "k"}


class Debtor:
    """Somebody who owes an end."""

    def __init__(self, url):
        self._url = url
        self.settled = False

    def last_call(self):
        return None if self.settled else (self._url, KEY)

    def last_call_made(self):
        self.settled = True


@pytest.fixture
def owe():
    def owe(url):
        debtor = Debtor(url)
        farewell.watch(debtor)
        return debtor

    yield owe
    farewell.forget_all()


@pytest.fixture
def errors():
    lines = []
    sink = logger.add(lines.append, level="ERROR", format="{message}")
    yield lines
    logger.remove(sink)


async def settle_all():
    """As at exit: nothing else goes on in that thread. The seconds that it took."""
    began = time.monotonic()
    await asyncio.to_thread(farewell.settle_all)
    return time.monotonic() - began


async def test_ten_ends_take_about_as_long_as_one(serve, owe):
    async def end(request):
        await asyncio.sleep(0.5)
        return web.Response()

    url = await serve(end)
    debtors = [owe(f"{url}/conversations/{n}/end") for n in range(10)]
    assert await settle_all() < 2.5
    assert all(debtor.settled for debtor in debtors)


@pytest.mark.parametrize("status", [429, 500, 503, None])
async def test_an_end_that_fails_for_the_moment_is_asked_for_once_more(serve, owe, errors, status):
    asked = []

    async def end(request):
        asked.append(request.headers["x-api-key"])
        if len(asked) > 1:
            return web.Response()
        if status is None:
            request.transport.abort()
        return web.Response(status=status or 500)

    debtor = owe(await serve(end))
    await settle_all()
    assert debtor.settled
    assert asked == ["k", "k"]
    assert errors == []


@pytest.mark.parametrize("status", [400, 404])
async def test_what_has_ended_or_is_unknown_is_settled(serve, owe, status):
    async def end(request):
        return web.Response(status=status)

    debtor = owe(await serve(end))
    await settle_all()
    assert debtor.settled


async def test_an_end_that_is_refused_is_told_and_not_asked_for_again(serve, owe, errors):
    asked = []

    async def end(request):
        asked.append(1)
        return web.Response(status=401)

    debtor = owe(await serve(end))
    await settle_all()
    assert not debtor.settled
    assert asked == [1]
    assert len(errors) == 1


async def test_a_server_that_does_not_answer_holds_the_exit_up_for_a_bounded_time(
    monkeypatch, owe, errors
):
    monkeypatch.setattr(farewell, "_ROUND_SECS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        debtors = [owe(f"http://127.0.0.1:{port}/{n}") for n in range(8)]
        # Two rounds, in each of which the last ones are only just looked at.
        assert await settle_all() < 3
    assert not any(debtor.settled for debtor in debtors)
    assert len(errors) == 8


@pytest.mark.parametrize("stands_by", [True, False])
def test_who_stands_by_keeps_sigterm_though_nothing_is_owed_any_more(monkeypatch, owe, stands_by):
    monkeypatch.setattr(farewell, "_stands_by", False)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        if stands_by:
            farewell.stand_by()
        farewell.forget(owe("http://x"))
        kept = signal.getsignal(signal.SIGTERM)
        assert kept == (farewell._on_sigterm if stands_by else signal.SIG_DFL)
        # What the application handles itself stays its own.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        farewell.stand_by()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_one_that_cannot_be_reached_does_not_keep_the_others_from_their_end(
    serve, owe, unused_tcp_port
):
    async def end(request):
        return web.Response()

    url = await serve(end)
    debtors = [owe(url), owe(f"http://127.0.0.1:{unused_tcp_port}/"), owe("ftp://x"), owe(url)]
    await settle_all()
    assert [debtor.settled for debtor in debtors] == [True, False, False, True]
