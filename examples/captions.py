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

"""Captions of what the replica really says: they stop at its last word when it is interrupted.

With no account, or with one, like ``voice_bot.py``::

    uv run examples/captions.py
"""

import asyncio
import sys
from collections.abc import Callable

from offline.answering import GREETING
from offline.demo import AUDIO
from offline.stage import play_call
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.string import TextPartForConcatenation, concatenate_aggregated_text
from voice_bot import Services, command_line, make_bot, run, run_bot

from pipecat_tavus import StreamingUtteranceEvent, TavusEventFrame, TavusTransport
from pipecat_tavus.sandbox import ReplicaSettings, SandboxPerson

LIVE_WIDTH = 76


class Captions(FrameProcessor):
    """Shows captions. Stands behind ``transport.output()``, where text comes when it is heard.

    That text is what the assistant's context gets as well. Where the replica tells of the
    words that it speaks, they are shown as long as they are ahead of it.
    """

    def __init__(self, show: Callable[[str, bool], None]):
        """Initialize captions of nothing.

        Args:
            show: Shows what has been said of a reply, and whether it is over.
        """
        super().__init__()
        self._show = show
        self._heard: list[TextPartForConcatenation] = []
        self._told = ""
        self._speaking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow the speech; pass on everything.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        match frame:
            case TTSTextFrame(text=text, includes_inter_frame_spaces=spaced):
                self._heard.append(TextPartForConcatenation(text, spaced))
                if self._speaking:
                    self._update()
            case TavusEventFrame(event=StreamingUtteranceEvent(role="replica", late=False) as told):
                if self._speaking:
                    self._told = told.speech
                    self._update()
            case BotStartedSpeakingFrame():
                self._speaking = True
            case InterruptionFrame():
                self._speaking = False
            case BotStoppedSpeakingFrame():
                self._speaking = False
                if self._heard:
                    self._show(concatenate_aggregated_text(self._heard), True)
                self._heard, self._told = [], ""
        await self.push_frame(frame, direction)

    def _update(self) -> None:
        self._show(max(concatenate_aggregated_text(self._heard), self._told, key=len), False)


def show_in_terminal(text: str, final: bool) -> None:
    """Show the end of a caption that grows in its line, and all of it when it is over."""
    line = text if final else text[-LIVE_WIDTH:]
    print(f"\r{line:<{LIVE_WIDTH}}", end="\n" if final else "", flush=True)


async def run_captioned(transport: TavusTransport, services: Services) -> None:
    """Be the voice bot, with captions, and say what it remembers of its own words."""
    worker, aggregators = make_bot(transport, services, behind=[Captions(show_in_terminal)])
    await run_bot(worker)
    for message in aggregators.assistant().context.get_messages():
        if message["role"] == "assistant":
            print(f"In the bot's memory: {message['content']}", flush=True)


async def talk(person: SandboxPerson) -> None:
    """Interrupt the greeting with a question, and hear the answer to its end."""
    await person.wait_until_replica_speaks()
    await asyncio.sleep(0.6)
    await person.say(AUDIO / "ten_of_clubs.wav")
    await person.wait_until_replica_speaks()
    await person.wait_until_replica_is_silent(1.0)


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    arguments = command_line("A voice bot with captions.").parse_args()
    # It tells the words of the greeting as it speaks them, and those of the answer it does not.
    replica = ReplicaSettings(transcript=GREETING)
    return run(arguments, run_captioned, lambda bot: play_call(bot, talk, replica))


if __name__ == "__main__":
    sys.exit(main())
