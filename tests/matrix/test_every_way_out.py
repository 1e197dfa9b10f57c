"""Every way out of a conversation: it is left, and ended by us, exactly once.

What must be true after each is looked at by the fixture `stage`: every conversation of the
sandbox's book ended by one call of ours, nobody in a room, no task left, an empty ledger.
"""

import asyncio
import random
from contextlib import suppress

import pytest
from bots import tone, until
from matrix.stage import FULL, Run
from pipecat.frames.frames import CancelFrame, EndFrame, StopFrame, TTSAudioRawFrame
from pipecat.utils.asyncio.task_manager import TaskManager

from pipecat_tavus import (
    TavusCallbacks,
    TavusError,
    TavusParams,
    TavusReplicaLeftError,
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusTransportClient,
)
from pipecat_tavus.handlers import EVENTS
from pipecat_tavus.sandbox.room_client import SandboxRoom


async def started(stage, **params):
    """A bot that runs and hears a person in its room, and what its transport tells."""
    told = []

    class TellingRoom(SandboxRoom):
        async def capture_participant_audio(self, *args, **kwargs):
            await super().capture_participant_audio(*args, **kwargs)
            told.append("captured")

        async def update_subscriptions(self, *args, **kwargs):
            await super().update_subscriptions(*args, **kwargs)
            told.append("subscribed")

    transport = stage.transport(TellingRoom, **params)

    def record(event):
        async def handler(transport, *args):
            told.append(event)

        return handler

    for event in EVENTS:
        transport.add_event_handler(event, record(event))
    run = Run(transport)
    assert await run.started(stage.watch)
    person = await stage.sandbox.join_person(transport.conversation.id)
    await until(lambda: {"captured", "subscribed"} <= set(told))
    return transport, run, person, told


async def is_over(run, seconds=6.0):
    async with asyncio.timeout(seconds):
        await asyncio.wait([run.task])


async def say(run, seconds):
    await run.worker.queue_frame(TTSAudioRawFrame(tone(seconds, 24000), 24000, 1))


WAYS = {
    "EndFrame": lambda run: run.worker.queue_frame(EndFrame()),
    "CancelFrame": lambda run: run.worker.queue_frame(CancelFrame()),
    "stop_when_done": lambda run: run.worker.stop_when_done(),
    "worker.cancel": lambda run: run.worker.cancel(),
    "runner.end": lambda run: run.runner.end(),
    "runner.cancel": lambda run: run.runner.cancel(),
    "task.cancel": lambda run: asyncio.sleep(0, run.task.cancel()),
}


@pytest.mark.parametrize("speaks", [False, True], ids=["silent", "speaking"])
@pytest.mark.parametrize("way", WAYS)
async def test_whoever_ends_the_run_ends_the_conversation(stage, way, speaks):
    _, run, _, _ = await started(stage)
    if speaks:
        await say(run, 0.3)
        await asyncio.sleep(0.1)
    await WAYS[way](run)
    await is_over(run)
    assert stage.active() == [], "it is over when the run is"
    assert stage.errors == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(48 if FULL else 4))
async def test_the_moment_does_not_matter(stage, way, seed):
    """Of the set-up, of the start, or of the first words."""
    moment = random.Random(f"{way} {seed}").uniform(0, 0.06)
    run = Run(stage.transport())
    await asyncio.sleep(moment)
    # A run that has not begun is not there to be ended.
    await until(lambda: hasattr(run, "runner"))
    await WAYS[way](run)
    with suppress(TimeoutError):
        await is_over(run, 0.5)
    # Pipecat loses a frame that comes before its start; somebody notices.
    await run.over()


@pytest.mark.parametrize("gap", [0, 0.001, 0.02])
@pytest.mark.parametrize("seed", range(24 if FULL else 3))
async def test_a_task_that_is_cancelled_again_and_again_leaves_nothing_open(stage, gap, seed):
    """As a cancel scope does it that is left; Pipecat itself may then clean nothing up."""
    moment = random.Random(f"{gap} {seed}").uniform(0, 0.08)
    run = Run(stage.transport())
    await asyncio.sleep(moment)
    while not run.task.done():
        run.task.cancel()
        await asyncio.sleep(gap)


async def test_a_transport_goes_on_in_a_second_pipeline(stage):
    """A StopFrame ends a pipeline and leaves its processors as they are."""
    transport, run, _, _ = await started(stage)
    await run.worker.queue_frame(StopFrame())
    await is_over(run)
    again = Run(transport)
    assert await again.started(stage.watch)
    await asyncio.sleep(0.3)
    assert stage.active() == [transport.conversation.id]
    await again.end()


async def test_a_pipeline_that_is_over_and_has_not_cleaned_up_is_noticed(stage):
    _, run, _, _ = await started(stage)
    await run.worker.queue_frame(StopFrame())
    await is_over(run)
    await until(lambda: not stage.active(), 10)


@pytest.mark.parametrize("seed", range(48 if FULL else 6))
async def test_the_application_closes_the_transport_at_any_moment(stage, seed):
    transport = stage.transport()
    run = Run(transport)
    await asyncio.sleep(random.Random(seed).uniform(0, 0.05))
    await transport.close()
    assert stage.active() == [], "it is closed when close() has returned"
    await asyncio.sleep(0.02)
    assert stage.bots() == []
    await run.end()


FAILING_JOINS = {
    "refused": {"status": 403, "body": "The room is full"},
    "cut": {"reset": True},
    "hanging": {"hang": True},
    "late": {"delay": 0.5},
}


@pytest.mark.parametrize("how", FAILING_JOINS)
async def test_a_join_that_fails(stage, how):
    stage.sandbox.fail("JOIN", **FAILING_JOINS[how])
    run = Run(stage.transport(join_timeout=0.2))
    await is_over(run)
    [error] = stage.errors
    assert isinstance(error, TavusRoomJoinError)


@pytest.mark.parametrize("seed", range(4))
async def test_a_room_that_is_closed_under_the_bot(stage, seed):
    """Tavus goes on billing: the conversation is ended all the same."""
    transport, run, _, _ = await started(stage)
    await say(run, 0.3)
    await asyncio.sleep(random.Random(seed).uniform(0, 0.2))
    stage.sandbox.room(transport.conversation.id).close("daily_room_has_been_deleted")
    await is_over(run)
    [error] = stage.errors
    assert isinstance(error, TavusRoomClosedError)
    assert "daily_room_has_been_deleted" in str(error)


@pytest.mark.ended_by_tavus
async def test_a_conversation_that_tavus_has_ended(stage):
    transport, run, _, _ = await started(stage)
    stage.sandbox.end(transport.conversation.id, "max_call_duration reached")
    await is_over(run)
    [error] = stage.errors
    assert "max_call_duration reached" in str(error)
    assert stage.ends() == [], "one try, which is told that it has ended"
    assert len([r for r in stage.sandbox.requests if r.path.endswith("/end")]) == 1


async def test_a_conversation_that_is_deleted(stage):
    transport, run, _, _ = await started(stage)
    stage.sandbox.delete(transport.conversation.id)
    await is_over(run)
    assert len(stage.errors) == 1
    assert len([r for r in stage.sandbox.requests if r.path.endswith("/end")]) == 1


SHUTDOWN = {"message_type": "system", "event_type": "system.shutdown"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"properties": {"shutdown_reason": "out of credits"}}, "out of credits"),
        ({"properties": {"reason": "out of credits"}}, "out of credits"),
        ({"reason": "out of credits"}, "out of credits"),
        ({}, "no reason given"),
    ],
)
async def test_tavus_shuts_down(stage, more, reason):
    transport, run, _, _ = await started(stage)
    room = stage.sandbox.room(transport.conversation.id)
    for _ in range(3):
        room.send(room.ids("replica")[0], SHUTDOWN | more)
    await is_over(run)
    [error] = stage.errors
    assert isinstance(error, TavusRoomClosedError)
    assert reason in str(error)


async def test_nobody_but_tavus_shuts_down(stage):
    transport, run, person, told = await started(stage)
    before = told.count("on_app_message")
    await person.send_message(SHUTDOWN | {"properties": {"reason": "because I say so"}})
    await until(lambda: told.count("on_app_message") > before)
    await asyncio.sleep(0.1)
    assert stage.active() == [transport.conversation.id]
    assert stage.errors == []
    assert not run.task.done()
    await run.end()


async def test_the_replica_is_gone_and_comes_back(stage):
    transport, run, _, told = await started(stage, replica_left="wait")
    replica = stage.sandbox.replica(transport.conversation.id)
    replica.leave()
    await until(lambda: "on_replica_left" in told)
    replica.join()
    await until(lambda: told.count("on_replica_joined") == 2)
    assert stage.active() == [transport.conversation.id]
    assert stage.errors == []
    await run.end()


async def test_the_replica_is_gone_and_that_is_the_end(stage):
    transport, run, _, told = await started(stage, replica_left="end")
    stage.sandbox.replica(transport.conversation.id).leave()
    await is_over(run)
    [error] = stage.errors
    assert isinstance(error, TavusReplicaLeftError)
    assert told.count("on_replica_left") == 1


@pytest.mark.parametrize("way", ["EndFrame", "worker.cancel", "task.cancel"])
@pytest.mark.parametrize("use", [("input",), ("output",), ("output", "input")])
async def test_a_pipeline_with_one_of_the_two_or_with_both_the_wrong_way_round(stage, use, way):
    run = Run(stage.transport(), use)
    assert await run.started(stage.watch)
    await WAYS[way](run)
    await is_over(run)
    assert stage.active() == []


class Setup:
    """What a client takes of a processor's setup."""

    audio_in_sample_rate = 16000
    audio_out_sample_rate = 24000

    def __init__(self):
        self.task_manager = TaskManager(loop=asyncio.get_running_loop())


async def client_of(stage):
    stage.set_environment(stage.sandbox, stage.ledger_path)
    client = TavusTransportClient(
        bot_name="Ada",
        callbacks=TavusCallbacks(),
        api_key=stage.sandbox.api_key,
        replica_id="r1",
        params=TavusParams(),
    )
    setup = Setup()
    for _ in range(2):
        await client.setup(setup)
        await client.join()
    return client


ORDERS = [
    ["stop", "stop", "cleanup", "cleanup"],
    ["stop", "cleanup", "stop", "cleanup"],
    ["stop", "cleanup", "cleanup"],
    ["cleanup", "cleanup", "stop", "stop"],
    ["cleanup", "cleanup"],
    ["cleanup", "stop", "cleanup", "stop"],
    ["stop", "stop", "stop", "close", "cleanup", "cleanup", "cleanup"],
    ["close"],
    ["close", "stop", "stop", "cleanup", "cleanup"],
]


@pytest.mark.parametrize("together", [False, True], ids=["in turn", "at once"])
@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
async def test_input_and_output_stop_in_any_order(stage, order, together):
    client = await client_of(stage)
    steps = [getattr(client, name) for name in order]
    if together:
        await asyncio.gather(*(step() for step in steps))
    else:
        for step in steps:
            await step()
    assert stage.active() == []


async def test_one_that_stops_does_not_end_it_for_the_other(stage):
    client = await client_of(stage)
    await client.stop()
    await client.cleanup()
    assert len(stage.active()) == 1
    assert len(stage.bots()) == 1
    await client.stop()
    assert stage.active() == []
    await client.cleanup()


@pytest.mark.parametrize("wait", [0, 0.001, 0.02])
async def test_a_creation_that_nobody_waits_for_any_more(stage, wait):
    stage.sandbox.fail("POST /conversations", delay=0.05)
    creating = asyncio.create_task(stage.transport().create_conversation())
    await asyncio.sleep(wait)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await until(lambda: not stage.active() and not stage.watch.unfinished())


async def test_a_creation_that_failed_and_one_that_succeeded_are_both_ended(stage):
    """The first is tried again by the application, though it has worked: its answer was lost."""
    stage.sandbox.fail("POST /conversations", hang=True, work=True)
    stage.sandbox.fail("GET /conversations", status=402, times=4)
    transport = stage.transport(request_timeout=1)
    with pytest.raises(TavusError):
        await transport.create_conversation()
    await transport.create_conversation()
    assert len(stage.sandbox.conversations) == 2
    await transport.close()
    assert stage.active() == []


async def test_a_loop_that_shuts_down_ends_it(stage):
    """Every task is cancelled, and waited for, as `asyncio.run` does it at its end."""
    _transport, run, _, _ = await started(stage)
    mine = {task for task in stage.watch.tasks if not task.done()} - {asyncio.current_task()}
    for task in mine:
        task.cancel()
    await asyncio.wait(mine, timeout=2)
    await run.over()
