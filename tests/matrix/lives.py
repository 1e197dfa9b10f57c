"""Whole lives of a bot, each of which an application might lead with a transport.

Where a fault spoils it, the application goes on as one does: it ends the run, then cancels
it, then cancels its task, again and again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bots import Device, tone
from matrix.rooms import NoLeave, NoSetup, NoTrack, NumbRoom, RestlessRoom, RoomWithoutReplica
from matrix.stage import Run, Stage
from pipecat.frames.frames import (
    InterruptionFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
    UserImageRequestFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from pipecat_tavus import TavusError, TavusTransport
from pipecat_tavus.sandbox import Picture
from pipecat_tavus.video_in import HAS_SAMPLERS


async def lives_and_ends(stage: Stage) -> None:
    run = Run(stage.transport())
    await run.started(stage.watch)
    await run.end()


async def is_cancelled(stage: Stage) -> None:
    run = Run(stage.transport())
    await run.started(stage.watch)
    await run.cancel()


async def loses_its_task(stage: Stage) -> None:
    """The conversation is created beforehand; then the application's task is cancelled."""
    transport = stage.transport()
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.create_task(transport.create_conversation())
    run = Run(transport)
    await run.started(stage.watch)
    run.task.cancel()
    await run.over()
    if not run.begun.is_set():
        # Before the pipeline was set up, perhaps: then whoever created it has to close it.
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.create_task(transport.close())


async def stays_alone(stage: Stage) -> None:
    """No pipeline; an application that fails to close its transport tries again."""
    transport = stage.transport()
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.create_task(transport.create_conversation())
    for _ in range(2):
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.create_task(transport.close())


async def speaks(stage: Stage) -> None:
    await _speaks(stage, stage.transport())


async def echoes(stage: Stage) -> None:
    """It speaks by echo messages, in real time."""
    params = {
        **{"audio_delivery": "echo", "echo_lead_secs": 0, "echo_chunk_ms": 20},
        "replica_timeout": 0,
    }
    await _speaks(stage, stage.transport(RoomWithoutReplica, **params))


async def waits_for_its_replica(stage: Stage) -> None:
    """It greets before the replica has come."""
    transport = stage.transport(RoomWithoutReplica, replica_timeout=0.3)
    run = Run(transport)
    if await run.started(stage.watch):
        await run.worker.queue_frame(TTSAudioRawFrame(tone(0.06, 24000), 24000, 1))
    await run.end()


async def _speaks(stage: Stage, transport: TavusTransport) -> None:
    run = Run(transport)
    if await run.started(stage.watch) and transport.conversation:
        with suppress(TavusError, KeyError):
            person = await stage.sandbox.join_person(transport.conversation.id)
            await asyncio.sleep(0.02)
            await run.worker.queue_frame(TTSAudioRawFrame(tone(0.06, 24000), 24000, 1))
            await person.send_message({"label": "rtvi-ai"})
            await asyncio.sleep(0.05)
            await run.worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.02)
            await person.leave()
            await run.worker.queue_frame(TTSAudioRawFrame(tone(0.03, 24000), 24000, 1))
    await run.end()


SIGHT = {"video_in_enabled": True, "video_in_sources": {"camera": {"on_request_only": True}}}
if not HAS_SAMPLERS:
    SIGHT = {}


async def sees(stage: Stage) -> None:
    """It looks at a person whose camera is off, on, and off again; and at the replica."""
    transport = stage.transport(**SIGHT)
    run = Run(transport)

    async def told(answer: object) -> None:
        await asyncio.sleep(0)

    if await run.started(stage.watch) and transport.conversation:
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.create_task(transport.capture_replica_video(framerate=5))
        with suppress(TavusError, KeyError):
            person = await stage.sandbox.join_person(transport.conversation.id)
            for slowly in (None, 30, 0.01):
                if slowly:
                    person.show_camera(Picture.plain((1, 2, 3)), framerate=slowly)
                await asyncio.sleep(0.04)
                request = UserImageRequestFrame(person.id, result_callback=told)
                await run.worker.queue_frame(request, FrameDirection.UPSTREAM)
                await asyncio.sleep(0.04)
            person.hide_camera()
            await asyncio.sleep(0.02)
            await person.leave()
    await run.end()


async def has_a_room_that_fails(stage: Stage) -> None:
    """The room refuses audio, settings and messages."""
    transport = stage.transport(NumbRoom, **SIGHT)
    run = Run(transport)
    if await run.started(stage.watch) and transport.conversation:
        stage.sandbox.fail("SEND", status=500, times=2)
        with suppress(TavusError, KeyError):
            await stage.sandbox.join_person(transport.conversation.id)
        await run.worker.queue_frame(OutputTransportMessageFrame(message={"hello": 1}))
        await run.worker.queue_frame(TTSAudioRawFrame(tone(0.04, 24000), 24000, 1))
        await asyncio.sleep(0.05)
        await run.worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.02)
    await run.end()


async def has_a_restless_room(stage: Stage) -> None:
    run = Run(stage.transport(RestlessRoom))
    await run.started(stage.watch)
    await run.end()


async def has_no_device(stage: Stage) -> None:
    run = Run(stage.transport(NoSetup))
    await run.started(stage.watch)
    await run.end()


async def has_no_track(stage: Stage) -> None:
    run = Run(stage.transport(NoTrack))
    await run.started(stage.watch)
    await run.end()


async def cannot_leave(stage: Stage) -> None:
    run = Run(stage.transport(NoLeave))
    await run.started(stage.watch)
    await run.end()


async def cannot_end(stage: Stage) -> None:
    """Tavus refuses the end; that is told, and the next one ends it."""
    stage.gives_up = True
    stage.sandbox.fail("POST /conversations/{id}/end", status=401)
    await lives_and_ends(stage)


async def loses_its_replica(stage: Stage) -> None:
    """The replica leaves, which ends the conversation."""
    transport = stage.transport(replica_left="end")
    run = Run(transport)
    if await run.started(stage.watch) and transport.conversation:
        until = time.monotonic() + 1
        while not transport._client.replica_ready and time.monotonic() < until:
            await asyncio.sleep(0.005)
        with suppress(TavusError, KeyError):
            stage.sandbox.replica(transport.conversation.id).leave()
        await asyncio.wait([run.task], timeout=0.3)
    await run.end()


async def is_shut_down(stage: Stage) -> None:
    """Tavus says that it shuts the conversation down."""
    transport = stage.transport()
    run = Run(transport)
    if await run.started(stage.watch) and transport.conversation:
        room = stage.sandbox.room(transport.conversation.id)
        until = time.monotonic() + 1
        while not room.ids("replica") and time.monotonic() < until:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        with suppress(TavusError, IndexError):
            room.send(room.ids("replica")[0], {"event_type": "system.shutdown", "reason": "x"})
        await asyncio.wait([run.task], timeout=0.3)
    await run.end()


async def loses_its_room(stage: Stage) -> None:
    """The room is closed under the bot."""
    transport = stage.transport()
    run = Run(transport)
    if await run.started(stage.watch) and transport.conversation:
        stage.sandbox.room(transport.conversation.id).close("daily_room_has_been_deleted")
        await asyncio.wait([run.task], timeout=0.3)
    await run.end()


async def loses_an_answer(stage: Stage) -> None:
    """The conversation is created, and the connection cut before the answer comes."""
    stage.sandbox.fail("POST /conversations", reset=True)
    await lives_and_ends(stage)


async def loses_an_answer_and_cannot_look(stage: Stage) -> None:
    stage.sandbox.fail("POST /conversations", reset=True)
    stage.sandbox.fail("GET /conversations", status=402)
    await lives_and_ends(stage)


async def is_not_let_in(stage: Stage) -> None:
    stage.sandbox.fail("JOIN", status=403, body="The room is full")
    await lives_and_ends(stage)


async def finds_orphans(stage: Stage) -> None:
    """Two conversations are left from before, one of them without an id; a third never was."""
    ledger = stage.ledger()
    for name in ("left with an id", "left without", "never created"):
        ledger.intend(name)
        if name != "never created":
            conversation = stage.sandbox.create({"replica_id": "r1", "conversation_name": name})
            if name == "left with an id":
                ledger.opened(name, conversation.id)
    await lives_and_ends(stage)


async def waits_for_a_slot(stage: Stage) -> None:
    words = {"message": "User has reached maximum concurrent conversations"}
    stage.sandbox.fail("POST /conversations", status=400, body=words)
    transport = stage.transport(wait_for_slot=1)
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.create_task(transport.create_conversation())
    run = Run(transport)
    await run.started(stage.watch)
    await run.end()


async def ends_at_the_second_call(stage: Stage) -> None:
    stage.sandbox.fail("POST /conversations/{id}/end", status=503)
    await stays_alone(stage)


async def inherits(stage: Stage) -> None:
    """Somebody else created the conversation, and has handed its end over."""
    body = {"replica_id": "r1", "properties": {"participant_left_timeout": 10}}
    created = stage.sandbox.create(body)
    handed_over = {"conversation_id": created.id, "conversation_url": created.url}
    transport = stage.transport(conversation=handed_over)
    run = Run(transport)
    await run.started(stage.watch)
    await run.end()
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.create_task(transport.close())


async def serves_behind_another_transport(stage: Stage) -> None:
    """The replica is in the middle of a pipeline."""
    run = Run(None, (), stage.video_service(), Device())
    if await run.started(stage.watch):
        await run.worker.queue_frame(TTSAudioRawFrame(tone(0.17, 24000), 24000, 1))
        await asyncio.sleep(0.15)
        await run.worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.02)
    await run.end()


Life = Callable[[Stage], Awaitable[None]]

PLAIN: tuple[Life, ...] = (lives_and_ends, is_cancelled, loses_its_task, stays_alone)
ROUGH: tuple[Life, ...] = (
    speaks,
    echoes,
    sees,
    waits_for_its_replica,
    has_a_room_that_fails,
    has_a_restless_room,
    has_no_device,
    has_no_track,
    cannot_leave,
    cannot_end,
    loses_its_replica,
    is_shut_down,
    loses_its_room,
    loses_an_answer,
    loses_an_answer_and_cannot_look,
    is_not_let_in,
    finds_orphans,
    waits_for_a_slot,
    ends_at_the_second_call,
    inherits,
    serves_behind_another_transport,
)
