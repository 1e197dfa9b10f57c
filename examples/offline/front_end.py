#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A web server on this machine, and a scripted person who opens its page."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI

from offline.stage import charges, until
from pipecat_tavus.sandbox import TavusSandbox


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on this machine.

    Args:
        app: The application.

    Yields:
        Its address.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    yield "http://{}:{}".format(*listening.getsockname())
    server.should_exit = True
    await running


async def visit(site: str, sandbox: TavusSandbox) -> None:
    """Be a person who opens the page, presses its button, is greeted, and leaves.

    Args:
        site: The web server's address.
        sandbox: Tavus.
    """
    async with aiohttp.ClientSession(site) as browser:
        async with browser.get("/") as page:
            print("the page has a button:", "<button>" in await page.text(), flush=True)
        async with browser.post("/start") as response:
            answer = await response.json()
    print("/start answers", ", ".join(sorted(answer)), flush=True)
    person = await sandbox.join_person(f"{answer['dailyRoom']}?t={answer['dailyToken']}")
    await person.wait_until_replica_speaks(timeout=20)
    await person.wait_until_replica_is_silent(secs_of_silence=1.0, timeout=20)
    print("the person was greeted", flush=True)
    await person.leave()
    await until(lambda: not charges(sandbox), timeout=10)
    print("the conversation is over", flush=True)
