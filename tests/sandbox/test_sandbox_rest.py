#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The REST calls, their errors, and faults, over real HTTP."""

import asyncio
import time

import aiohttp
import pytest
from bots import until
from sandbox.bot_kit import sandbox_and_api


async def test_a_conversation_is_created_looked_up_ended_and_deleted():
    async with sandbox_and_api() as (sandbox, api):
        made = await api.create(conversation_name="mine")
        id = made["conversation_id"]
        assert made["conversation_url"] == sandbox.conversations[id].url
        assert made["conversation_url"].startswith("http://127.0.0.1:")
        assert (made["status"], made["conversation_name"]) == ("active", "mine")
        assert "meeting_token" not in made
        assert await api("GET", f"/conversations/{id}") == (200, made)
        assert await api("POST", f"/conversations/{id}/end") == (200, "")
        status, ended = await api("GET", f"/conversations/{id}?verbose=true")
        assert (status, ended["status"]) == (200, "ended")
        assert ended["shutdown_reason"] == "end_conversation_endpoint_hit"
        assert await api("POST", f"/conversations/{id}/end") == (
            400,
            {"error": "Invalid conversation_id"},
        )
        assert (await api("DELETE", f"/conversations/{id}"))[0] == 200
        assert (await api("GET", f"/conversations/{id}"))[0] == 404


async def test_deleting_ends_an_active_conversation():
    async with sandbox_and_api() as (sandbox, api):
        id = (await api.create())["conversation_id"]
        room = sandbox.room(id)
        assert (await api("DELETE", f"/conversations/{id}"))[0] == 200
        assert room.is_closed
        test_room = (await api.create(test_mode=True))["conversation_id"]
        assert (await api("DELETE", f"/conversations/{test_room}"))[0] == 200
        assert not sandbox.conversations


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/conversations/c0"),
        ("POST", "/conversations/c0/end"),
        ("DELETE", "/conversations/c0"),
        ("GET", "/personas/x"),
        ("GET", "/pals/x"),
        ("GET", "/replicas/x"),
        ("GET", "/faces/x"),
        ("GET", "/something/else"),
    ],
)
async def test_what_does_not_exist_is_not_found(method, path):
    async with sandbox_and_api() as (_, api):
        status, answer = await api(method, path)
        assert status == 404
        assert answer["message"]


async def test_no_call_is_answered_without_the_right_key():
    async with sandbox_and_api(api_key="right") as (sandbox, api):
        api.key = "wrong"
        for method, path in (("POST", "/conversations"), ("GET", "/personas/p1")):
            assert await api(method, path) == (401, {"message": "Invalid access token"})
        assert not sandbox.conversations


async def test_personas_and_replicas_are_known_by_both_names():
    async with sandbox_and_api(personas={"mine": "Ada"}) as (_, api):
        assert (await api("GET", "/personas/mine"))[1]["persona_name"] == "Ada"
        pal = (await api("GET", "/pals/pipecat-stream"))[1]
        assert (pal["pal_id"], pal["pal_name"]) == ("pipecat-stream", "Pipecat Stream")
        assert (await api("GET", "/replicas/r1"))[1]["status"] == "completed"
        assert (await api("GET", "/faces/r1"))[1]["face_id"] == "r1"


async def test_a_wrong_body_is_refused_in_tavuss_way():
    async with sandbox_and_api() as (sandbox, api):
        assert (await api("POST", "/conversations", {}))[0] == 400
        async with api.session.post(
            sandbox.api_url + "/conversations", data=b"\xff{", headers={"x-api-key": api.key}
        ) as response:
            assert (response.status, await response.json()) == (400, {"error": "Invalid JSON"})


async def test_conversations_are_listed_ten_at_a_time_by_default():
    async with sandbox_and_api(max_concurrent=20) as (_, api):
        ids = [(await api.create())["conversation_id"] for _ in range(12)][::-1]
        _, first = await api("GET", "/conversations")
        assert [c["conversation_id"] for c in first["data"]] == ids[:10]
        assert first["total_count"] == 12
        _, second = await api("GET", "/conversations?page=2&limit=10")
        assert [c["conversation_id"] for c in second["data"]] == ids[10:]
        await api("POST", f"/conversations/{ids[0]}/end")
        _, ended = await api("GET", "/conversations?status=ended")
        assert [c["conversation_id"] for c in ended["data"]] == ids[:1]
        for query in ("limit=0", "page=-1", "limit=x", "status=over"):
            assert (await api("GET", f"/conversations?{query}"))[0] == 400


async def test_calls_are_recorded_with_their_body_and_answer():
    async with sandbox_and_api() as (sandbox, api):
        before = time.monotonic()
        await api.create(conversation_name="mine")
        await api("GET", "/personas/x?a=b")
        create, persona = sandbox.requests
        assert (create.method, create.path, create.status) == ("POST", "/v2/conversations", 200)
        assert create.body["conversation_name"] == "mine"
        assert before <= create.at <= create.answered_at <= persona.at
        assert (persona.path, persona.status, persona.body) == ("/v2/personas/x", 404, None)
        assert persona.query == {"a": "b"}


async def test_an_ordered_status_and_body_are_answered_as_often_as_ordered():
    async with sandbox_and_api() as (sandbox, api):
        body = {"message": "slow down"}
        sandbox.fail(
            "POST /conversations", status=429, body=body, headers={"Retry-After": "7"}, times=2
        )
        for _ in range(2):
            assert await api("POST", "/conversations", {"persona_id": "p1"}) == (429, body)
        assert not sandbox.conversations
        assert (await api("POST", "/conversations", {"persona_id": "p1"}))[0] == 200
        sandbox.fail("GET /conversations/{id}", status=200, body="<html>")
        assert await api("GET", "/conversations/x") == (200, "<html>")
        sandbox.fail("GET /personas/{id}")
        assert (await api("GET", "/personas/p1"))[0] == 500
        assert (await api("GET", "/personas/p1"))[0] == 200


async def test_an_ordered_header_comes_with_the_answer():
    async with sandbox_and_api() as (sandbox, api):
        sandbox.fail("GET /conversations", status=429, headers={"Retry-After": "7"})
        async with api.session.get(sandbox.api_url + "/conversations") as response:
            assert response.headers["Retry-After"] == "7"


async def test_a_reset_cuts_the_connection_after_the_work_was_done():
    async with sandbox_and_api() as (sandbox, api):
        sandbox.fail("POST /conversations", reset=True)
        with pytest.raises(aiohttp.ClientError):
            await api("POST", "/conversations", {"persona_id": "p1"})
        assert [c.status for c in sandbox.conversations.values()] == ["active"]


async def test_a_hanging_call_is_never_answered_and_its_work_done_only_on_order():
    async with sandbox_and_api() as (sandbox, api):
        sandbox.fail("POST /conversations", hang=True)
        sandbox.fail("POST /conversations", hang=True, work=True)
        for made in (0, 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await api("POST", "/conversations", {"persona_id": "p1"})
            assert len(sandbox.conversations) == made
        assert [request.status for request in sandbox.requests] == [None, None]


async def test_a_delayed_call_works_but_late():
    async with sandbox_and_api() as (sandbox, api):
        sandbox.fail("GET /personas/{id}", delay=0.3)
        began = time.monotonic()
        assert (await api("GET", "/personas/p1"))[0] == 200
        assert time.monotonic() - began >= 0.3


async def test_leaving_the_sandbox_does_not_wait_for_hanging_calls():
    async with sandbox_and_api() as (sandbox, api):
        sandbox.fail("GET /conversations", hang=True)
        call = asyncio.create_task(api("GET", "/conversations"))
        await until(lambda: sandbox.requests)
        began = time.monotonic()
        await sandbox.__aexit__()
        assert time.monotonic() - began < 5
        with pytest.raises(aiohttp.ClientError):
            await call
