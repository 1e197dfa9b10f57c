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

"""Tavus thinks, the bot acts: a persona's LLM calls functions of a Pipecat bot.

With no account (a persona played on this machine calls)::

    uv run examples/function_calling.py

With an account: set ``TAVUS_API_KEY``, ``TAVUS_REPLICA_ID`` and, as ``TAVUS_PAL_ID``, a persona
with ``pipeline_mode: full`` that has the tool ``get_weather`` with a parameter ``city``. Run it,
open the URL that it prints, and ask how the weather is in Paris.
"""

import asyncio
import os
import sys
from typing import Any

from offline.stage import charges, join, log_warnings, open_stage, report, watch
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
from pipecat.services.llm_service import FunctionCallParams
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import TavusFunctionCalls, TavusTransport
from pipecat_tavus.sandbox import ReplicaSettings

WEATHER = {"Paris": {"sky": "clear", "degrees": 21}, "Oslo": {"sky": "snow", "degrees": -4}}


async def get_weather(params: FunctionCallParams) -> None:
    """Tell the weather of a city; raise where it is not known, which Tavus is told."""
    await params.result_callback(WEATHER[params.arguments["city"]])


async def run_bot() -> None:
    """Be the bot, until the person leaves."""
    transport = TavusTransport(bot_name="Weather bot", persona_id=None)
    calls = TavusFunctionCalls(transport)
    calls.register_function("get_weather", get_weather, timeout_secs=10)
    worker = PipelineWorker(
        Pipeline([transport.input(), calls, transport.output()]),
        processor_unusable_policy=ProcessorUnusablePolicy.CANCEL,
    )

    @transport.event_handler("on_conversation_created")
    async def on_conversation_created(_transport: TavusTransport, conversation: Any) -> None:
        print(f"Talk with the replica at {conversation.url}", flush=True)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: TavusTransport, _participant: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


async def play() -> int:
    """Run the bot in the sandbox, where a persona calls its function.

    Returns:
        The exit status.
    """
    async with open_stage(ReplicaSettings(word_secs=0.15)) as sandbox:

        async def talk() -> None:
            person = await join(sandbox)
            [id] = sandbox.conversations
            for name, arguments in (
                ("get_weather", {"city": "Paris"}),
                ("get_weather", {"city": "Atlantis"}),
                ("book_flight", {"city": "Paris"}),
            ):
                answer = await sandbox.replica(id).call_tool(name, arguments)
                print(f"{name}({arguments}): {answer.status}, {answer.output}", flush=True)
                await person.wait_until_replica_speaks()
                await person.wait_until_replica_is_silent(0.4)
            await person.leave()

        failures = await watch(run_bot(), talk()) + charges(sandbox)
    return report(failures)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    log_warnings()
    if os.getenv("TAVUS_API_KEY"):
        asyncio.run(run_bot())
        return 0
    return asyncio.run(play())


if __name__ == "__main__":
    sys.exit(main())
