#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Sight that needs no model: it calls the function ``look``, and names a picture's colour."""

import base64
import io
import uuid
from collections.abc import Sequence
from typing import Any

from PIL import Image
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.processors.frameworks.rtvi.models import PROTOCOL_VERSION

from offline.answering import RuleBasedLLMService
from offline.rtvi_client import ABOUT, RTVIClient
from pipecat_tavus.sandbox import Picture, SandboxPerson

COLORS = {
    "red": (220, 30, 30),
    "green": (30, 180, 30),
    "blue": (30, 30, 220),
    "yellow": (230, 220, 30),
    "white": (240, 240, 240),
    "black": (15, 15, 15),
}
QUESTION = "What do you see?"
BLIND = "I cannot see you."


class ColorNamingLLMService(RuleBasedLLMService):
    """Stands where a vision model would: it looks when it is asked to, and says what it sees."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context that has, or needs, a picture; leave the rest to the rules.

        Args:
            frame: The frame.
            direction: Where it is going.
        """
        if not isinstance(frame, LLMContextFrame):
            await super().process_frame(frame, direction)
        elif said := describe(frame.context.get_messages()):
            for part in (LLMFullResponseStartFrame(), LLMTextFrame(said)):
                await self.push_frame(part)
            await self.push_frame(LLMFullResponseEndFrame())
        elif frame.context.get_messages()[-1].get("content") == QUESTION:
            await self._look(frame.context)
        else:
            await super().process_frame(frame, direction)

    async def _look(self, context: LLMContext) -> None:
        call = FunctionCallFromLLM("look", str(uuid.uuid4()), {"question": QUESTION}, context)
        await self.run_function_calls([call])


def describe(messages: Sequence[Any]) -> str:
    """What a picture shows, where the last message has one or should have had.

    Args:
        messages: The conversation so far, as an ``LLMContext`` has it.

    Returns:
        What to say, or nothing.
    """
    last = messages[-1]
    if last.get("role") == "tool" and "error" in last["content"]:
        return BLIND
    content = last.get("content")
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "image_url":
            jpeg = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            return f"I see something {color_of(jpeg)}."
    return ""


def color_of(jpeg: bytes) -> str:
    """The name of a picture's colour.

    Args:
        jpeg: The picture.

    Returns:
        The one of :data:`COLORS` that is nearest to its mean.
    """
    mean = Image.open(io.BytesIO(jpeg)).convert("RGB").resize((1, 1)).getpixel((0, 0))

    def distance(name: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(COLORS[name], mean, strict=True))

    return min(COLORS, key=distance)


async def show_cards(person: SandboxPerson) -> None:
    """Show coloured cards to the camera, ask what they are, then turn the camera off.

    Args:
        person: The person, whose front end types what it asks.
    """
    client = RTVIClient(person)
    await client.send("client-ready", {"version": PROTOCOL_VERSION, "about": ABOUT})
    await client.read("bot-ready")
    await client.read("bot-started-speaking")
    for card in ("red", "blue", None):
        if card:
            person.show_camera(Picture.plain(COLORS[card], 320, 240))
        else:
            person.hide_camera()
        await client.send("send-text", {"content": QUESTION})
        await client.read("bot-transcription")
        await client.read("bot-stopped-speaking")
