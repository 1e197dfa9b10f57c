"""Tool calls of a persona that thinks by itself: run by Pipecat's handlers, answered once."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bots import Bot, until
from pipecat.frames.frames import (
    EndFrame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMConfigureOutputFrame,
    LLMContextFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.settings import LLMSettings
from pipecat.utils.errors import ErrorCategory

from pipecat_tavus import (
    TavusEventFrame,
    TavusFunctionCalls,
    TavusParams,
    TavusRoomSendError,
    TavusTransport,
)
from pipecat_tavus.sandbox.interactions import ToolResult
from pipecat_tavus.sandbox.room_client import SandboxRoom

RESULT = "conversation.tool_result"
CONTEXT = "conversation.append_llm_context"


class Stage:
    """A bot with function handlers in a conversation whose persona calls tools."""

    def __init__(self, sandbox, bot, calls):
        self.bot, self.calls = bot, calls
        self.id = bot.transport.conversation.id
        self.replica = sandbox.replica(self.id)
        self.call = self.replica.call_tool
        self.refusals = lambda: sandbox.refusals(self.id)
        self.room = sandbox.room(self.id)

    def sent(self, event_type):
        """The properties of what the bot sent."""
        messages = [said.message for said in self.room.messages]
        return [m["properties"] for m in messages if m.get("event_type") == event_type]

    def frames(self, kind):
        return self.bot.spoken.of(kind)

    async def results(self):
        """How many results were sent, now that what was under way has arrived."""
        self.calls.register_function("marker", reporting("here"))
        await self.call("marker", {})
        return len(self.sent(RESULT)) - 1


def reporting(*results, **properties):
    """A handler that reports these."""

    async def handler(params):
        for result in results:
            await params.result_callback(result, properties=properties.get("properties"))

    return handler


@asynccontextmanager
async def stage_of(sandbox, room=SandboxRoom, **options):
    transport = TavusTransport(
        bot_name="Ada",
        persona_id=None,
        params=TavusParams(audio_out_end_silence_secs=0),
        room_factory=room,
    )
    calls = TavusFunctionCalls(transport, **options)
    async with Bot(transport, before=[calls]) as bot:
        await bot.event("on_replica_joined")
        await bot.started()
        yield Stage(sandbox, bot, calls)


@pytest.fixture
async def stage(sandbox):
    async with stage_of(sandbox) as stage:
        yield stage
        assert stage.refusals() == []
        answered = [it["tool_call_id"] for it in stage.sent(RESULT)]
        assert len(answered) == len(set(answered)), "a call was answered twice"


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("It rains.", "It rains."),
        ({"sky": "grey", "degrees": 7}, {"sky": "grey", "degrees": 7}),
        ([1, None], "[1, null]"),
        (7.5, "7.5"),
        (None, "COMPLETED"),
        ("", "COMPLETED"),
    ],
)
async def test_a_handlers_result_answers_the_call(stage, result, output):
    got = []

    async def get_weather(params):
        got.append(params)
        await params.result_callback(result)

    stage.calls.register_function("get_weather", get_weather)
    answer = await stage.call("get_weather", {"city": "Paris"})
    assert (answer.output, answer.status) == (output, "success")
    [params] = got
    assert (params.function_name, params.arguments) == ("get_weather", {"city": "Paris"})
    assert params.tool_call_id == answer.tool_call_id
    assert isinstance(params.context, LLMContext)
    assert params.llm is stage.calls


async def test_the_pipeline_sees_the_call_as_any_llms_and_the_replica_speaks_the_result(stage):
    stage.calls.register_function("get_weather", reporting("It rains."))
    answer = await stage.call("get_weather", {"city": "Paris"})
    await until(lambda: len(stage.bot.heard.of(FunctionCallResultFrame)) == 1)  # upstream
    await until(lambda: len(stage.frames(FunctionCallResultFrame)) == 1)
    [started] = stage.frames(FunctionCallsStartedFrame)
    [running] = stage.frames(FunctionCallInProgressFrame)
    [result] = stage.frames(FunctionCallResultFrame)
    assert started.function_calls[0].arguments == {"city": "Paris"}
    assert {running.tool_call_id, result.tool_call_id} == {answer.tool_call_id}
    assert result.result == "It rains."
    said = [f.event for f in stage.frames(TavusEventFrame)]
    assert "conversation.tool_call" in [event.event_type for event in said]
    (spoken,) = await stage.bot.event("on_utterance")
    assert spoken.speech == "It rains."


async def test_a_call_without_arguments_has_none(stage):
    stage.calls.register_function("now", reporting("noon"))
    assert (await stage.call("now", "")).output == "noon"


async def test_an_unknown_function_is_an_error(stage):
    answer = await stage.call("fly", {})
    assert (answer.status, answer.output) == (
        "error",
        "The function `fly` is not currently available.",
    )


async def test_an_unknown_function_is_left_to_somebody_else_in_the_room(sandbox):
    async with stage_of(sandbox, answers_unknown=False) as stage:
        with pytest.raises(TimeoutError):
            await stage.call("fly", {}, timeout=0.3)
        assert await stage.results() == 0


@pytest.mark.parametrize("arguments", ["Paris", "[1]", "{", "null"])
async def test_arguments_that_are_no_object_are_an_error_and_reach_no_handler(stage, arguments):
    stage.calls.register_function("get_weather", reporting("It rains."))
    answer = await stage.call("get_weather", arguments)
    assert answer.status == "error"
    assert answer.output == "The arguments of the function `get_weather` were not a JSON object."
    assert stage.frames(FunctionCallsStartedFrame) == []


async def test_a_handler_that_raises_is_an_error_whose_cause_only_the_application_is_told(stage):
    async def get_weather(params):
        raise RuntimeError("no connection as secret-user")

    stage.calls.register_function("get_weather", get_weather)
    answer = await stage.call("get_weather", {})
    assert (answer.status, answer.output) == (
        "error",
        "The function `get_weather` failed and returned no result.",
    )
    await until(lambda: stage.bot.errors)
    assert "no connection as secret-user" in stage.bot.errors[0].error


@pytest.mark.parametrize("returns", [False, True])
async def test_a_handler_that_takes_too_long_is_an_error_and_too_late(stage, returns):
    late = []

    async def get_weather(params):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await params.result_callback("It rains.")
            late.append(True)
            if not returns:
                raise

    stage.calls.register_function("get_weather", get_weather, timeout_secs=0.2)
    answer = await stage.call("get_weather", {})
    assert (answer.status, answer.output) == (
        "error",
        "The function `get_weather` took too long and was cancelled.",
    )
    assert late
    await until(lambda: stage.frames(FunctionCallCancelFrame))
    assert await stage.results() == 1


@pytest.mark.parametrize("cancelled", [True, False])
async def test_an_interruption_cancels_what_is_to_be_cancelled_by_it(stage, cancelled):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def get_weather(params):
        begun.set()
        await go_on.wait()
        await params.result_callback("It rains.")

    stage.calls.register_function("get_weather", get_weather, cancel_on_interruption=cancelled)
    call = asyncio.create_task(stage.call("get_weather", {}))
    await begun.wait()
    await stage.bot.worker.queue_frame(InterruptionFrame())
    await stage.bot.spoken.first(InterruptionFrame)
    go_on.set()
    answer = await call
    if cancelled:
        assert (answer.status, answer.output) == (
            "error",
            "The function `get_weather` was cancelled.",
        )
    else:
        assert (answer.status, answer.output) == ("success", "It rains.")


async def forgets(params):
    pass


async def awaits_what_was_cancelled(params):
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("handler", [forgets, awaits_what_was_cancelled])
async def test_a_handler_that_ends_with_no_result_is_an_error(stage, handler):
    stage.calls.register_function("get_weather", handler)
    answer = await stage.call("get_weather", {})
    assert (answer.status, answer.output) == (
        "error",
        "The function `get_weather` returned no result.",
    )
    await until(lambda: len(stage.frames(FunctionCallCancelFrame)) == 1)
    assert await stage.results() == 1


@pytest.mark.parametrize("ends", ["reports", "is forgotten", "is interrupted"])
async def test_a_handler_with_a_time_limit_may_return_before_its_result_is_there(stage, ends):
    reports = []

    async def look(params):
        reports.append(params.result_callback)

    stage.calls.register_function("look", look, timeout_secs=0.6)
    call = asyncio.create_task(stage.call("look", {}))
    await until(lambda: reports)
    await asyncio.sleep(0.2)
    assert not call.done()
    if ends == "reports":
        await reports[0]("A cat.")
    elif ends == "is interrupted":
        await stage.bot.worker.queue_frame(InterruptionFrame())
    answer = await call
    assert (answer.status, answer.output) == {
        "reports": ("success", "A cat."),
        "is forgotten": ("error", "The function `look` returned no result."),
        "is interrupted": ("error", "The function `look` was cancelled."),
    }[ends]
    await reports[0]("It comes too late.")
    assert await stage.results() == 1


@pytest.mark.parametrize(
    "result",
    [object(), {"a": {1, 2}}, float("nan"), np.arange(3)],
    ids=lambda it: type(it).__name__,
)
async def test_a_result_that_is_no_json_is_an_error_and_told_the_application(stage, result):
    stage.calls.register_function("get_weather", reporting(result))
    answer = await stage.call("get_weather", {})
    assert (answer.status, answer.output) == (
        "error",
        "The function `get_weather` returned what cannot be read.",
    )
    await until(lambda: stage.bot.errors)
    [error] = stage.bot.errors
    assert "What the function `get_weather` returned is no JSON: " in error.error
    assert error.category is ErrorCategory.APPLICATION
    # It is not the processor that is broken.
    stage.calls.register_function("get_weather", reporting("It rains."))
    assert (await stage.call("get_weather", {})).output == "It rains."


async def test_only_the_first_result_counts(stage):
    stage.calls.register_function("get_weather", reporting("It rains.", "It snows."))
    assert (await stage.call("get_weather", {})).output == "It rains."
    assert await stage.results() == 1


class SlowRoom(SandboxRoom):
    """A room where it takes a while until a message is on its way."""

    async def send_message(self, frame):
        await asyncio.sleep(0.5)
        await super().send_message(frame)


async def test_a_result_is_not_taken_back_by_an_interruption_that_comes_while_it_is_sent(sandbox):
    async with stage_of(sandbox, SlowRoom) as stage:
        stage.calls.register_function("get_weather", reporting("It rains."))
        call = asyncio.create_task(stage.call("get_weather", {}))
        await until(lambda: stage.frames(FunctionCallResultFrame))
        await stage.bot.worker.queue_frame(InterruptionFrame())
        await until(lambda: stage.frames(FunctionCallCancelFrame))
        assert stage.sent(RESULT) == []
        assert (await call).output == "It rains."
        assert await stage.results() == 1


async def test_what_is_told_before_the_result_is_context(stage):
    async def get_weather(params):
        so_far = FunctionCallResultProperties(is_final=False)
        await params.result_callback("Looking.", properties=so_far)
        await params.result_callback("It rains.", properties=FunctionCallResultProperties())

    stage.calls.register_function("get_weather", get_weather, cancel_on_interruption=False)
    assert (await stage.call("get_weather", {"city": "Paris"})).output == "It rains."
    assert [it["context"] for it in stage.sent(CONTEXT)] == [
        'The function `get_weather`, called with {"city": "Paris"}, tells so far: Looking.'
    ]


async def test_a_result_that_asks_for_no_llm_answers_the_call_as_well(stage):
    quiet = FunctionCallResultProperties(run_llm=False)
    stage.calls.register_function("get_weather", reporting("It rains.", properties=quiet))
    assert (await stage.call("get_weather", {})).output == "It rains."


async def test_calls_of_the_same_time_are_each_answered_with_their_own(stage):
    async def double(params):
        await asyncio.sleep(0.2 - params.arguments["n"] / 20)
        await params.result_callback(str(params.arguments["n"] * 2))

    stage.calls.register_function("double", double)
    answers = await asyncio.gather(*(stage.call("double", {"n": n}) for n in range(4)))
    assert [it.output for it in answers] == ["0", "2", "4", "6"]


async def test_a_call_that_comes_again_is_not_run_again(stage):
    stage.calls.register_function("get_weather", reporting("It rains."))
    answer = await stage.call("get_weather", {})
    again = {"name": "get_weather", "arguments": "{}", "tool_call_id": answer.tool_call_id}
    stage.replica.tell("conversation.tool_call", again)
    assert await stage.results() == 1


async def test_a_tavus_that_gives_no_ids_is_told_in_the_context(stage):
    stage.calls.register_function("get_weather", reporting({"sky": "grey"}))
    answer = await stage.call("get_weather", {"city": "Paris"}, with_id=False)
    returned = 'called with {"city": "Paris"}, returned: {"sky": "grey"}'
    assert answer == ToolResult(None, f"The function `get_weather`, {returned}")
    answer = await stage.call("get_weather", "Paris", with_id=False)
    assert "failed: The arguments of the function" in answer.output
    # Nobody waits for what is somebody else's function.
    stage.replica.tell("conversation.tool_call", {"name": "fly", "arguments": "{}"})
    assert await stage.results() == 0
    assert len(stage.sent(CONTEXT)) == 2


async def test_a_call_of_tavus_perception_is_one_as_well(stage):
    stage.calls.register_function("wave", reporting({"waved": True}))
    answer = await stage.call("wave", {"hand": "left"}, perception=True)
    assert (answer.output, answer.status) == ({"waved": True}, "success")


async def test_handlers_come_with_the_tools_of_a_context(sandbox):
    async def get_weather(params, city: str):
        """Tell the weather.

        Args:
            city: Where.
        """
        await params.result_callback(f"It rains in {city}.")

    context = LLMContext(tools=[get_weather])
    async with stage_of(sandbox, context=context) as stage:
        assert (await stage.call("get_weather", {"city": "Paris"})).output == "It rains in Paris."
        assert (await stage.call("get_weather", {"town": "Paris"})).status == "error"


async def test_handlers_run_one_after_the_other_where_it_is_asked_for(sandbox):
    running = []

    async def slow(params):
        running.append("begins")
        await asyncio.sleep(0.1)
        running.append("ends")
        await params.result_callback("done")

    async with stage_of(sandbox, run_in_parallel=False, function_call_timeout_secs=5) as stage:
        stage.calls.register_function(None, slow)
        await asyncio.gather(stage.call("one", {}), stage.call("two", {}))
        assert running == ["begins", "ends"] * 2


async def test_an_answer_that_cannot_be_sent_reaches_the_application(sandbox, stage):
    sandbox.fail("SEND", body="not now")
    stage.calls.register_function("get_weather", reporting("It rains."))
    with pytest.raises(TimeoutError):
        await stage.call("get_weather", {}, timeout=0.5)
    [error] = stage.bot.errors
    assert isinstance(error.exception, TavusRoomSendError)
    assert error.processor is stage.calls
    assert (await stage.call("get_weather", {})).output == "It rains."


async def test_everything_else_passes_unchanged_and_once(stage):
    others = [
        LLMContextFrame(LLMContext()),
        LLMConfigureOutputFrame(skip_tts=True),
        LLMUpdateSettingsFrame(delta=LLMSettings(temperature=1.0)),
        LLMUpdateSettingsFrame(delta=LLMSettings(temperature=1.0), service=stage.calls),
    ]
    await stage.bot.worker.queue_frames([*others, LLMTextFrame("Hello")])
    text = await stage.bot.spoken.first(LLMTextFrame)
    assert not text.skip_tts
    passed = [frame for _, frame in stage.bot.spoken.frames]
    assert [sum(frame is it for it in passed) for frame in others] == [1] * len(others)


class SilentRoom(SandboxRoom):
    """A room that does not say whether a message was sent, not even when it is left."""

    async def send_message(self, frame):
        await asyncio.Event().wait()


@pytest.mark.parametrize("room", [SandboxRoom, SilentRoom])
async def test_the_bot_ends_at_once_though_a_handler_or_an_answer_hangs(sandbox, room):
    begun = asyncio.Event()

    async def get_weather(params):
        begun.set()
        if room is SandboxRoom:
            await asyncio.Event().wait()
        await params.result_callback("It rains.")

    async with stage_of(sandbox, room) as stage:
        stage.calls.register_function("get_weather", get_weather)
        call = asyncio.create_task(stage.call("get_weather", {}))
        await begun.wait()
        await stage.bot.worker.queue_frame(EndFrame())
        assert await stage.bot.finish() < 5
        assert stage.sent(RESULT) == []
        assert [it for it in asyncio.all_tasks() if "TavusFunctionCalls" in it.get_name()] == []
        call.cancel()
