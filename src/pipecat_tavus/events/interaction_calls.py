#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The messages to Tavus as calls, for whoever can send them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from pipecat_tavus.events import interactions
from pipecat_tavus.events.interactions import Sensitivity


class InteractionCalls(ABC):
    """Says things to Tavus in the conversation's room.

    Each call is checked before it is sent. It is a message: Tavus answers none of them.
    """

    async def echo_text(self, text: str) -> None:
        """Let the replica speak a text, word for word, in the persona's own voice.

        Args:
            text: The text.

        Raises:
            TavusConfigError: The text is empty.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(lambda id: interactions.echo_text(id, text))

    async def respond(self, text: str) -> None:
        """Let the persona's LLM answer a text, as if the user had said it.

        Args:
            text: The text.

        Raises:
            TavusConfigError: The text is empty.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(lambda id: interactions.respond(id, text))

    async def interrupt(self) -> None:
        """Tell the replica to stop speaking and to drop what it has buffered.

        Raises:
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(interactions.interrupt)

    async def append_context(self, context: str) -> None:
        """Let the persona's LLM know something besides.

        Args:
            context: What it should know.

        Raises:
            TavusConfigError: The context is empty.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(lambda id: interactions.append_context(id, context))

    async def overwrite_context(self, context: str) -> None:
        """Let the persona's LLM know something instead of what it was told.

        Args:
            context: What it should know.

        Raises:
            TavusConfigError: The context is empty.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(lambda id: interactions.overwrite_context(id, context))

    async def send_tool_result(
        self, tool_call_id: str, output: str | Mapping[str, Any], *, error: bool = False
    ) -> None:
        """Tell what came of a tool call.

        Only for a call that came with a ``tool_call_id``: a Tavus that gives none does not
        know this message, and takes results by :meth:`append_context`.

        Args:
            tool_call_id: The call, as Tavus named it.
            output: A text, or a JSON object.
            error: Whether the call failed; the output says why.

        Raises:
            TavusConfigError: The id is empty, or the output is neither.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(
            lambda id: interactions.tool_result(id, tool_call_id, output, error)
        )

    async def set_sensitivity(
        self,
        *,
        participant_pause_sensitivity: Sensitivity | None = None,
        participant_interrupt_sensitivity: Sensitivity | None = None,
    ) -> None:
        """Set how soon the replica takes its turn, or lets itself be interrupted: one of both.

        Args:
            participant_pause_sensitivity: How short a pause ends the user's turn.
            participant_interrupt_sensitivity: How little interrupts the replica.

        Raises:
            TavusConfigError: It is none or both of them, or no value that Tavus knows.
            TavusRoomSendError: It was not sent.
        """
        await self.send_interaction(
            lambda id: interactions.sensitivity(
                id,
                participant_pause_sensitivity=participant_pause_sensitivity,
                participant_interrupt_sensitivity=participant_interrupt_sensitivity,
            )
        )

    @abstractmethod
    async def send_interaction(self, build: Callable[[str], dict[str, Any]]) -> None:
        """Send a message to Tavus.

        Args:
            build: Makes the message for the conversation's id; one of the functions of
                ``pipecat_tavus.events.interactions``.

        Raises:
            TavusConfigError: A value was refused.
            TavusRoomSendError: It was not sent.
        """
        ...
