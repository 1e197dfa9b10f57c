#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

# /// script
# requires-python = ">=3.11"
# dependencies = ["pipecat-tavus"]
#
# [tool.uv.sources]
# pipecat-tavus = { path = "..", editable = true }
# ///

"""What Tavus tells by webhooks: that the replica is there, why the call ended, what was said.

With no account (a Tavus played on this machine posts them)::

    uv run examples/webhooks.py

With an account: set ``TAVUS_API_KEY`` and ``TAVUS_REPLICA_ID``, and let a URL that Tavus can reach
lead to the port, such as a tunnel's::

    uv run examples/webhooks.py --port 8080 --public-url https://bot.example
"""

import argparse
import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from loguru import logger
from offline.stage import charges, join, log_warnings, open_stage, report, watch
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import (
    ConversationOptions,
    ShutdownWebhook,
    TavusTransport,
    TavusWebhook,
    TavusWebhookError,
    TranscriptionReadyWebhook,
    parse_webhook,
)

MAX_BODY = 1024**2
"""Bytes; the transcript of an hour is far less."""

GREETING = "Hello. When we are done, I shall be told what was said."
PATIENCE = 10.0
TRANSCRIPT_LIMIT = 300.0


class Webhooks:
    """Takes what is posted about the conversations that it knows.

    Webhooks are not signed. So their URL has a part that nobody guesses, and what is about
    another conversation is refused.
    """

    def __init__(self) -> None:
        """Initialize it; no conversation is known."""
        self.path = f"/tavus/{secrets.token_urlsafe(16)}"
        self.conversations: set[str] = set()
        self.taken: asyncio.Queue[TavusWebhook] = asyncio.Queue()

    def take(self, body: bytes) -> int:
        """Take what was posted.

        Args:
            body: The body of the request.

        Returns:
            The status to answer.
        """
        try:
            webhook = parse_webhook(body)
        except TavusWebhookError as e:
            logger.warning(f"Refused: {e}")
            return 400
        if webhook.conversation_id not in self.conversations:
            return 404
        self.taken.put_nowait(webhook)
        match webhook:
            case ShutdownWebhook(reason=reason):
                print(f"The conversation is over: {reason}", flush=True)
            case TranscriptionReadyWebhook(transcript=transcript):
                for said in transcript:
                    print(f"{said.role}: {said.content}", flush=True)
            case _:
                print(f"Tavus tells: {webhook.event_type}", flush=True)
        return 204

    async def wait_for(self, kind: type[Any], timeout: float) -> None:
        """Read on until a webhook of a kind.

        Args:
            kind: Its type.
            timeout: Limit in seconds.

        Raises:
            TimeoutError: None came.
        """
        async with asyncio.timeout(timeout):
            while not isinstance(await self.taken.get(), kind):
                pass


def aiohttp_app(webhooks: Webhooks) -> web.Application:
    """The webhooks' server with aiohttp."""

    async def post(request: web.Request) -> web.Response:
        return web.Response(status=webhooks.take(await request.read()))

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post(webhooks.path, post)
    return app


def fastapi_app(webhooks: Webhooks) -> Any:
    """The same with FastAPI."""
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    @app.post(webhooks.path)
    async def post(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return Response(status_code=413)
        return Response(status_code=webhooks.take(body))

    return app


@asynccontextmanager
async def served(webhooks: Webhooks, host: str, port: int) -> AsyncIterator[str]:
    """Serve the webhooks; gives the URL of the server."""
    runner = web.AppRunner(aiohttp_app(webhooks))
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def run_bot(webhooks: Webhooks, public_url: str) -> None:
    """Be a bot that greets the person, and is there until that one leaves."""
    options = ConversationOptions(callback_url=public_url + webhooks.path)
    # The replica thinks by itself, as its own persona does.
    transport = TavusTransport(bot_name="Bot", persona_id=None, conversation_options=options)
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        processor_unusable_policy=ProcessorUnusablePolicy.CANCEL,
    )

    @transport.event_handler("on_conversation_created")
    async def on_conversation_created(_transport: TavusTransport, conversation: Any) -> None:
        webhooks.conversations.add(conversation.id)
        print(f"Join the conversation at {conversation.url}", flush=True)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport: TavusTransport, _participant: Any) -> None:
        await transport.echo_text(GREETING)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: TavusTransport, _participant: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


async def run_with_tavus(webhooks: Webhooks, port: int, public_url: str) -> None:
    """Run the bot on Tavus, and wait for the transcript, which comes after the call."""
    async with served(webhooks, "0.0.0.0", port):
        await run_bot(webhooks, public_url)
        await webhooks.wait_for(TranscriptionReadyWebhook, TRANSCRIPT_LIMIT)


async def play(webhooks: Webhooks) -> int:
    """Run the bot in the sandbox, which posts as Tavus does.

    Returns:
        The exit status.
    """
    async with served(webhooks, "127.0.0.1", 0) as url, open_stage() as sandbox:

        async def visit() -> None:
            person = await join(sandbox)
            await person.wait_until_replica_speaks(PATIENCE)
            await person.wait_until_replica_is_silent(0.5, PATIENCE)
            await person.leave()

        failures = await watch(run_bot(webhooks, url), visit()) + charges(sandbox)
        await webhooks.wait_for(TranscriptionReadyWebhook, PATIENCE)
    return report(failures)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description="A bot that is told by webhooks.")
    parser.add_argument("--port", type=int, default=8080, help="where Tavus's webhooks arrive")
    parser.add_argument("--public-url", help="the URL, without a path, that leads there")
    arguments = parser.parse_args()
    log_warnings()
    webhooks = Webhooks()
    if not os.getenv("TAVUS_API_KEY"):
        return asyncio.run(play(webhooks))
    if not arguments.public_url:
        parser.error("with an account, Tavus needs a --public-url to post to")
    asyncio.run(run_with_tavus(webhooks, arguments.port, arguments.public_url.rstrip("/")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
