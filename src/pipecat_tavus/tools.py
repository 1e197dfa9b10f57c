#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tool calls of Tavus's LLM and perception, run by Pipecat's function handlers."""

import asyncio
import json
import time
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, cast

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallFromLLM,
    FunctionCallResultFrame,
    LLMConfigureOutputFrame,
    LLMContextFrame,
    LLMContextSummaryRequestFrame,
    LLMUpdateSettingsFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallRunnerItem, LLMService
from pipecat.services.settings import LLMSettings
from pipecat.utils.errors import ErrorCategory

from pipecat_tavus.errors import TavusRoomSendError
from pipecat_tavus.events.events import PerceptionToolCallEvent, ToolCallEvent
from pipecat_tavus.events.interaction_calls import InteractionCalls
from pipecat_tavus.frames import TavusEventFrame

CALLS_REMEMBERED = 1024
"""So many of the calls that came last are known again."""

_FOR_A_MODEL = (
    LLMConfigureOutputFrame,
    LLMContextFrame,
    LLMContextSummaryRequestFrame,
    LLMUpdateSettingsFrame,
)


class _Call(NamedTuple):
    """A call that Tavus has not been answered.

    Parameters:
        name: The function.
        arguments: The arguments, read.
        tool_call_id: What Tavus calls it, or None from a Tavus that takes no results but as
            context.
        settled: Set when there is a result, or will be none.
    """

    name: str
    arguments: Mapping[str, Any]
    tool_call_id: str | None
    settled: asyncio.Event


class TavusFunctionCalls(LLMService):
    """Runs Pipecat's function handlers where Tavus's LLM or perception calls a tool.

    For a persona that thinks by itself (``pipeline_mode: full``). It is Pipecat's
    ``LLMService`` without a model, since the one that calls is Tavus's: handlers are
    registered with ``register_function()``, or come with the tools of a context, and are
    called, timed out, cancelled and observed as those of any other LLM. It stands behind
    ``transport.input()``, and everything passes it.

    How a result goes back, by Tavus's documentation (docs.tavus.io, "Tool Call Result"
    and "Tool Calling"):

    - A call that has a ``tool_call_id`` is answered by ``conversation.tool_result``, once:
      with what its handler reports, or with ``status: "error"`` and the reason, where there is
      no such function, the arguments are no JSON object, or the handler raises, takes too long,
      is cancelled, or returns with no result. A Tavus that gives no ids does not know that
      message, so none is sent without one.
    - A handler that has a time limit may return, and have its result reported later, within it:
      by who answers a ``UserImageRequestFrame`` with its ``result_callback``, for example.
    - What came of a call without an id is appended to the context of Tavus's LLM. One that no
      handler is registered for is left to whoever else is in the room.

    A result is a text, or JSON. An intermediate one (``is_final=False``) is appended to the
    context. ``run_llm`` changes nothing: what Tavus says next is for the persona's tool to
    decide. A call that is running when the conversation ends is not answered. What could not be
    sent, and a result that is no JSON, is pushed as an error.

    Example::

        calls = TavusFunctionCalls(transport)
        calls.register_function("get_weather", get_weather, timeout_secs=10)
        pipeline = Pipeline([transport.input(), calls, transport.output()])
    """

    def __init__(
        self,
        transport: InteractionCalls,
        *,
        context: LLMContext | None = None,
        answers_unknown: bool = True,
        **kwargs: Any,
    ):
        """Initialize the processor.

        Args:
            transport: The transport whose conversation the calls are of.
            context: What handlers get as ``params.context``; its tools that have handlers
                are registered. An empty one if None.
            answers_unknown: Whether a call of a function that is not registered is answered with
                an error. False where somebody else in the room answers it.
            **kwargs: Passed to ``LLMService``, such as ``function_call_timeout_secs`` and
                ``run_in_parallel``.
        """
        # There is no model; Pipecat wants to be told so of each of its settings.
        none: dict[str, Any] = {it.name: None for it in fields(LLMSettings) if it.name != "extra"}
        super().__init__(settings=LLMSettings(**none), **kwargs)
        self._transport = transport
        self._context = context or LLMContext()
        self._answers_unknown = answers_unknown
        self._seen: dict[str, None] = {}
        self._open: dict[str, _Call] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Run what Tavus calls; pass on everything.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, _FOR_A_MODEL):
            # Pipecat's service would take it for itself.
            await FrameProcessor.process_frame(self, frame, direction)
        else:
            await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        match frame:
            case TavusEventFrame(event=(ToolCallEvent() | PerceptionToolCallEvent()) as event):
                await self._run(event)
            case _:
                pass

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame; one that settles a call answers Tavus as well.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().push_frame(frame, direction)
        # Pipecat pushes them both ways, upstream last.
        if direction is not FrameDirection.UPSTREAM:
            return
        match frame:
            case FunctionCallResultFrame(tool_call_id=id) if id in self._open:
                await self._take_result(frame)
            case FunctionCallCancelFrame(tool_call_id=id, function_name=name) if id in self._open:
                # A call's own time limit is the only one to ask for the LLM.
                why = "took too long and was cancelled" if frame.run_llm else "was cancelled"
                self._answer(self._close(id), f"The function `{name}` {why}.", failed=True)
            case _:
                pass

    async def cleanup(self) -> None:
        """Stop what is running; nobody waits for an answer any more."""
        await super().cleanup()
        for sending in list(self._sending):
            await self.cancel_task(sending)

    async def _run(self, event: ToolCallEvent | PerceptionToolCallEvent) -> None:
        call = _Call(event.name, event.arguments, event.tool_call_id or None, asyncio.Event())
        if call.tool_call_id is not None and not self._is_news(call.tool_call_id):
            logger.debug("{}: the call {} came before", self, call.tool_call_id)
            return
        self._sync_registered_tool_handlers(self._context.tools)
        ours = self._answers_unknown and call.tool_call_id is not None
        if not ours and not self.has_function(call.name):
            logger.warning("{}: Tavus called `{}`, which is not registered", self, call.name)
        elif (event.arguments_text or "").strip():
            logger.warning("{}: Tavus called `{}` with no JSON object", self, call.name)
            why = f"The arguments of the function `{call.name}` were not a JSON object."
            self._answer(call, why, failed=True)
        else:
            id = call.tool_call_id or uuid.uuid4().hex
            self._open[id] = call
            await self.run_function_calls(
                [FunctionCallFromLLM(call.name, id, call.arguments, self._context)]
            )

    async def _run_function_call(self, runner_item: FunctionCallRunnerItem) -> None:
        begun = time.monotonic()
        try:
            await super()._run_function_call(runner_item)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody has cancelled the call: what its handler waited for was cancelled.
        else:
            if runner_item.settled or await self._is_settled_later(runner_item, begun):
                return
        if runner_item.tool_call_id in self._open:
            call = self._close(runner_item.tool_call_id)
            # Pipecat would go on waiting, and so would Tavus.
            logger.warning("{}: `{}` returned no result", self, call.name)
            self._answer(call, f"The function `{call.name}` returned no result.", failed=True)
            runner_item.settled = True
            await self.broadcast_frame(
                FunctionCallCancelFrame,
                function_name=runner_item.function_name,
                tool_call_id=runner_item.tool_call_id,
            )

    async def _is_settled_later(self, runner_item: FunctionCallRunnerItem, begun: float) -> bool:
        """Wait for the result of a handler that has returned, where it has a time limit."""
        call = self._open.get(runner_item.tool_call_id)
        limit = runner_item.registry_item.timeout_secs or self._function_call_timeout_secs
        if call is None or not limit:
            return False
        try:
            async with asyncio.timeout(begun + limit - time.monotonic()):
                await call.settled.wait()
        except TimeoutError:
            return False
        return True

    def _close(self, id: str) -> _Call:
        call = self._open.pop(id)
        call.settled.set()
        return call

    def _is_news(self, tool_call_id: str) -> bool:
        if tool_call_id in self._seen:
            return False
        self._seen[tool_call_id] = None
        if len(self._seen) > CALLS_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    async def _take_result(self, frame: FunctionCallResultFrame) -> None:
        call = self._open[frame.tool_call_id]
        final = frame.properties is None or frame.properties.is_final
        missing = self.MISSING_FUNCTION_CALL_MESSAGE_TEMPLATE.format(function_name=call.name)
        no_such = isinstance(frame.result, str) and frame.result == missing
        failed = no_such or frame.error is not None
        try:
            output = _as_output(frame.result)
        except (TypeError, ValueError, RecursionError) as e:
            output, failed = f"The function `{call.name}` returned what cannot be read.", True
            await self.push_error(
                f"What the function `{call.name}` returned is no JSON: {e}",
                exception=e,
                category=ErrorCategory.APPLICATION,
            )
        if final:
            self._close(frame.tool_call_id)
            sending = self._answer(call, output, failed=failed)
        else:
            sending = self._add_to_context(call, "failed" if failed else "tells so far", output)
        # The handler goes on when it is sent; one that is cancelled meanwhile takes nothing back.
        await asyncio.shield(sending)

    def _answer(
        self, call: _Call, output: str | dict[str, Any], *, failed: bool = False
    ) -> asyncio.Task[None]:
        if call.tool_call_id is None:
            return self._add_to_context(call, "failed" if failed else "returned", output)
        return self._send(self._transport.send_tool_result(call.tool_call_id, output, error=failed))

    def _add_to_context(
        self, call: _Call, what: str, output: str | dict[str, Any]
    ) -> asyncio.Task[None]:
        arguments = json.dumps(call.arguments)
        output = output if isinstance(output, str) else json.dumps(output)
        context = f"The function `{call.name}`, called with {arguments}, {what}: {output}"
        return self._send(self._transport.append_context(context))

    def _send(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def send() -> None:
            try:
                await sending
            except TavusRoomSendError as e:
                await self.push_error(str(e), exception=e, category=e.category)

        task = cast("asyncio.Task[None]", self.create_task(send(), "tool_result"))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task


def _as_output(result: Any) -> str | dict[str, Any]:
    """A result in one of the forms that Tavus takes; raises where it is no JSON."""
    if result is None or isinstance(result, str):
        # As Pipecat says it to its own LLMs.
        return result or "COMPLETED"
    read = json.loads(json.dumps(result, allow_nan=False))
    return cast("dict[str, Any]", read) if isinstance(read, dict) else json.dumps(read)
