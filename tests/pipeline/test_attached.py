"""A conversation that somebody else created: joined and left, ended only where it is ours."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from bots import Bot, tone, until
from pipecat.frames.frames import EndFrame, UserAudioRawFrame
from pipecat.metrics.metrics import MetricsData
from pipecat.pipeline.worker import PipelineParams
from pydantic import SecretStr
from yarl import URL

from pipecat_tavus import (
    Conversation,
    ConversationCreateMetricsData,
    ConversationOptions,
    RoomJoinMetricsData,
    TavusApi,
    TavusConfigError,
    TavusParams,
    TavusRoomJoinError,
    TavusTransport,
)
from pipecat_tavus.conversation import farewell
from pipecat_tavus.conversation.ledger import Ledger

ROOM = "https://tavus.daily.co/c1"
PRIVATE = Conversation(conversation_id="c1", conversation_url=ROOM, meeting_token="SECRET")
PARAMS = TavusParams(audio_out_end_silence_secs=0)


@pytest.fixture
async def theirs(sandbox):
    """Somebody else's: they create conversations, and end at last what is still open."""
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    created = []

    async def create(**options):
        created.append(await api.create_conversation("r1", participant_left_timeout=30, **options))
        return created[-1]

    yield create
    for conversation in created:
        await api.end_conversation(conversation.id)
    await api.close()


def status(sandbox, conversation):
    return sandbox.conversations[conversation.id].status


def ends(sandbox):
    return [r for r in sandbox.requests if r.path.endswith("/end")]


def people(sandbox, conversation):
    """Who is in the room, by kind."""
    room = sandbox.room(conversation.id)
    return [room.kind(id) for id in room.participants]


async def talk(sandbox, bot, conversation):
    """A person speaks and hears the replica."""
    person = await sandbox.join_person(conversation.id)
    await bot.event("on_client_connected")
    await person.say(tone(0.3, 16000), 16000)
    await bot.heard.first(UserAudioRawFrame)
    await bot.say(tone(0.4, 24000), 24000)
    await person.wait_until_replica_speaks(timeout=10)
    await person.leave()


async def test_an_attached_bot_talks_and_leaves_and_does_not_end_it(
    sandbox, theirs, monkeypatch, ledger_path
):
    conversation = await theirs(persona_id="pipecat-stream")
    # Without a key there is nothing but the room.
    monkeypatch.delenv("TAVUS_API_KEY")
    asked = len(sandbox.requests)
    transport = TavusTransport("Ada", conversation_url=conversation.url, params=PARAMS)
    assert transport.conversation.id == conversation.id
    async with Bot(transport, params=PipelineParams(enable_metrics=True)) as bot:
        await bot.event("on_replica_joined")
        await talk(sandbox, bot, conversation)
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert status(sandbox, conversation) == "active"
    assert people(sandbox, conversation) == ["replica"]
    assert sandbox.requests[asked:] == []
    assert not ledger_path.exists()
    assert bot.errors == [] and bot.named("on_conversation_created") == []
    metrics = measured(bot)
    assert any(isinstance(it, RoomJoinMetricsData) for it in metrics)
    assert not any(isinstance(it, ConversationCreateMetricsData) for it in metrics)


def measured(bot) -> list[MetricsData]:
    from pipecat.frames.frames import MetricsFrame

    return [it for frame in bot.spoken.of(MetricsFrame) for it in frame.data]


@pytest.mark.parametrize("way", ["cancel", "close", "end"])
async def test_no_way_out_ends_what_is_somebody_elses(sandbox, theirs, way):
    conversation = await theirs()
    transport = TavusTransport("Ada", conversation=conversation, params=PARAMS)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        if way == "cancel":
            await bot.worker.cancel()
        elif way == "close":
            await transport.close()
            await bot.worker.cancel()
        else:
            await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert status(sandbox, conversation) == "active" and ends(sandbox) == []


async def test_what_is_handed_over_is_ended(sandbox, theirs, ledger_path):
    conversation = await theirs()
    body = conversation.model_dump(mode="json")
    transport = TavusTransport("Ada", conversation=body, own=True, params=PARAMS)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        assert [it.conversation_id for it in entries(sandbox, ledger_path)] == [conversation.id]
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
    assert status(sandbox, conversation) == "ended" and len(ends(sandbox)) == 1
    assert entries(sandbox, ledger_path) == []


def entries(sandbox, path):
    api = TavusApi(sandbox.api_key, None, base_url=sandbox.api_url)
    return Ledger(path, base_url=api.base_url, fingerprint=api.fingerprint).entries()


async def test_what_is_handed_over_is_ended_though_the_room_cannot_be_joined(sandbox, theirs):
    conversation = await theirs()
    sandbox.fail("JOIN", status=403)
    async with Bot(TavusTransport("Ada", conversation=conversation, own=True)) as bot:
        await bot.finish()
    assert any(isinstance(it.exception, TavusRoomJoinError) for it in bot.errors)
    await until(lambda: status(sandbox, conversation) == "ended")


async def test_what_is_handed_over_and_never_joined_is_ended_by_a_close(sandbox, theirs):
    conversation = await theirs()
    transport = TavusTransport("Ada", conversation=conversation, own=True)
    await transport.close()
    await transport.close()
    assert status(sandbox, conversation) == "ended" and len(ends(sandbox)) == 1


@pytest.mark.parametrize("death", ["exit", "exit before it joins", "SIGKILL"])
async def test_what_is_handed_over_is_ended_though_the_process_dies(
    sandbox, theirs, ledger_path, death
):
    conversation = await theirs()
    lines = [
        "import asyncio, os",
        "from pipecat_tavus import TavusTransport",
        f"transport = TavusTransport('Ada', conversation_url={conversation.url!r}, own=True)",
        *(["asyncio.run(transport.create_conversation())"] if "before" not in death else []),
        *(["os.kill(os.getpid(), 9)"] if death == "SIGKILL" else []),
    ]
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", "\n".join(lines)], env=os.environ.copy(), timeout=60
    )
    if death == "SIGKILL":
        assert status(sandbox, conversation) == "active"
        # The next transport of the account, whatever it is for.
        other = TavusTransport("Bob", conversation=await theirs())
        await other.create_conversation()
        await until(lambda: status(sandbox, conversation) == "ended")
        await other.close()
    assert status(sandbox, conversation) == "ended"
    assert entries(sandbox, ledger_path) == []


async def test_what_a_dead_process_handed_over_is_not_ended_under_its_new_owner(
    sandbox, ledger_path
):
    lines = [
        "import asyncio, os",
        "from pipecat_tavus import TavusTransport",
        "transport = TavusTransport('Ada')",
        "print(asyncio.run(transport.create_conversation()).url, flush=True)",
        "os.kill(os.getpid(), 9)",
    ]
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", "\n".join(lines)],
        env=os.environ.copy(),
        capture_output=True,
        timeout=60,
    )
    url = died.stdout.decode().strip()
    transport = TavusTransport("Ada", conversation_url=url, own=True)
    conversation = await transport.create_conversation()
    await transport._client._life._reaping
    assert status(sandbox, conversation) == "active"
    await transport.close()
    assert status(sandbox, conversation) == "ended"
    assert entries(sandbox, ledger_path) == []


@pytest.mark.parametrize("given", ["token", "in the URL", "conversation"])
async def test_a_private_room_is_joined_with_its_token(sandbox, theirs, given):
    conversation = await theirs(require_auth=True)
    transport = {
        "token": lambda: TavusTransport(
            "Ada", conversation_url=conversation.url, meeting_token=conversation.token
        ),
        "in the URL": lambda: TavusTransport("Ada", conversation_url=conversation.join_url),
        "conversation": lambda: TavusTransport("Ada", conversation=conversation),
    }[given]()
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        assert URL(transport.conversation.join_url).query["t"] == conversation.token
        assert transport.conversation.id == conversation.id


async def test_tavus_ends_it_and_the_run_is_over(sandbox, theirs):
    conversation = await theirs()
    async with Bot(TavusTransport("Ada", conversation=conversation)) as bot:
        (replica,) = await bot.event("on_replica_joined")
        room = sandbox.room(conversation.id)
        # Its microphone is being unsubscribed, which a room that closes meanwhile refuses.
        await until(lambda: any(replica["id"] in it for it in room.subscriptions.values()))
        sandbox.end(conversation.id, "end_conversation_endpoint_hit")
        await bot.finish()
    assert len(bot.errors) == 1 and ends(sandbox) == []


def test_its_persona_decides_how_speech_is_delivered(monkeypatch):
    known = Conversation(conversation_id="c", conversation_url=ROOM, persona_id="pipecat0")
    assert TavusTransport("Ada", conversation=known)._client.audio_delivery == "echo"
    assert TavusTransport("Ada", conversation_url=ROOM)._client.audio_delivery == "track"
    for name in ("persona_id", "pal_id"):
        transport = TavusTransport("Ada", conversation_url=ROOM, **{name: "pipecat0"})
        assert transport._client.audio_delivery == "echo"
    for name in ("TAVUS_PERSONA_ID", "TAVUS_PAL_ID"):
        with monkeypatch.context() as environment:
            environment.setenv(name, "pipecat0")
            transport = TavusTransport("Ada", conversation_url=ROOM)
            assert transport._client.audio_delivery == "echo"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"conversation_url": ROOM, "conversation": {"conversation_id": "c"}}, "give one"),
        ({"conversation": {"conversation_id": "c"}}, "no http or https URL"),
        ({"conversation_url": ""}, "no http or https URL"),
        ({"conversation_url": "tavus.daily.co/c1"}, "no http or https URL"),
        ({"conversation_url": "ftp://tavus.daily.co/c1"}, "no http or https URL"),
        ({"conversation_url": "https://["}, "no http or https URL"),
        ({"conversation_url": "https://tavus.daily.co/"}, "no http or https URL"),
        ({"conversation": f"{ROOM}?t=SECRET"}, "a str.*given as conversation_url"),
        ({"conversation": {"conversation_id": "c", "conversation_url": "?t=SECRET"}}, "no http"),
        (
            {"conversation": json.loads(PRIVATE.model_dump_json())},
            "meeting_token is hidden.*handover",
        ),
        ({"conversation": {"conversation_url": ROOM}}, "conversation_id: Field required"),
        ({"meeting_token": "t"}, "needs conversation_url"),
        ({"own": True}, "own=True needs"),
        ({"conversation_url": ROOM, "own": True}, "API key is empty"),
        (
            {"conversation_url": ROOM, "conversation_options": ConversationOptions(test_mode=True)},
            "are for creating",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(monkeypatch, arguments, why):
    monkeypatch.delenv("TAVUS_API_KEY", raising=False)
    with pytest.raises(TavusConfigError, match=why) as refused:
        TavusTransport("Ada", **arguments)
    assert "SECRET" not in str(refused.value)
    assert not farewell._debtors


@pytest.mark.parametrize("url", [ROOM, f"{ROOM}/", f" {ROOM}\n", f"{ROOM}/?t=SECRET", URL(ROOM)])
def test_a_room_is_known_however_its_url_is_written(url):
    conversation = TavusTransport("Ada", conversation_url=url).conversation
    assert (conversation.id, conversation.url) == ("c1", ROOM)
    assert conversation.token == ("SECRET" if "SECRET" in str(url) else None)


@pytest.mark.parametrize("token", ["NEW", SecretStr("NEW")])
def test_a_token_that_is_given_beside_counts_first(token):
    for where in ({"conversation_url": f"{ROOM}?t=OLD"}, {"conversation": PRIVATE}):
        conversation = TavusTransport("Ada", **where, meeting_token=token).conversation
        assert (conversation.url, conversation.token) == (ROOM, "NEW")
    assert PRIVATE.token == "SECRET"


def test_the_token_is_nowhere_to_be_read(monkeypatch):
    secret = "SECRETTOKEN"
    transport = TavusTransport("Ada", conversation_url=f"{ROOM}?t={secret}")
    assert secret not in repr(transport.conversation) + str(transport.conversation)
    with pytest.raises(TavusConfigError) as error:
        TavusTransport("Ada", conversation={"meeting_token": [secret], "conversation_url": ROOM})
    assert secret not in str(error.value)
