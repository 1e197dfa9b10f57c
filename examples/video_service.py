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

"""A voice bot on a transport of Pipecat's own, whose speech comes from a Tavus replica.

The replica is in a Tavus conversation of the bot's: the person never joins it. Here the
transport is Pipecat's WebSocket server, which carries sound only; SmallWebRTC, Daily or
LiveKit show the replica's face as well.

With no account (a scripted person talks to it), or with one, like ``voice_bot.py``::

    uv run examples/video_service.py
"""

import asyncio
import os
import sys
from collections.abc import Awaitable

from offline.stage import charges, log_warnings, open_stage, report, watch
from offline.websocket_person import AUDIO, WebsocketPerson
from pipecat.frames.frames import Frame, OutputImageRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from voice_bot import Services, command_line, make_bot, offline_services, run_bot, services

from pipecat_tavus import TavusConfigError, TavusVideoService

HOST, PORT = "127.0.0.1", 8765


class Pictures(FrameProcessor):
    """Counts the pictures of the replica's face, on their way to the transport."""

    count = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Count pictures; pass on everything.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        self.count += isinstance(frame, OutputImageRawFrame)
        await self.push_frame(frame, direction)


async def run_video_bot(services: Services, persona: str, port: int = PORT) -> None:
    """Be the voice bot, until the person leaves."""
    transport = SingleClientWebsocketServerTransport(
        SingleClientWebsocketServerParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
        ),
        HOST,
        port,
    )
    video, pictures = TavusVideoService(persona_id=persona), Pictures()
    worker, aggregators = make_bot(transport, services, before=[video, pictures])
    await run_bot(worker)
    for message in aggregators.assistant().context.get_messages():
        if message["role"] == "assistant":
            print(f"In the bot's memory: {message['content']}", flush=True)
    print(f"Pictures of the replica: {pictures.count}", flush=True)


async def play(bot: Awaitable[None], port: int) -> int:
    """Let the bot and a person talk, with no account, and say what went wrong."""

    async def talk() -> None:
        async with WebsocketPerson(f"ws://{HOST}:{port}") as person:
            print(f"The greeting took {await person.listen():.1f} s", flush=True)
            await person.say(AUDIO / "ten_of_clubs.wav")
            print(f"The answer took {await person.listen():.1f} s", flush=True)

    async with open_stage() as sandbox:
        failures = await watch(bot, talk()) + charges(sandbox)
    return report(failures)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    parser = command_line("A voice bot on a transport of Pipecat's own, with a Tavus replica.")
    parser.add_argument("--port", type=int, default=PORT, help="of the WebSocket server")
    arguments = parser.parse_args()
    log_warnings(verbose=arguments.verbose)

    async def run() -> int:
        if os.getenv("TAVUS_API_KEY"):
            print(f"Talk with the bot at ws://{HOST}:{arguments.port}", flush=True)
            await run_video_bot(services(), arguments.persona, arguments.port)
            return 0
        bot = run_video_bot(offline_services(), arguments.persona, arguments.port)
        return await play(bot, arguments.port)

    try:
        return asyncio.run(run())
    except TavusConfigError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    sys.exit(main())
