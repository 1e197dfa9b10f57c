#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "pipecat-tavus",
#     "pipecat-ai[runner,silero]>=1.12",
#     "pocketsphinx>=5.1",
#     "espeakng-loader>=0.2.4",
# ]
#
# [tool.uv.sources]
# pipecat-tavus = { path = "..", editable = true }
# ///

"""Private rooms with a web front end, under Pipecat's development runner.

``POST /start`` creates a conversation in a private room, starts a bot for it, and answers
``{"dailyRoom", "dailyToken"}``, which the page joins by, as Pipecat's client SDKs do. Run it, and
open the page (with no account, a scripted person comes instead)::

    uv run examples/private_room.py
"""

import asyncio
import os
import sys

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from offline.front_end import serving, visit
from offline.stage import charges, log_warnings, open_stage, report
from pipecat.runner import run as runner
from pipecat.runner.types import RunnerArguments
from voice_bot import make_bot, run_bot, services

from pipecat_tavus import ConversationOptions, TavusApiError
from pipecat_tavus.runner import TavusStarter, create_transport

PAGE = """<!doctype html><title>Talk with Ada</title>
<style>body { margin: 0 } iframe { border: 0; width: 100vw; height: 95vh }</style>
<button>Talk with Ada</button>
<script>
  document.querySelector("button").onclick = async () => {
    const answer = await fetch("/start", { method: "POST" });
    const { dailyRoom, dailyToken, detail } = await answer.json();
    if (!answer.ok) return alert(detail);
    const frame = document.createElement("iframe");
    frame.allow = "camera; microphone; autoplay";
    frame.src = `${dailyRoom}?t=${dailyToken}`;
    document.querySelector("button").replaceWith(frame);
  };
</script>
"""


async def bot(runner_args: RunnerArguments) -> None:
    """Be the voice bot, in the conversation that it is started for."""
    worker, _ = make_bot(create_transport(runner_args, "Ada"), services())
    await run_bot(worker)


def add_routes(app: FastAPI, starter: TavusStarter) -> None:
    """Add the page, and the start that it asks for."""

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return PAGE

    @app.post("/start")
    async def start() -> dict[str, str]:
        try:
            return await starter.start()
        except TavusApiError as e:
            raise HTTPException(502, f"There is no room now: {e}") from e


async def play(starter: TavusStarter) -> int:
    """Play the whole on this machine, with no account."""
    app = FastAPI()
    add_routes(app, starter)
    async with open_stage() as sandbox:
        async with serving(app) as site:
            await visit(site, sandbox)
        await starter.close()
        return report(charges(sandbox))


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    starter = TavusStarter(bot, conversation_options=ConversationOptions(require_auth=True))
    if not os.getenv("TAVUS_API_KEY"):
        log_warnings()
        return asyncio.run(play(starter))
    add_routes(runner.app, starter)
    runner.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
