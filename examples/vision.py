#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "pipecat-tavus",
#     "pipecat-ai[silero]>=1.14",
#     "pocketsphinx>=5.1",
#     "espeakng-loader>=0.2.4",
# ]
#
# [tool.uv.sources]
# pipecat-tavus = { path = "..", editable = true }
# ///

"""A bot that looks at what the camera shows when it is asked to.

With no account, a scripted person shows coloured cards, and ``offline/seeing.py`` names their
colours; with one, any LLM of Pipecat's that sees pictures and calls functions does, such as
OpenAI's (``OPENAI_API_KEY``; see ``voice_bot.py``)::

    uv run examples/vision.py
"""

import sys
from typing import Any

from offline.answering import RuleBasedLLMService
from offline.seeing import ColorNamingLLMService, show_cards
from offline.stage import play_call
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import UserImageRequestFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams
from voice_bot import Services, command_line, make_bot, run, run_bot

from pipecat_tavus import TavusParams, TavusTransport

LOOK = FunctionSchema(
    name="look",
    description="Look at what the person's camera shows at this moment.",
    properties={"question": {"type": "string", "description": "What to find out."}},
    required=["question"],
)


async def run_seeing(transport: TavusTransport, services: Services) -> None:
    """Be the voice bot, which may look at the person."""
    stt, llm, tts = services
    if isinstance(llm, RuleBasedLLMService):
        llm = ColorNamingLLMService()
    worker, aggregators = make_bot(transport, (stt, llm, tts))
    aggregators.user().context.set_tools(ToolsSchema(standard_tools=[LOOK]))
    person = ""

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport: TavusTransport, client: Any) -> None:
        nonlocal person
        person = transport.get_client_id(client)

    async def look(call: FunctionCallParams) -> None:
        # Answered by the next picture; or the model is told why there is none.
        request = UserImageRequestFrame(
            user_id=person,
            text=call.arguments["question"],
            append_to_context=True,
            function_name=call.function_name,
            tool_call_id=call.tool_call_id,
            result_callback=call.result_callback,
        )
        await call.llm.push_frame(request, FrameDirection.UPSTREAM)

    llm.register_function("look", look)
    await run_bot(worker)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    arguments = command_line("A bot that sees.").parse_args()
    params = TavusParams(
        video_in_enabled=True, video_in_sources={"camera": {"on_request_only": True}}
    )
    return run(arguments, run_seeing, lambda bot: play_call(bot, show_cards), params)


if __name__ == "__main__":
    sys.exit(main())
