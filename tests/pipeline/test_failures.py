"""Failures: told with Tavus's words, at once, and the conversation is ended."""

import asyncio
import time

import pytest
from bots import Bot, tone, until
from loguru import logger
from pipecat.frames.frames import EndFrame, OutputTransportMessageFrame
from pipecat.pipeline.worker import ProcessorUnusablePolicy
from pipecat.utils.errors import ErrorCategory

from pipecat_tavus import (
    TavusApiError,
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusError,
    TavusParams,
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusRoomSendError,
    TavusServerError,
    TavusTimeoutError,
    TavusTransport,
)

END, CANCEL, CONTINUE = (
    ProcessorUnusablePolicy.END,
    ProcessorUnusablePolicy.CANCEL,
    ProcessorUnusablePolicy.CONTINUE,
)


PROMPTLY = 4.0
"""A run is over within 2 s of a failure, with room for a machine that is busy."""


def active(sandbox):
    return [c.id for c in sandbox.conversations.values() if c.status == "active"]


async def settle(sandbox, seconds=PROMPTLY):
    """Wait until no conversation is active; whether that came about."""
    until = time.monotonic() + seconds
    while active(sandbox) and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return not active(sandbox)


@pytest.mark.parametrize("policy", [END, CANCEL])
@pytest.mark.parametrize(
    ("status", "body", "error", "category", "words"),
    [
        (
            401,
            {"message": "Invalid access token"},
            TavusAuthenticationError,
            ErrorCategory.AUTHENTICATION,
            "401 Invalid access token",
        ),
        (
            400,
            {"message": "User has reached maximum concurrent conversations"},
            TavusConcurrencyLimitError,
            ErrorCategory.RATE_LIMIT,
            "400 User has reached maximum concurrent conversations",
        ),
        (500, {"error": "kaput"}, TavusServerError, ErrorCategory.SERVER, "500 kaput"),
    ],
)
async def test_a_create_that_fails_is_told_and_the_run_ends(
    sandbox, transport, policy, status, body, error, category, words
):
    sandbox.fail("POST /conversations", status=status, body=body)
    async with Bot(transport, policy=policy) as bot:
        assert await bot.finish() < PROMPTLY
    [(told,)] = bot.named("on_error")
    assert type(told) is error
    assert words in str(told)
    assert {type(f.exception) for f in bot.errors} == {error}
    assert all(words in f.error and f.category is category for f in bot.errors)


async def test_a_create_that_hangs_has_our_own_limit(sandbox):
    sandbox.fail("POST /conversations", hang=True)
    transport = TavusTransport(bot_name="Ada", params=TavusParams(request_timeout=0.4))
    async with Bot(transport) as bot:
        assert await bot.finish() < 5 + PROMPTLY / 2, (
            "its limit, and a look for what it may have opened"
        )
    [(told,)] = bot.named("on_error")
    assert isinstance(told, TavusTimeoutError)
    assert "no answer within 0.4 s" in bot.errors[0].error


@pytest.mark.parametrize("policy", [END, CANCEL])
async def test_a_join_that_fails_is_told_and_the_conversation_ended_at_once(
    sandbox, transport, policy
):
    sandbox.fail("JOIN", status=403, body="The room is full")
    async with Bot(transport, policy=policy) as bot:
        (told,) = await bot.event("on_error")
        assert isinstance(told, TavusRoomJoinError)
        assert "The room is full" in str(told)
        assert await settle(sandbox, 1.5), "the conversation is ended at once"
        assert await bot.finish() < PROMPTLY
    assert "The room is full" in bot.errors[0].error


async def test_a_join_that_hangs_has_our_own_limit(sandbox):
    sandbox.fail("JOIN", hang=True)
    transport = TavusTransport(bot_name="Ada", params=TavusParams(join_timeout=0.4))
    async with Bot(transport) as bot:
        assert await bot.finish() < PROMPTLY + 0.4
    [(told,)] = bot.named("on_error")
    assert isinstance(told, TavusRoomJoinError)
    assert "0.4 s" in str(told)


async def test_a_worker_that_goes_on_is_told_all_the_same(sandbox, transport):
    sandbox.fail("JOIN", status=403, body="no")
    async with Bot(transport, policy=CONTINUE) as bot:
        await bot.event("on_error")
        assert await settle(sandbox, 1.5)
        await bot.started()
        await bot.worker.queue_frame(EndFrame())
        assert await bot.finish() < PROMPTLY + 2


@pytest.mark.ended_by_tavus
@pytest.mark.parametrize("policy", [END, CANCEL])
async def test_a_room_that_closes_is_told_once_and_the_run_ends(sandbox, transport, policy):
    async with Bot(transport, policy=policy) as bot:
        await bot.event("on_connected")
        await bot.started()
        await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        await bot.say(tone(5, 24000), 24000)
        await asyncio.sleep(0.3)
        sandbox.close_room(transport.conversation.id, "daily_room_has_been_deleted")
        assert await bot.finish() < PROMPTLY
    [(told,)] = bot.named("on_error")
    assert isinstance(told, TavusRoomClosedError)
    assert "daily_room_has_been_deleted" in str(told)
    [error] = bot.errors
    assert isinstance(error.exception, TavusRoomClosedError)
    assert len(bot.named("on_client_disconnected")) == 1


async def test_a_send_that_fails_is_told_once_per_outage(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.started()
        message = OutputTransportMessageFrame(message={"hello": 1})
        sandbox.fail("SEND", status=500, body="no sending now", times=3)
        for _ in range(3):
            await bot.worker.queue_frame(message)
        await bot.event("on_error")
        await until(lambda: bot.errors)
        await asyncio.sleep(0.3)
        [(told,)] = bot.named("on_error")
        assert isinstance(told, TavusRoomSendError)
        assert "no sending now" in str(told)
        assert [type(f.exception) for f in bot.errors] == [TavusRoomSendError]
        await bot.worker.queue_frame(message)
        room = sandbox.room(transport.conversation.id)
        await until(lambda: {"hello": 1} in [m.message for m in room.messages])
        # Until the bot knows of it as well.
        await asyncio.sleep(0.2)
        sandbox.fail("SEND", status=500, body="and again")
        await bot.worker.queue_frame(message)
        await bot.event("on_error", count=2)


async def test_a_message_that_nobody_can_send_any_more_is_told(sandbox, transport):
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await transport.close()
        with pytest.raises(TavusError, match="any more"):
            await transport.update_subscriptions({})


async def test_a_persona_look_up_that_fails_costs_nothing(sandbox, transport):
    sandbox.fail("GET /personas/{id}", status=404, body={"error": "no such persona"})
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected")
        await bot.event("on_replica_joined")
        assert bot.named("on_error") == []


async def test_a_persona_look_up_that_hangs_holds_nobody_up(sandbox, transport):
    sandbox.fail("GET /personas/{id}", hang=True)
    async with Bot(transport) as bot:
        await bot.event("on_connected", timeout=PROMPTLY)
        person = await sandbox.join_person(transport.conversation.id)
        await bot.event("on_client_connected", timeout=PROMPTLY)
        await person.leave()
        await bot.event("on_client_disconnected", timeout=PROMPTLY)
        await bot.worker.cancel()
        assert await bot.finish() < PROMPTLY + 0.4


@pytest.mark.parametrize("how", ["worker", "task"])
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.35, 0.5])
async def test_a_cancellation_while_creating_or_joining_leaves_nothing_open(
    sandbox, transport, how, moment
):
    sandbox.fail("POST /conversations", delay=0.3)
    bot = Bot(transport)
    async with bot:
        await asyncio.sleep(moment)
        if how == "worker":
            await bot.worker.cancel()
            await bot.finish()
        else:
            bot.task.cancel()
            await asyncio.wait([bot.task], timeout=5)
            assert bot.task.done()
        assert await settle(sandbox)
    await until(lambda: not [t for t in asyncio.all_tasks() if "tavus::" in t.get_name()])


async def test_a_cancelled_create_conversation_is_ended(sandbox, transport):
    sandbox.fail("POST /conversations", delay=0.3)
    creating = asyncio.create_task(transport.create_conversation())
    await asyncio.sleep(0.1)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await transport.close()
    assert len(sandbox.conversations) == 1
    assert active(sandbox) == []


async def test_a_create_that_failed_can_be_tried_again(sandbox, transport):
    sandbox.fail("POST /conversations", status=402, body={"message": "no credits"})
    with pytest.raises(TavusApiError, match="402 no credits"):
        await transport.create_conversation()
    await transport.create_conversation()
    await transport.close()


async def test_an_end_that_fails_for_a_while_is_tried_again(sandbox, transport):
    sandbox.fail("POST /conversations/{id}/end", status=500, body="later", times=2)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.worker.cancel()
        await bot.finish()
    assert active(sandbox) == []
    assert bot.named("on_error") == []


@pytest.mark.ended_by_tavus
async def test_an_end_that_fails_for_good_is_told_with_the_conversation(sandbox):
    params = TavusParams(request_timeout=1)
    transport = TavusTransport(bot_name="Ada", params=params)
    sandbox.fail("POST /conversations/{id}/end", status=500, body="never", times=10)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.worker.cancel()
        assert await bot.finish() < 5 + PROMPTLY / 2
    [(told,)] = bot.named("on_error")
    assert transport.conversation.id in str(told)
    assert "500 never" in str(told)


@pytest.mark.ended_by_tavus
async def test_an_end_that_hangs_does_not_keep_the_run_from_being_over(sandbox):
    transport = TavusTransport(bot_name="Ada", params=TavusParams(request_timeout=1))
    sandbox.fail("POST /conversations/{id}/end", hang=True, times=9)
    async with Bot(transport) as bot:
        await bot.event("on_connected")
        await bot.worker.cancel()
        assert await bot.finish() < 5 + PROMPTLY / 2
    assert "no answer within 1 s" in str(bot.named("on_error")[0][0])


async def test_a_loop_that_shuts_down_does_not_stop_the_end(sandbox, monkeypatch):
    """What `asyncio.run` does at its end: cancel every task, and wait for them."""
    transport = TavusTransport(bot_name="Ada")
    conversation = await transport.create_conversation()
    sandbox.fail("POST /conversations/{id}/end", delay=0.3)
    closing = asyncio.create_task(transport.close())
    await asyncio.sleep(0.1)
    ours = [t for t in asyncio.all_tasks() if "tavus::" in t.get_name()]
    for task in [closing, *ours]:
        task.cancel()
    await asyncio.gather(closing, *ours, return_exceptions=True)
    assert sandbox.conversations[conversation.id].status == "ended"


async def test_the_key_and_the_token_are_in_no_log_at_any_level(sandbox, monkeypatch):
    monkeypatch.setenv("TAVUS_API_KEY", "wrong-key-f00d")
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE", diagnose=True, backtrace=True)
    try:
        async with Bot(TavusTransport(bot_name="Ada")) as bot:
            await bot.finish()
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        api_key = sandbox.api_key
        transport = TavusTransport(bot_name="Ada", api_key=api_key)
        async with Bot(transport) as bot:
            await bot.event("on_connected")
    finally:
        logger.remove(sink)
    assert bot.named("on_error") == []
    assert not any("wrong-key-f00d" in line for line in lines)
    assert any("Invalid access token" in line for line in lines)
