"""Tavus at the HTTP border: mocked answers, and a real server on loopback."""

from collections.abc import Awaitable, Callable
from inspect import signature
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aioresponses import aioresponses

from pipecat_tavus import RetryPolicy, TavusApi

KEY = "key-f00d"
BASE = "https://tavus.test/v2"
QUICK = RetryPolicy(attempts=3, base_delay=0.001, max_delay=0.01)


class MockedResponse(aiohttp.ClientResponse):
    """aioresponses 0.7.9 builds responses without an argument that aiohttp 3.14 wants."""

    def __init__(self, *args, **kwargs):
        if "stream_writer" in signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


class MockedTavus:
    """Answers for `BASE`, in the order in which they are given."""

    def __init__(self, mocked: aioresponses):
        self._mocked = mocked

    def answers(self, method: str, path: str, **kwargs):
        self._mocked.add(BASE + path, method=method, response_class=MockedResponse, **kwargs)

    @property
    def calls(self):
        """``(method, url, kwargs)`` of each request, in no order across different URLs."""
        return [
            (method, str(url), call.kwargs)
            for (method, url), calls in self._mocked.requests.items()
            for call in calls
        ]


@pytest.fixture
def tavus():
    with aioresponses(passthrough=["http://127.0.0.1"]) as mocked:
        yield MockedTavus(mocked)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def api(session, monkeypatch):
    monkeypatch.delenv("TAVUS_API_URL", raising=False)
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    return TavusApi(KEY, session, base_url=BASE, retry=QUICK)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve():
    """Start a server that answers everything by a handler; gives its base URL."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server(shutdown_timeout=0.1)
        servers.append(server)
        return str(server.make_url("/v2"))

    yield start
    for server in servers:
        await server.close()
