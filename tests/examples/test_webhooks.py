#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The server of webhooks: what it takes, what it refuses, and that the sandbox's arrive."""

import asyncio
import socket
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from children import run_example
from webhooks import GREETING, MAX_BODY, Webhooks, fastapi_app, served

from pipecat_tavus import ShutdownWebhook, TranscriptionReadyWebhook

pytestmark = pytest.mark.in_real_time


async def test_a_bot_is_told_by_webhooks_that_the_replica_came_why_the_call_ended_and_what_was_said(
    tmp_path: Path,
):
    lines = (await run_example("webhooks.py", cwd=tmp_path)).splitlines()
    assert lines[0].startswith("Join the conversation at http")
    assert lines[1:] == [
        "Tavus tells: system.replica_joined",
        "The conversation is over: end_conversation_endpoint_hit",
        f"assistant: {GREETING}",
    ]


@asynccontextmanager
async def with_aiohttp(webhooks):
    async with served(webhooks, "127.0.0.1", 0) as url:
        yield url


@asynccontextmanager
async def with_fastapi(webhooks):
    config = uvicorn.Config(
        fastapi_app(webhooks), ws="none", lifespan="off", log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture(params=[with_aiohttp, with_fastapi])
async def stage(request):
    """Webhooks that know the conversation c1, and a way to post to them."""
    webhooks = Webhooks()
    webhooks.conversations.add("c1")
    async with request.param(webhooks) as url, aiohttp.ClientSession() as session:

        async def post(path=webhooks.path, **body):
            async with session.post(url + path, **body) as answer:
                return answer.status

        yield webhooks, post


def about(conversation_id, event_type="system.shutdown", **properties):
    return {
        "event_type": event_type,
        "conversation_id": conversation_id,
        "properties": properties,
    }


async def test_what_is_about_a_conversation_that_it_knows_is_taken_and_typed(stage):
    webhooks, post = stage
    assert await post(json=about("c1", shutdown_reason="why")) == 204
    talk = [{"role": "user", "content": "Hi"}]
    assert await post(json=about("c1", "application.transcription_ready", transcript=talk)) == 204
    shutdown, transcription = webhooks.taken.get_nowait(), webhooks.taken.get_nowait()
    assert isinstance(shutdown, ShutdownWebhook)
    assert shutdown.reason == "why"
    assert isinstance(transcription, TranscriptionReadyWebhook)
    assert [(it.role, it.content) for it in transcription.transcript] == [("user", "Hi")]


async def test_all_else_is_refused(stage):
    webhooks, post = stage
    assert await post(json=about("c2")) == 404
    assert await post("/tavus/guessed", json=about("c1")) == 404
    assert await post(data=b"garbage") == 400
    assert await post(json=["c1"]) == 400
    assert await post(data=BytesIO(b" " * (MAX_BODY + 1))) == 413
    assert webhooks.taken.empty()
