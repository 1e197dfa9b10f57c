#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The real native module, and releases of Pipecat that are still to come."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from bots import until
from calls import Call, noise
from pipecat.transports.daily.transport import DailyCallbacks
from pydantic import ValidationError
from pydantic.fields import FieldInfo

HELPERS = Path(__file__).parent

FAILING_JOIN = """
    import asyncio, sys, time
    from loguru import logger
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker, ProcessorUnusablePolicy
    from pipecat.workers.runner import WorkerRunner
    from tavus_server import API_KEY, TavusServer
    from pipecat_tavus import TavusParams, TavusTransport

    async def main():
        async with TavusServer() as tavus:
            # A room of no host: with a network it is refused, without one not found.
            tavus.room_url = lambda index=0: "https://nowhere.invalid/c0001"
            import os
            os.environ["TAVUS_API_URL"] = tavus.url
            transport = TavusTransport(
                "Ada", None, API_KEY, "r1", params=TavusParams(join_timeout=1.0)
            )

            @transport.event_handler("on_error")
            async def on_error(transport, error):
                print("told:", type(error).__name__, error, flush=True)

            worker = PipelineWorker(
                Pipeline([transport.input(), transport.output()]),
                processor_unusable_policy=ProcessorUnusablePolicy.END,
                enable_rtvi=False,
            )
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(worker)
            start = time.monotonic()
            await runner.run()
            print("over:", time.monotonic() - start, flush=True)
            print("open:", len(tavus.open), flush=True)

    logger.remove()
    asyncio.run(main())
    print("loop closed", flush=True)
"""


async def test_the_real_modules_failing_join_is_told_and_hangs_nothing() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(FAILING_JOIN),
        cwd=HELPERS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate()
    lines = dict(line.split(":", 1) for line in out.decode().splitlines() if ":" in line)
    assert lines.get("told", "").strip().startswith("TavusRoomJoinError"), (out, err)
    # 2 s are promised; the machine may be busy.
    assert float(lines["over"]) < 1.0 + 4.0
    assert lines["open"].strip() == "0"
    assert b"loop closed" in out
    assert process.returncode == 0, err


@pytest.fixture
def newer_pipecat() -> Iterator[None]:
    """Pipecat's own model with one more required callback, as its next release may have it."""
    one_more = FieldInfo.from_annotation(Callable[[str, int], Awaitable[None]])
    DailyCallbacks.model_fields["on_something_new"] = one_more
    DailyCallbacks.model_rebuild(force=True)
    with pytest.raises(ValidationError):
        DailyCallbacks.model_validate(
            {name: print for name in DailyCallbacks.model_fields if name != "on_something_new"}
        )
    yield
    del DailyCallbacks.model_fields["on_something_new"]
    DailyCallbacks.model_rebuild(force=True)


@pytest.mark.usefixtures("newer_pipecat")
async def test_a_callback_that_pipecat_adds_breaks_nothing(call: Call) -> None:
    await call.start()
    callbacks = call.transport._client._life.room._client._callbacks
    await callbacks.on_something_new("unknown", 1)
    client = call.room.enter("User")
    await until(lambda: bool(call.of("on_client_connected")))
    await client.say(noise(0.2, 16000))
    await call.say(noise(0.24))
    await call.end()
    assert call.room.stream.pcm == noise(0.24)
    assert not call.errors


async def test_every_callback_has_a_name_for_pipecats_log(call: Call) -> None:
    # Measured: Pipecat 1.14 asks a callback that raised for its `__name__`, and a
    # `functools.partial` has none, of which the task that delivers all events dies.
    await call.start()
    callbacks = call.transport._client._life.room._client._callbacks
    for name in DailyCallbacks.model_fields:
        assert getattr(callbacks, name).__name__
    await call.end()
