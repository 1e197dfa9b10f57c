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

"""A bot for RTVI clients, such as Pipecat's client SDKs with their Daily transport.

They join the conversation's room and talk with the bot in app messages. With no account,
``offline/rtvi_client.py`` is such a client; with one, let yours join the URL that is printed::

    uv run examples/rtvi_bot.py
"""

import sys

from offline.rtvi_client import talk
from offline.stage import play_call
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMAssistantAggregator,
)
from pipecat.processors.frameworks.rtvi import RTVIProcessor
from pipecat.processors.frameworks.rtvi.models import ClientMessage
from voice_bot import Services, command_line, make_bot, run, run_bot

from pipecat_tavus import TavusTransport


async def run_rtvi_bot(transport: TavusTransport, services: Services) -> None:
    """Be the voice bot, and answer its client's own messages.

    The worker has Pipecat's ``RTVIProcessor`` and ``RTVIObserver`` by itself: they answer
    ``client-ready`` and ``send-text``, and tell who speaks, and what.
    """
    worker, aggregators = make_bot(transport, services)
    rtvi = worker.rtvi

    @rtvi.event_handler("on_client_message")
    async def on_client_message(_rtvi: RTVIProcessor, message: ClientMessage) -> None:
        if message.type == "history":
            history = aggregators.assistant().context.get_messages()
            await rtvi.send_server_response(message, history)
        else:
            await rtvi.send_error_response(message, f"No such question: {message.type}")

    @aggregators.assistant().event_handler("on_assistant_turn_stopped")
    async def on_assistant_turn_stopped(
        _aggregator: LLMAssistantAggregator, turn: AssistantTurnStoppedMessage
    ) -> None:
        # As far as it was heard, where it was interrupted.
        await rtvi.send_server_message({"said": turn.content, "interrupted": turn.interrupted})

    await run_bot(worker)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    arguments = command_line("A voice bot for RTVI clients.").parse_args()
    return run(arguments, run_rtvi_bot, lambda bot: play_call(bot, talk))


if __name__ == "__main__":
    sys.exit(main())
