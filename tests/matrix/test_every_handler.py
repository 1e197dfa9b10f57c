"""Every handler of the application's, whatever it does: the conversation is ended all the same.

What must be true after each is looked at by the fixture `stage`.
"""

import asyncio
from contextlib import suppress

import pytest
from bots import until
from matrix.stage import Run
from pipecat.frames.frames import EndFrame

from pipecat_tavus import TavusError
from pipecat_tavus.handlers import EVENTS

TAVUS_EVENTS = {
    "on_event": ("system.replica_present", {}),
    "on_replica_started_speaking": ("conversation.replica.started_speaking", {}),
    "on_replica_stopped_speaking": ("conversation.replica.stopped_speaking", {}),
    "on_utterance": ("conversation.utterance", {"role": "user", "speech": "Hello"}),
    "on_tool_call": ("conversation.tool_call", {"name": "look", "arguments": "{}"}),
    "on_shutdown": ("system.shutdown", {"reason": "x"}),
}

ERRORS = {
    "RuntimeError": RuntimeError,
    "CancelledError": asyncio.CancelledError,
    "TavusError": TavusError,
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("event", EVENTS)
async def test_an_exception_in_any_of_the_applications_handlers(stage, event, error):
    transport = stage.transport()
    called = []

    async def handler(*args):
        called.append(args)
        raise ERRORS[error]("the application's own fault")

    transport.add_event_handler(event, handler)
    run = Run(transport)
    assert await run.started(stage.watch)
    if event == "on_error":
        await transport._client.report(TavusError("something"))
    elif event in ("on_connection_interrupted", "on_connection_restored"):
        for interrupted in (True, False):
            await transport._client._events.on_connection(interrupted=interrupted)
    person = await stage.sandbox.join_person(transport.conversation.id)
    await asyncio.sleep(0.03)
    await person.send_message({"hello": 1})
    await asyncio.sleep(0.02)
    await person.leave()
    replica = stage.sandbox.replica(transport.conversation.id)
    if event == "on_replica_left":
        replica.leave()
    elif event in TAVUS_EVENTS:
        await until(lambda: replica.id)
        replica.tell(*TAVUS_EVENTS[event])
    await until(lambda: called)
    await run.end()


@pytest.mark.parametrize("does", ["close", "worker.cancel", "EndFrame", "hang"])
@pytest.mark.parametrize("event", ["on_conversation_created", "on_connected", "on_app_message"])
async def test_a_handler_that_ends_it_itself(stage, event, does):
    transport = stage.transport()
    called = asyncio.Event()

    async def handler(*args):
        called.set()
        match does:
            case "close":
                await transport.close()
            case "worker.cancel":
                await run.worker.cancel()
            case "EndFrame":
                await run.worker.queue_frame(EndFrame())
            case "hang":
                await asyncio.sleep(60)

    transport.add_event_handler(event, handler)
    run = Run(transport)
    if event == "on_app_message":
        assert await run.started(stage.watch)
        # Where a message of the replica's came first, it is over already.
        with suppress(TavusError):
            person = await stage.sandbox.join_person(transport.conversation.id)
            await person.send_message({"hello": 1})
    async with asyncio.timeout(20):
        await called.wait()
    await asyncio.sleep(0.05)
    await run.end()
