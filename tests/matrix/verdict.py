"""What must be true after each life."""

import asyncio
import time
from pathlib import Path

from matrix.lives import Life
from matrix.points import Watch, begin
from matrix.stage import QUICK, SetEnvironment, Stage

from pipecat_tavus import TavusTransport
from pipecat_tavus.sandbox import TavusSandbox


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
            async with asyncio.timeout(30):
                await task
        except Exception as e:
            complaints.append(f"the life itself: {e!r}")
        until = time.monotonic() + 15
        while watch.unfinished() and time.monotonic() < until:
            await asyncio.sleep(0.005)
        complaints += [f"a task is left: {task}" for task in watch.unfinished()]
        complaints += [f"in the room: {bot}" for bot in stage.bots()]
        return complaints + await _debts(stage)


async def _debts(stage: Stage) -> list[str]:
    """What is wrong with the book of the sandbox, and with the ledger."""
    book, complaints = stage.sandbox.conversations, []
    told = " ".join(map(str, stage.errors))
    gives_up = stage.gives_up or bool(stage.watch.fault and stage.watch.fault.gives_up)
    owed = await _owed(stage, 0.2 if gives_up else 2.0)
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
        complaints += [f"owed for good: {name}" for name in await _owed(stage, 5.0)]
    for conversation in book.values():
        if conversation.shutdown_reason != "end_conversation_endpoint_hit":
            complaints.append(f"it was not we who ended it: {conversation.shutdown_reason}")
    if sorted(stage.ends()) != sorted(book):
        complaints.append(f"not ended once each: {stage.ends()}")
    return complaints


async def _owed(stage: Stage, patience: float) -> list[str]:
    """The names in the ledger, once a thread that writes has had its time."""
    until = time.monotonic() + patience
    while (owed := stage.ledger().entries()) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return [entry.name for entry in owed]
