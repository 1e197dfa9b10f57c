"""A short run of the chaos and of the soak; the long ones are started by hand."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(script: str, *arguments: str) -> str:
    """Run one of the long programs for a short while; what it prints."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(180)
def test_no_conversation_is_lost_in_a_storm_of_faults():
    told = run("chaos.py", "--runs", "200", "--processes", "16", "--hosts", "8", "--seed", "7")
    assert re.search(r"^never ended within [\d.]+ s of the next start: 0$", told, re.MULTILINE)
    lives, opened = (int(re.search(p, told)[1]) for p in (r"lives: (\d+)", r"ions: (\d+) opened"))
    assert lives >= 200
    assert opened > 100
    killed = re.search(r"ended by: .*SIGKILL (\d+)", told)
    assert killed and int(killed[1]) >= 2, told
    # The next start had something to do, and none of it is left to do.
    assert " 0 conversations" in told


@pytest.mark.parametrize("mode", ["pipeline", "client"])
@pytest.mark.timeout(180)
def test_nothing_grows_from_one_conversation_to_the_next(mode):
    told = run("soak.py", "--conversations", "30", "--mode", mode)
    assert f"{mode}: 30 conversations" in told


BOT = """
import asyncio
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner
from pipecat_tavus import TavusTransport

async def main():
    transport = TavusTransport(bot_name="Ada")

    @transport.event_handler("on_connected")
    async def on_connected(transport, data):
        print("connected", flush=True)

    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]), enable_rtvi=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()

asyncio.run(main())
"""


async def test_sigterm_ends_the_conversation_and_the_process_as_it_would_without_us(
    monkeypatch, tmp_path
):
    """Measured: a SystemExit within the loop leaves Pipecat's worker waiting forever."""
    import asyncio

    from pipecat_tavus.sandbox import TavusSandbox

    monkeypatch.setenv("TAVUS_LEDGER", str(tmp_path / "ledger.sqlite3"))
    monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
    async with TavusSandbox() as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BOT),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert await bot.stdout.readline() == b"connected\n"
            bot.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await bot.wait() == -signal.SIGTERM
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()
        [conversation] = sandbox.conversations.values()
        assert conversation.shutdown_reason == "end_conversation_endpoint_hit"
