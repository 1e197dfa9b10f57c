#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tool calls of the simulated persona's, and the results that the bot sends."""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pipecat_tavus.sandbox.interactions import Context, Interaction, RefusedMessage, ToolResult

SORRY = "Sorry, that did not work."
"""What is said of a call that failed."""


class ToolCalls:
    """Tells of calls, and knows which have not been answered."""

    def __init__(self, tell: Callable[[str, Mapping[str, Any]], None]):
        """Initialize it with no call.

        Args:
            tell: Tells an event: its type and its properties.
        """
        self._tell = tell
        self._waiting: dict[str, tuple[asyncio.Future[ToolResult], bool]] = {}
        self._without_id: list[asyncio.Future[ToolResult]] = []

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | str,
        *,
        timeout: float = 5.0,
        with_id: bool = True,
        perception: bool = False,
    ) -> ToolResult:
        """Call a tool, as the persona's LLM or its perception does, and wait for the result.

        A persona that answers by itself then speaks the result of its LLM's call.

        Args:
            name: The tool.
            arguments: The arguments; a text goes as it is.
            timeout: Limit in seconds.
            with_id: Whether the call has a ``tool_call_id``, and its result must come as a
                ``conversation.tool_result``. Without, the next context that is appended is
                taken for the result.
            perception: Whether it is ``conversation.perception_tool_call``.

        Returns:
            The result.

        Raises:
            TimeoutError: None came. One that comes later is refused.
        """
        result: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        id = f"call_{uuid.uuid4().hex}"
        if not perception and not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        properties = {"name": name, "arguments": arguments}
        if perception:
            properties["modality"] = "vision"
        if with_id:
            properties["tool_call_id"] = id
            self._waiting[id] = result, not perception
        else:
            self._without_id.append(result)
        event_type = "conversation.perception_tool_call" if perception else "conversation.tool_call"
        try:
            async with asyncio.timeout(timeout):
                self._tell(event_type, properties)
                return await result
        finally:
            self._waiting.pop(id, None)
            if result in self._without_id:
                self._without_id.remove(result)

    def take(self, told: Interaction) -> str | None:
        """Take what may be a result.

        Args:
            told: What the bot said.

        Returns:
            What an LLM that called now says, if anything.

        Raises:
            RefusedMessage: It is the result of no call that waits for one.
        """
        match told:
            case ToolResult(tool_call_id=str() as id):
                if id not in self._waiting or self._waiting[id][0].done():
                    raise RefusedMessage(
                        f"conversation.tool_result: no call {id!r} waits for a result"
                    )
                waiting, is_spoken = self._waiting.pop(id)
                result = told
            case Context(mode="append", context=context) if self._without_id:
                waiting, is_spoken = self._without_id.pop(0), True
                result = ToolResult(None, context)
            case _:
                return None
        waiting.set_result(result)
        if not is_spoken:
            return None
        return SORRY if result.status == "error" else _spoken(result.output)


def _spoken(output: str | Mapping[str, Any]) -> str:
    return output if isinstance(output, str) else json.dumps(output)
