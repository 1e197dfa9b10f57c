"""Bots that a runner starts: Pipecat's development runner, Pipecat Cloud, and our own starter."""

import asyncio
import json
import os
import signal
import socket
import sys
from types import SimpleNamespace

import aiohttp
import pytest
from bots import Bot, until
from loguru import logger
from pipecat.frames.frames import EndFrame
from pipecat.runner.types import DailyRunnerArguments, RunnerArguments

from pipecat_tavus import (
    ConversationOptions,
    TavusApi,
    TavusAuthenticationError,
    TavusConfigError,
    TavusError,
    TavusParams,
    TavusTransport,
)
from pipecat_tavus.runner import TavusStarter, create_transport, handover, start_answer

PARAMS = TavusParams(audio_out_end_silence_secs=0)


@pytest.fixture
async def created(sandbox):
    """A conversation that a server has created, and hands over."""
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    conversation = await api.create_conversation(
        "r1", persona_id="pipecat0", require_auth=True, participant_left_timeout=30
    )
    yield conversation
    await api.end_conversation(conversation.id)
    await api.close()


def status(sandbox, id):
    return sandbox.conversations[id].status


@pytest.mark.parametrize("own", [True, False])
async def test_a_bot_joins_the_conversation_in_its_body(sandbox, created, own):
    # Through JSON, as from one host to another; and as Pipecat Cloud's own arguments.
    body = json.loads(json.dumps(handover(created, own=own)))
    arguments = SimpleNamespace(session_id="s", body=body)
    transport = create_transport(
        arguments, "Ada", params=PARAMS, conversation_options=ConversationOptions(audio_only=True)
    )
    async with Bot(transport) as bot:
        await bot.event("on_replica_joined")
        assert transport.conversation.id == created.id
        assert transport.conversation.token == created.token
        assert transport._client.audio_delivery == "echo"
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert status(sandbox, created.id) == ("ended" if own else "active")
    assert len(sandbox.conversations) == 1


@pytest.mark.parametrize("body", [None, {}, {"name": "Ann"}, "text", [1]])
async def test_a_bot_without_one_creates_it(sandbox, body):
    arguments = DailyRunnerArguments(room_url="https://x.daily.co/r", body=body)
    transport = create_transport(
        arguments, "Ada", conversation_options=ConversationOptions(audio_only=True)
    )
    conversation = await transport.create_conversation()
    assert sandbox.conversations[conversation.id].body["audio_only"] is True
    await transport.close()


def test_a_bot_may_be_started_with_no_body_at_all():
    # As a WebSocket session on Pipecat Cloud.
    transport = create_transport(SimpleNamespace(session_id="s", websocket=None), api_key="k")
    assert transport.conversation is None


@pytest.mark.parametrize("handed", [True, False])
def test_a_daily_room_that_the_runner_made_for_nothing_is_told(created, handed):
    warnings = []
    sink = logger.add(warnings.append, level="WARNING", format="{message}")
    room = DailyRunnerArguments(room_url="https://x.daily.co/r", body=handover(created, own=False))
    if not handed:
        room.body = None
    create_transport(room, api_key="k")
    create_transport(RunnerArguments(body=room.body), api_key="k")
    logger.remove(sink)
    assert len(warnings) == 1 and "Daily room" in warnings[0]


def test_bots_may_log_what_they_are_started_with(created):
    # In the URL as well, where it came with it.
    visited = TavusTransport("Ada", conversation_url=created.join_url, api_key="k").conversation
    for conversation in (created, visited):
        arguments = RunnerArguments(body=handover(conversation))
        assert created.id in repr(arguments) and created.token not in repr(arguments)
        assert created.token in json.dumps(arguments.body)


@pytest.mark.parametrize("given", ["c1", [], {}, {"conversation_id": "c1"}])
def test_what_is_no_conversation_is_refused(given):
    with pytest.raises(TavusConfigError):
        create_transport(RunnerArguments(body={"tavus": given}))


def test_only_the_server_hands_an_end_over():
    given = {"conversation_id": "c", "conversation_url": "https://x.daily.co/c", "own": "yes"}
    transport = create_transport(RunnerArguments(body={"tavus": given}), api_key="k")
    assert not transport._client._life._openings[0].owes


async def test_the_answer_to_start_is_what_clients_join_by(created):
    assert start_answer(created, "s1") == {
        "dailyRoom": created.url,
        "dailyToken": created.token,
        "sessionId": "s1",
    }
    # Pipecat's Daily transport passes a key on that it does not know as null.
    public = created.model_copy(update={"meeting_token": None})
    assert start_answer(public) == {"dailyRoom": created.url}


class Starter(TavusStarter):
    """A starter of bots that wait to be told what to do."""

    def __init__(self, ending="return", **options):
        super().__init__(self.bot, **options)
        self.ending = ending
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.arguments = []

    async def bot(self, runner_args):
        self.arguments.append(runner_args)
        if self.ending == "fail at once":
            raise RuntimeError("the bot is broken")
        if self.ending == "never join":
            self.begun.set()
            await self.go.wait()
            return
        async with Bot(create_transport(runner_args, "Ada", params=PARAMS)) as bot:
            await bot.event("on_connected")
            self.begun.set()
            await self.go.wait()
            if self.ending == "fail":
                raise RuntimeError("the bot broke down")


@pytest.mark.parametrize("ending", ["return", "fail", "fail at once", "never join"])
async def test_a_started_conversation_is_ended_with_its_bot(sandbox, ending):
    starter = Starter(ending, conversation_options=ConversationOptions(require_auth=True))
    answer = await starter.start({"name": "Ann", "tavus": "forged"})
    (conversation,) = sandbox.conversations.values()
    assert answer["dailyRoom"] == conversation.url and answer["dailyToken"] == conversation.token
    if ending != "fail at once":
        await asyncio.wait_for(starter.begun.wait(), 20)
        assert conversation.status == "active"
        starter.go.set()
    await until(lambda: conversation.status == "ended" and not starter._sessions)
    assert starter.arguments[0].body["name"] == "Ann"
    assert starter.arguments[0].session_id == answer["sessionId"]
    assert len([r for r in sandbox.requests if r.path.endswith("/end")]) == 1


@pytest.mark.parametrize("when", ["at once", "in the room"])
async def test_a_starter_that_closes_ends_all_of_its_conversations(sandbox, when):
    starter = Starter()
    await asyncio.gather(starter.start(), starter.start())
    if when == "in the room":
        await until(lambda: len(starter.arguments) == 2)
    await starter.close()
    assert [it.status for it in sandbox.conversations.values()] == ["ended"] * 2


@pytest.mark.parametrize("body", [[1], "text", 7])
async def test_a_body_that_is_no_object_is_refused_and_nothing_created(sandbox, body):
    with pytest.raises(TavusConfigError, match="no object"):
        await Starter().start(body)
    assert not sandbox.requests


async def test_a_starter_that_closes_while_it_starts_starts_no_bot_and_leaves_nothing(sandbox):
    sandbox.fail("POST /conversations", delay=0.3)
    starter = Starter("never join")
    asking = asyncio.create_task(starter.start())
    await until(lambda: sandbox.requests)
    await starter.close()
    assert [it.status for it in sandbox.conversations.values()] == ["ended"]
    with pytest.raises(TavusError, match="closed"):
        await asking
    assert starter.arguments == [] and not starter._sessions


async def test_what_tavus_refuses_is_told_to_who_asked(sandbox):
    with pytest.raises(TavusAuthenticationError):
        await Starter(api_key="wrong").start()


async def test_a_request_that_is_given_up_leaves_nothing_open(sandbox):
    sandbox.fail("POST /conversations", delay=0.3)
    asking = asyncio.create_task(Starter().start())
    await until(lambda: sandbox.requests)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: [it.status for it in sandbox.conversations.values()] == ["ended"])


BOT = """
import asyncio
from pipecat.runner.run import app, main
from pipecat.runner.types import RunnerArguments
from bots import Bot
from pipecat_tavus import ConversationOptions
from pipecat_tavus import background
from pipecat_tavus.runner import TavusStarter, create_transport

async def bot(runner_args: RunnerArguments):
    async with Bot(create_transport(runner_args, "Ada")) as bot:
        await bot.event("on_client_disconnected", timeout=60)

starter = TavusStarter(bot, conversation_options=ConversationOptions(require_auth=True))

@app.post("/tavus/start")
async def start():
    return await starter.start()

main()
"""


@pytest.mark.parametrize("end", ["the person leaves", "SIGINT", "SIGTERM"])
async def test_a_bot_runs_under_pipecats_development_runner(sandbox, created, tmp_path, end):
    (tmp_path / "bot.py").write_text(BOT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "bot.py", "-t", "daily", "--host", "127.0.0.1", "--port", str(port)),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            # The runner's own /start, as Pipecat Cloud's: with the conversation in the body.
            await started(http, "/start", {"transport": "daily", "body": handover(created)})
            ours = await started(http, "/tavus/start", {})
            assert ours["dailyToken"]
        ids = list(sandbox.conversations)
        assert len(ids) == 2 and ours["dailyRoom"] == sandbox.conversations[ids[1]].url
        for id in ids:
            await until(lambda id=id: sandbox.room(id).ids("bot"))
        if end.startswith("SIG"):
            process.send_signal(signal.Signals[end])
        else:
            for id in ids:
                person = await sandbox.join_person(id)
                await until(lambda id=id, it=person: heard(sandbox.room(id), it.id))
                await person.leave()
        await until(lambda: all(it.status == "ended" for it in sandbox.conversations.values()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def heard(room, participant_id):
    """Whether somebody receives a participant, since it was captured."""
    return any(participant_id in it for it in room.subscriptions.values())


async def started(http, path, body):
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.post(path, json=body) as response:
                    assert response.status == 200, await response.text()
                    return await response.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)
