#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "pipecat-tavus",
#     "pipecat-ai[silero]>=1.12",
#     "pocketsphinx>=5.1",
#     "espeakng-loader>=0.2.4",
# ]
#
# [tool.uv.sources]
# pipecat-tavus = { path = "..", editable = true }
# ///

"""A bot that joins a conversation which somebody else created, such as your web server.

It needs the room's URL and no API key; it leaves when the person does, and does not end what
is not its own. With no account, the sandbox's web server creates one::

    uv run examples/attach.py
    uv run examples/attach.py --url https://tavus.daily.co/...
"""

import argparse
import asyncio
import os
import sys

from offline.stage import charges, join, log_warnings, open_stage, report, watch
from voice_bot import make_bot, run_bot, services

from pipecat_tavus import TavusApi, TavusTransport
from pipecat_tavus.sandbox import TavusSandbox


async def bot(url: str) -> None:
    """Be the voice bot in a room, until the person leaves."""
    worker, _ = make_bot(TavusTransport("Ada", conversation_url=url), services())
    await run_bot(worker)


async def be_greeted(sandbox: TavusSandbox) -> None:
    """Be a person who is greeted, and leaves."""
    person = await join(sandbox)
    await person.wait_until_replica_speaks(timeout=20)
    await person.wait_until_replica_is_silent(secs_of_silence=1.0, timeout=20)
    print("the person was greeted", flush=True)
    await person.leave()


async def play() -> int:
    """Play the web server, and a call, on this machine."""
    async with open_stage() as sandbox:
        web_server = TavusApi(os.environ.pop("TAVUS_API_KEY"), None)
        conversation = await web_server.create_conversation(
            persona_id="pipecat-stream", participant_left_timeout=30
        )
        failures = await watch(bot(conversation.url), be_greeted(sandbox))
        left_open = await web_server.get_conversation(conversation.id)
        print("the bot has left, the conversation is", left_open.status, flush=True)
        await web_server.end_conversation(conversation.id)
        await web_server.close()
        failures += charges(sandbox)
    return report(failures)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description="A voice bot in somebody else's conversation.")
    parser.add_argument("--url", help="of the conversation's room, with ?t=TOKEN if it is private")
    url = parser.parse_args().url
    log_warnings()
    if url is None:
        return asyncio.run(play())
    asyncio.run(bot(url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
