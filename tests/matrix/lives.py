"""Whole lives of a bot, each in a sandbox of its own, and what must be true after each.

A life is what an application does with a transport. Where a fault spoils it, the application
goes on as one does: it ends the run, then cancels it, then cancels its task, again and again.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bots import tone
from matrix.points import Watch, begin
from pipecat.frames.frames import (
    EndFrame,
    InterruptionFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import (
    TavusError,
    TavusParams,
    TavusRoomError,
    TavusRoomSendError,
    TavusTransport,
)
from pipecat_tavus.api import TavusApi
from pipecat_tavus.ledger import Ledger
from pipecat_tavus.room import RoomConfig
from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox
from pipecat_tavus.sandbox.room_client import SandboxRoom

FULL = os.environ.get("TAVUS_MATRIX") == "full"
"""Whether to take the time for everything, instead of a sample of what is beyond the promise."""

QUICK = ReplicaSettings(join_delay=0.005, rendering_delay=0.005, gap=0.05)
PATIENCE = 0.15
"""Seconds that an application waits for a run that is broken, before its next step."""

SetEnvironment = Callable[[TavusSandbox, Path], None]


@dataclass
class Stage:
    """Where a life takes place, and what it left behind."""

    sandbox: TavusSandbox
    ledger_path: Path
    set_environment: SetEnvironment
    watch: Watch
    errors: list[TavusError] = field(default_factory=list)
    gives_up: bool = False

    def transport(self, room_factory: Any = None, **params: Any) -> TavusTransport:
        self.set_environment(self.sandbox, self.ledger_path)
        quick = {"request_timeout": 3, "join_timeout": 3, "audio_out_end_silence_secs": 0}
        factory = {"room_factory": room_factory} if room_factory else {}
        transport = TavusTransport(bot_name="Ada", params=TavusParams(**quick | params), **factory)

        async def on_error(transport: TavusTransport, error: TavusError) -> None:
            self.errors.append(error)

        transport.add_event_handler("on_error", on_error)
        return transport

    def ledger(self) -> Ledger:
        api = TavusApi(self.sandbox.api_key, None, base_url=self.sandbox.api_url)
        return Ledger(self.ledger_path, base_url=api.base_url, fingerprint=api.fingerprint)

    def active(self) -> list[str]:
        return [c.id for c in self.sandbox.conversations.values() if c.status == "active"]

    def ends(self) -> list[str]:
        """The conversations that were ended by a call, once for each good answer."""
        return [
            r.path.split("/")[-2]
            for r in self.sandbox.requests
            if r.method == "POST" and r.path.endswith("/end") and r.status == 200
        ]

    def bots(self) -> list[str]:
        return [b for c in self.sandbox.conversations for b in self.sandbox.room(c).ids("bot")]


class Run:
    """A transport in a real pipeline that runs."""

    def __init__(self, transport: TavusTransport, use: tuple[str, ...] = ("input", "output")):
        self.worker = PipelineWorker(
            Pipeline([getattr(transport, name)() for name in use]),
            processor_unusable_policy=ProcessorUnusablePolicy.END,
            enable_rtvi=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=PATIENCE,
        )
        self.begun = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", self._begin)
        self.task = asyncio.create_task(self._run(), name="application")

    async def _begin(self, *args: Any) -> None:
        self.begun.set()

    async def _run(self) -> None:
        self.runner = WorkerRunner(handle_sigint=False)
        await self.runner.add_workers(self.worker)
        await self.runner.run()

    async def started(self, watch: Watch) -> bool:
        """Wait for the start; False where the run is over, or spoiled."""
        until = time.monotonic() + 5
        while not self.begun.is_set():
            if watch.struck:
                until = min(until, time.monotonic() + PATIENCE)
            if self.task.done() or time.monotonic() > until:
                return False
            await asyncio.sleep(0.002)
        # The worker is told a moment later, and drops a cancellation that comes before.
        await asyncio.sleep(0.01)
        return not watch.struck

    async def end(self) -> None:
        await self.worker.queue_frame(EndFrame())
        await self.over()

    async def cancel(self) -> None:
        self.cancelling = asyncio.create_task(self.worker.cancel())
        await self.over()

    async def over(self) -> None:
        """Wait; cancel what is stuck, as often as it takes."""
        await asyncio.wait([self.task], timeout=PATIENCE)
        if not self.task.done():
            self.cancelling = asyncio.create_task(self.worker.cancel())
        for _ in range(9):
            await asyncio.wait([self.task], timeout=PATIENCE)
            if self.task.done():
                return
            self.task.cancel()
        raise AssertionError("the run does not come to its end")


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


async def stays_alone(stage: Stage) -> None:
    """No pipeline; an application that fails to close its transport tries again."""
    transport = stage.transport()
    with suppress(Exception, asyncio.CancelledError):
        await asyncio.create_task(transport.create_conversation())
    for _ in range(2):
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.create_task(transport.close())


async def speaks(stage: Stage) -> None:
    transport = stage.transport()
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


class NumbRoom(SandboxRoom):
    """A room that takes no audio and no settings."""

    async def write_audio_frame(self, frame: Any) -> bool:
        raise OSError("the device is gone")

    async def update_subscriptions(self, *args: Any, **kwargs: Any) -> None:
        raise TavusRoomError("no subscriptions today")


async def has_a_room_that_fails(stage: Stage) -> None:
    """The room refuses audio, settings and messages."""
    transport = stage.transport(NumbRoom)
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


class RestlessRoom(SandboxRoom):
    """A room that reports trouble, and changes of everybody."""

    def __init__(self, config: RoomConfig):
        super().__init__(config)
        self._told = config.listener

    async def join(self) -> None:
        await super().join()
        await self._told.on_room_error("a hiccup")
        for interrupted in (True, False):
            await self._told.on_connection(interrupted=interrupted)
        for name in ("Mo", "Moe"):
            await self._told.on_participant_joined({"id": "p", "info": {"userName": name}})
            await self._told.on_participant_updated({"id": "p", "info": {"userName": "M"}})
        await self._told.on_participant_left({"id": "p"}, "bored")


async def has_a_restless_room(stage: Stage) -> None:
    run = Run(stage.transport(RestlessRoom))
    await run.started(stage.watch)
    await run.end()


class BrokenRoom(SandboxRoom):
    """A room that cannot do what it must: `broken` says what."""

    broken = ""

    async def setup(self, setup: Any) -> None:
        if self.broken == "setup":
            raise OSError("no device")
        await super().setup(setup)

    async def register_audio_destination(self, *args: Any, **kwargs: Any) -> None:
        if self.broken == "publish":
            raise TavusRoomSendError("no track today")
        await super().register_audio_destination(*args, **kwargs)

    async def leave(self) -> None:
        await super().leave()
        if self.broken == "leave":
            raise OSError("the network is gone")


class NoSetup(BrokenRoom):
    broken = "setup"


class NoTrack(BrokenRoom):
    broken = "publish"


class NoLeave(BrokenRoom):
    broken = "leave"


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
        while not transport._client.replica_present and time.monotonic() < until:
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


Life = Callable[[Stage], Awaitable[None]]

PLAIN: tuple[Life, ...] = (lives_and_ends, is_cancelled, loses_its_task, stays_alone)
ROUGH: tuple[Life, ...] = (
    speaks,
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
)


async def live(
    life: Life, watch: Watch, ledger_path: Path, set_environment: SetEnvironment
) -> list[str]:
    """Let a bot live, and look at what it left behind; what is wrong with that."""
    async with TavusSandbox(replica=QUICK, max_concurrent=10) as sandbox:
        stage = Stage(sandbox, ledger_path, set_environment, watch)

        async def watched() -> None:
            begin(watch)
            await life(stage)

        complaints: list[str] = []
        task = asyncio.create_task(watched(), name="life")
        try:
            async with asyncio.timeout(15):
                await task
        except Exception as e:
            complaints.append(f"the life itself: {e!r}")
        until = time.monotonic() + 6
        while watch.unfinished() and time.monotonic() < until:
            await asyncio.sleep(0.005)
        complaints += [f"a task is left: {task}" for task in watch.unfinished()]
        complaints += [f"in the room: {bot}" for bot in stage.bots()]
        return complaints + await _debts(stage)


async def _debts(stage: Stage) -> list[str]:
    """What is wrong with the book of the sandbox, and with the ledger."""
    book, complaints = stage.sandbox.conversations, []
    told = " ".join(map(str, stage.errors))
    owed = await _owed(stage)
    gives_up = stage.gives_up or bool(stage.watch.fault and stage.watch.fault.gives_up)
    for conversation in book.values():
        name = conversation.name or "?"
        # What others left is not for this one to tell of; the next one comes across it, too.
        if name.startswith("left with"):
            continue
        if conversation.status == "active":
            if not gives_up:
                complaints.append(f"not ended: {conversation.id}")
            elif conversation.id not in told and name not in told:
                complaints.append(f"not ended, and nobody was told: {conversation.id}")
        elif name in owed and not gives_up:
            complaints.append(f"ended, and owed still: {conversation.id}")
    if owed or stage.active():
        stage.set_environment(stage.sandbox, stage.ledger_path)
        following = TavusTransport(bot_name="Grace")
        await following.create_conversation()
        await following.close()
        complaints += [f"not ended by the next: {id}" for id in stage.active()]
        complaints += [f"owed for good: {name}" for name in await _owed(stage)]
    for conversation in book.values():
        if conversation.shutdown_reason != "end_conversation_endpoint_hit":
            complaints.append(f"it was not we who ended it: {conversation.shutdown_reason}")
    if sorted(stage.ends()) != sorted(book):
        complaints.append(f"not ended once each: {stage.ends()}")
    return complaints


async def _owed(stage: Stage) -> list[str]:
    """The names in the ledger, once a thread that writes has had its time."""
    until = time.monotonic() + 0.2
    while (owed := stage.ledger().entries()) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return [entry.name for entry in owed]
