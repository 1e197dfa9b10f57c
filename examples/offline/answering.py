#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The answerer that needs no model: a few rules over the words that were heard."""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings

GREETING = "Hello. Tell me where to go, or name a card."
PARDON = "I did not understand that. Please say it again."

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
).split()
CARDS = "two three four five six seven eight nine ten jack queen king ace".split()
SUITS = ("clubs", "diamonds", "hearts", "spades")
MOVES = ("go", "move", "walk", "run", "drive", "turn")
DIRECTIONS = ("forward", "backward", "back", "left", "right", "up", "down")
VERBS = (*MOVES, "do", "say", "stop", "take", "give", "play", "open", "close", "find")


def _ing(verb: str) -> str:
    return {"run": "running", "drive": "driving", "move": "moving"}.get(verb, f"{verb}ing")


def answer(heard: str) -> str:
    """Answer what a person said.

    Args:
        heard: The person's words, as they were recognized.

    Returns:
        What to say.
    """
    words = re.findall(r"[a-z']+", heard.lower())
    if not words:
        return PARDON
    return f"You said: {' '.join(words)}. {_reply(words)}"


def _reply(words: Sequence[str]) -> str:
    numbers = [word for word in words if word in NUMBERS]
    verbs = [word for word in words if word in VERBS]
    suits = [word for word in words if word in SUITS]
    cards = [word for word in words if word in CARDS]

    if suits and cards:
        card, suit = cards[0], suits[0]
        place = CARDS.index(card)
        if card == CARDS[-1]:
            return f"No card beats the {card} of {suit}. Below it is the {CARDS[place - 1]}."
        return f"The {CARDS[place + 1]} of {suit} beats the {card} of {suit}."

    if numbers and verbs:
        number, verb = numbers[0], verbs[0]
        direction = next((f" {word}" for word in words if word in DIRECTIONS), "")
        after = words[words.index(number) + 1 :]
        unit = after[0] if after else "times"
        steps = ", ".join(NUMBERS[1 : NUMBERS.index(number) + 1]) or "none at all"
        return (
            f"I am {_ing(verb)}{direction} {number} {unit} now. {steps.capitalize()}. "
            f"That was {number} {unit}. What is next?"
        )

    if verbs:
        asked = " and to ".join(dict.fromkeys(verbs))
        return f"You want me to {asked}. How many times?"

    if numbers:
        return f"I know the number {numbers[0]}, but not what to do with it."

    return f"Those were {len(words)} words, and no verb or number that I know."


def _text(message: Any) -> str:
    """The text of a message whose content is a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def answer_messages(messages: Sequence[Any]) -> str:
    """Answer the last message of a conversation.

    Args:
        messages: The conversation so far, as an ``LLMContext`` has it.

    Returns:
        What to say: an answer if a person spoke last, else a greeting if nobody has
        spoken yet, else (a turn without words) a request to say it again.
    """
    messages = [message for message in messages if isinstance(message, dict)]
    if messages and messages[-1].get("role") == "user":
        return answer(_text(messages[-1]))
    if any(message.get("role") == "user" for message in messages):
        return PARDON
    return GREETING


class RuleBasedLLMService(LLMService):
    """Stands where a language model would: context in, streamed text out."""

    def __init__(self, **kwargs: Any):
        """Initialize the service.

        Args:
            **kwargs: Arguments of the base class.
        """
        unused = {field.name: None for field in fields(LLMSettings) if field.name != "extra"}
        super().__init__(settings=LLMSettings(**unused), **kwargs)

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: yes."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass on everything else.

        Args:
            frame: The frame.
            direction: Where it is going.
        """
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await self.start_processing_metrics()
            # In words, as models stream them.
            for part in re.findall(r"\S+\s*", answer_messages(frame.context.get_messages())):
                await self.push_frame(LLMTextFrame(part))
        except Exception as e:
            await self.push_error(f"{self}: no answer: {e}", exception=e)
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())
