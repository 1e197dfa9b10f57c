#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the sandbox does by itself, and that nothing of it is left."""

import asyncio
import gc
import socket
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from bots import until
from sandbox.bot_kit import Api, interaction, joined, noise, sandbox_and_api

from pipecat_tavus import TavusRoomJoinError, TranscriptionReadyWebhook, parse_webhook
from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox
from pipecat_tavus.sandbox.store import RefusedCall

NOBODY = ReplicaSettings(join_delay=3600)
QUICK = ReplicaSettings(join_delay=0.0, rendering_delay=0.1)


async def test_a_conversation_that_nobody_joins_ends_by_itself():
    async with sandbox_and_api(max_concurrent=1) as (sandbox, api):
        made = await api.create(properties={"participant_absent_timeout": 1})
        conversation = sandbox.conversations[made["conversation_id"]]
        assert await sandbox.room(conversation.id).closed() == conversation.shutdown_reason
        assert conversation.status == "ended"
        assert conversation.shutdown_reason == "participant_absent_timeout reached"
        assert conversation.ended_at - conversation.created_at >= 1.0
        await api.create()


async def test_a_conversation_that_everybody_has_left_ends_by_itself():
    async with sandbox_and_api(reaction_time=0.2) as (sandbox, api):
        made = await api.create(properties={"participant_left_timeout": 1})
        conversation = sandbox.conversations[made["conversation_id"]]
        async with joined(made["conversation_url"]):
            person = await sandbox.join_person(conversation.id)
            await person.leave()
        left_at = time.monotonic()
        await sandbox.room(conversation.id).closed()
        assert conversation.shutdown_reason == "participant_left_timeout reached"
        assert 1.0 <= conversation.ended_at - left_at < 10


async def test_a_bot_that_leaves_has_time_to_end_the_conversation_itself():
    async with sandbox_and_api() as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]):
            pass
        status, _ = await api("POST", f"/conversations/{made['conversation_id']}/end")
        conversation = sandbox.conversations[made["conversation_id"]]
        assert (status, conversation.shutdown_reason) == (200, "end_conversation_endpoint_hit")


async def test_a_conversation_ends_when_its_time_is_over():
    async with sandbox_and_api() as (sandbox, api):
        made = await api.create(properties={"max_call_duration": 1})
        async with joined(made["conversation_url"]) as bot:
            await until(lambda: "room_closed" in bot.listener.whats())
            assert bot.listener.told[-1][1] == "max_call_duration reached"
            conversation = sandbox.conversations[made["conversation_id"]]
            assert conversation.shutdown_reason == "max_call_duration reached"


async def test_test_mode_opens_a_room_that_no_replica_joins():
    async with sandbox_and_api(max_concurrent=1, replica=QUICK) as (sandbox, api):
        made = await api.create(test_mode=True)
        assert made["status"] == "ended"
        await api.create()
        async with joined(made["conversation_url"]) as bot:
            await asyncio.sleep(0.3)
            assert bot.listener.whats() == ["joined"]
            with pytest.raises(KeyError):
                sandbox.replica(made["conversation_id"])


@asynccontextmanager
async def listening(got):
    """Whoever takes webhooks, and fails at the first; gives the URL."""

    async def take(request):
        got.append(await request.json())
        return web.Response(status=500 if len(got) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def test_webhooks_are_sent_to_the_callback_url():
    got = []
    async with listening(got) as url:
        async with sandbox_and_api(replica=QUICK) as (sandbox, api):
            made = await api.create(callback_url=url)
            await until(lambda: len(got) == 1)
            await api("POST", f"/conversations/{made['conversation_id']}/end")
            await until(lambda: len(got) == 2)
            unreachable = await api.create(callback_url="http://127.0.0.1:9/hook")
            sandbox.end(unreachable["conversation_id"], "x")
            _, verbose = await api("GET", f"/conversations/{made['conversation_id']}?verbose=true")
            assert verbose["events"] == got
        assert [hook["event_type"] for hook in got] == ["system.replica_joined", "system.shutdown"]
        assert got[1]["properties"]["shutdown_reason"] == "end_conversation_endpoint_hit"
        assert {hook["conversation_id"] for hook in got} == {made["conversation_id"]}
        assert {hook["message_type"] for hook in got} == {"system"}
        assert {hook["webhook_url"] for hook in got} == {url}


async def test_the_transcript_of_what_was_said_comes_behind_the_end():
    got = []
    async with listening(got) as url:
        settings = ReplicaSettings(join_delay=0.0, rendering_delay=0.1, word_secs=0.2)
        async with sandbox_and_api(replica=settings) as (sandbox, api):
            id = (await api.create(persona_id="p1", callback_url=url))["conversation_id"]
            person = await sandbox.join_person(id)
            await until(lambda: got)
            await person.send_message(interaction(id, "conversation.respond", {"text": "Good day"}))
            await person.wait_until_replica_speaks()
            await asyncio.sleep(0.5)
            sandbox.end(id, "x")
            await until(lambda: len(got) == 3)
    assert [hook["event_type"] for hook in got[1:]] == [
        "system.shutdown",
        "application.transcription_ready",
    ]
    assert got[2]["message_type"] == "application"
    user, replica = got[2]["properties"]["transcript"]
    assert user == {"role": "user", "content": "Good day"}
    assert replica["role"] == "assistant"
    # As far as it came before the end.
    assert replica["content"] and "You said: Good day".startswith(replica["content"])
    assert isinstance(parse_webhook(got[2]), TranscriptionReadyWebhook)


async def test_tavus_can_end_a_conversation_only_once():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        id = (await api.create())["conversation_id"]
        sandbox.end(id, "internal error occurred at step 3")
        assert sandbox.conversations[id].shutdown_reason == "internal error occurred at step 3"
        with pytest.raises(RefusedCall):
            sandbox.end(id, "again")
        sandbox.close_room(id)
        assert await sandbox.room(id).closed() == "internal error occurred at step 3"


async def test_whoever_wants_is_told_of_new_conversations():
    told = []

    async def on_conversation(conversation):
        told.append(conversation.id)
        await asyncio.Event().wait()

    async with sandbox_and_api(on_conversation=on_conversation, replica=NOBODY) as (_, api):
        made = await api.create()
        await until(lambda: told == [made["conversation_id"]])
        assert [t for t in asyncio.all_tasks() if "on_conversation" in repr(t)]
    assert not [t for t in asyncio.all_tasks() if "on_conversation" in repr(t)]


async def test_it_listens_on_loopback_only():
    async with TavusSandbox() as sandbox:
        assert sandbox.api_url.startswith("http://127.0.0.1:")
        port = int(sandbox.api_url.split(":")[2].split("/")[0])
        others = {
            info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)
        }
        for address in others - {"127.0.0.1"}:
            with socket.socket() as attempt:
                attempt.settimeout(1)
                assert address.startswith("127.") or attempt.connect_ex((address, port)) != 0


@pytest.mark.parametrize(
    ("host", "base"), [("0.0.0.0", "http://127.0.0.1:"), ("localhost", "http://localhost:")]
)
async def test_another_address_is_listened_on_when_asked_for(host, base):
    async with sandbox_and_api(host=host, replica=NOBODY) as (sandbox, api):
        assert sandbox.api_url.startswith(base)
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            assert bot.listener.whats() == ["joined"]


async def test_a_browser_is_told_what_a_room_is():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        made = await api.create()
        async with api.session.get(made["conversation_url"]) as response:
            assert response.status == 200
            assert "sandbox" in await response.text()


async def test_a_bot_that_speaks_no_protocol_is_put_out():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        url = made["conversation_url"]
        for first in (b"123", "nonsense", '{"type": "join", "version": 0}', '{"type": "send"}'):
            async with api.session.ws_connect(url) as ws:
                await (ws.send_str(first) if isinstance(first, str) else ws.send_bytes(first))
                assert (await ws.receive_json())["type"] == "refused"
                assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        join = {"type": "join", "version": 1, "name": "x", "token": None}
        for later in ("nonsense", b"123"):
            async with api.session.ws_connect(url) as ws:
                await ws.send_json(join)
                assert (await ws.receive_json())["type"] == "joined"
                await (ws.send_str(later) if isinstance(later, str) else ws.send_bytes(later))
                assert (await ws.receive_json())["type"] == "closed"
        async with api.session.ws_connect(url) as ws:
            await ws.send_json(join)
            await ws.receive_json()
            for request in (
                {"type": "unheard"},
                {"type": "publish", "track": -1, "name": "x"},
                {"type": "publish", "name": "x"},
                {"type": "send", "message": "x" * 70_000},
                {"type": "send", "message": "x", "to": ["y"]},
            ):
                await ws.send_json({"id": 7, **request})
                answer = await ws.receive_json()
                assert (answer["type"], answer["id"]) == ("ack", 7)
                assert answer["error"]
        await until(lambda: not sandbox.room(made["conversation_id"]).participants)


async def test_a_bot_that_does_not_read_is_put_out():
    async with sandbox_and_api(replica=NOBODY) as (sandbox, api):
        made = await api.create()
        person = await sandbox.join_person(made["conversation_id"])
        room = sandbox.room(made["conversation_id"])
        async with api.session.ws_connect(made["conversation_url"]) as ws:
            await ws.send_json({"type": "join", "version": 1, "name": "x", "token": None})
            await until(lambda: len(room.participants) == 2)
            for n in range(100_000):
                if len(room.participants) == 1:
                    break
                await person.send_message("x" * 4000)
                if n % 100 == 0:
                    await asyncio.sleep(0.001)
            assert set(room.participants) == {person.id}


async def test_a_port_in_use_is_an_error_and_leaves_nothing():
    async with TavusSandbox() as sandbox:
        port = int(sandbox.api_url.split(":")[2].split("/")[0])
        with pytest.raises(OSError):
            async with TavusSandbox(port=port):
                pass


async def test_a_callback_of_the_user_that_fails_does_no_harm():
    async def on_conversation(conversation):
        raise RuntimeError("mine")

    async with sandbox_and_api(on_conversation=on_conversation, replica=QUICK) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()


async def test_a_conversation_that_ends_before_the_replica_comes_leaves_no_task():
    async with sandbox_and_api(replica=NOBODY) as (_, api):
        tasks = asyncio.all_tasks()
        made = await api.create()
        assert len(asyncio.all_tasks()) > len(tasks)
        await api("POST", f"/conversations/{made['conversation_id']}/end")
        await until(lambda: not any("Replica" in repr(t) for t in asyncio.all_tasks() - tasks))


async def test_nothing_is_left_when_the_sandbox_ends_in_the_middle_of_everything():
    tasks_before = asyncio.all_tasks()
    sandbox = TavusSandbox(replica=QUICK)
    async with sandbox, aiohttp.ClientSession() as session:
        api = Api(sandbox, session)
        made = await api.create(callback_url=sandbox.api_url + "/hook")
        port = int(sandbox.api_url.split(":")[2].split("/")[0])
        sandbox.fail("JOIN", hang=True)
        hanging = await session.ws_connect(made["conversation_url"])
        await hanging.send_json({"type": "join", "version": 1, "name": "x", "token": None})
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.hear(person.id)
            await bot.room.register_audio_destination("stream")
            speaking = asyncio.create_task(bot.speak(noise(20)))
            saying = asyncio.create_task(person.say(noise(20, rate=16000), 16000))
            await until(lambda: person.replica_is_speaking and bot.heard)
            began = time.monotonic()
            await sandbox.__aexit__()
            assert time.monotonic() - began < 5
            await until(lambda: "room_closed" in bot.listener.whats())
            assert not await speaking
            await asyncio.wait([saying])
            assert saying.exception()
        await hanging.close()
    await until(lambda: asyncio.all_tasks() <= tasks_before)
    with socket.socket() as attempt:
        assert attempt.connect_ex(("127.0.0.1", port)) != 0
    loop = asyncio.get_running_loop()
    assert [h for h in scheduled(loop) if not h.cancelled()] == []
    gc.collect()


def scheduled(loop):
    """The timers of the loop, but for those of the test's own tools."""
    return [
        handle
        for handle in getattr(loop, "_scheduled", [])
        if "pipecat_tavus" in repr(handle) or "aiohttp" in repr(handle)
    ]


async def test_a_private_rooms_url_lets_somebody_in_with_its_token_only():
    async with TavusSandbox() as sandbox:
        conversation = sandbox.create({"replica_id": "r1", "require_auth": True})
        for url in (conversation.url, f"{conversation.url}?t=wrong"):
            with pytest.raises(TavusRoomJoinError, match="token"):
                await sandbox.join_person(url)
        person = await sandbox.join_person(f"{conversation.url}?t={conversation.token}")
        assert sandbox.room(conversation.id).kind(person.id) == "person"
