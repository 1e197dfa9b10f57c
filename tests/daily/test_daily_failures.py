#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What goes wrong on the way in, in the room and on the way out: told, ended, never idle."""

import asyncio
import time
from typing import Any

import pytest
from bots import until
from calls import Call, noise
from pipecat.frames.frames import OutputTransportMessageUrgentFrame
from pipecat.pipeline.worker import ProcessorUnusablePolicy
from tavus_server import Fault

from pipecat_tavus import (
    TavusAuthenticationError,
    TavusConcurrencyLimitError,
    TavusError,
    TavusInvalidRequestError,
    TavusOutOfCreditsError,
    TavusRoomClosedError,
    TavusRoomJoinError,
    TavusRoomSendError,
    TavusServerError,
    TavusTimeoutError,
)
from pipecat_tavus.room import daily_room

POLICIES = [ProcessorUnusablePolicy.END, ProcessorUnusablePolicy.CANCEL]
both_policies = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.value)

PROMPTLY = 5.0
"""The run is over within 2 s of the failure, with room for a machine that is busy."""


def told(call: Call, kind: type[TavusError], *words: str) -> None:
    """It was told to the application, once, and to the pipeline."""
    (error,) = call.errors
    assert type(error) is kind
    assert call.error_frames
    for text in (str(error), call.error_frames[0].error):
        assert all(word in text for word in words), text
    assert call.error_frames[0].category is kind.category
    assert not call.error_frames[0].processor.is_usable


@both_policies
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, {"error": "Internal server error"}, TavusServerError),
        (401, {"message": "Invalid access token"}, TavusAuthenticationError),
        (400, {"error": "Invalid replica_uuid"}, TavusInvalidRequestError),
        (402, {"message": "Out of credits"}, TavusOutOfCreditsError),
        (
            400,
            {"message": "User has reached maximum concurrent conversations"},
            TavusConcurrencyLimitError,
        ),
    ],
)
async def test_a_refused_create_is_told_and_ends_the_run(
    call: Call,
    policy: ProcessorUnusablePolicy,
    status: int,
    body: dict[str, str],
    kind: type[TavusError],
) -> None:
    call.tavus.faults["POST /conversations"] = Fault(status, body)
    call.build(policy=policy).run()
    await call.over(PROMPTLY)
    told(call, kind, str(status), *body.values())
    assert len(call.tavus.of("POST /conversations")) == 1
    assert call.transport.conversation is None
    assert not call.native.clients


@both_policies
async def test_a_create_that_hangs_is_told_when_its_time_is_up(
    call: Call, policy: ProcessorUnusablePolicy
) -> None:
    call.tavus.faults["POST /conversations"] = Fault(hang=True)
    call.build(policy=policy, params={"request_timeout": 0.4}).run()
    # Its own limit, then the looks for what it may have opened all the same.
    await call.over(0.4 + 4 + PROMPTLY)
    told(call, TavusTimeoutError, "POST /conversations", "0.4 s")


@both_policies
async def test_a_refused_join_is_told_and_the_conversation_ended(
    call: Call, policy: ProcessorUnusablePolicy
) -> None:
    call.room.join_error = "Connection(Api(NotAllowed))"
    call.build(policy=policy).run()
    await call.over(PROMPTLY)
    told(call, TavusRoomJoinError, "Connection(Api(NotAllowed))")
    assert call.tavus.open == []
    assert len(call.tavus.of("POST /conversations/{id}/end")) == 1


@both_policies
async def test_a_join_that_never_completes_is_told_and_the_conversation_ended_at_once(
    call: Call, policy: ProcessorUnusablePolicy
) -> None:
    # Measured: the native module goes on joining for 19 s, and its release waits for it.
    call.room.join_hangs = 8.0
    start = time.monotonic()
    call.build(policy=policy, params={"join_timeout": 0.4}).run()
    await call.over(0.4 + PROMPTLY)
    told(call, TavusRoomJoinError, "0.4 s")
    assert call.tavus.open == []
    assert call.tavus.ended[call.tavus.created[0]] - start < 0.4 + PROMPTLY


@both_policies
@pytest.mark.parametrize("how", ["refused", "unanswered"])
async def test_a_track_that_cannot_be_published_is_told_and_the_conversation_ended(
    call: Call, policy: ProcessorUnusablePolicy, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_room, "_CALL_TIMEOUT", 1.5)
    if how == "refused":
        call.room.refusals["add_custom_audio_track"] = "NotSupported"
    else:
        call.room.hangs.add("add_custom_audio_track")
    call.build(policy=policy).run()
    await call.over(PROMPTLY + (0 if how == "refused" else 1.5))
    assert TavusRoomSendError in map(type, call.errors)
    assert "stream" in str(call.errors[0])
    assert call.error_frames
    assert call.tavus.open == []


@both_policies
@pytest.mark.parametrize("why", ["You have been ejected", "Meeting has ended"])
async def test_a_room_that_closes_is_told_with_its_reason_and_ends_the_run(
    call: Call, policy: ProcessorUnusablePolicy, why: str
) -> None:
    await call.start(policy=policy)
    client = call.room.enter("User")
    await until(lambda: bool(call.of("on_client_connected")))
    call.room.throw_out(why)
    await call.over(PROMPTLY)
    closed = [error for error in call.errors if isinstance(error, TavusRoomClosedError)]
    (error,) = closed
    assert why in str(error)
    assert call.errors == closed
    assert [participant["id"] for (participant,) in call.of("on_client_disconnected")] == [
        client.id
    ]
    assert any(why in frame.error for frame in call.error_frames)
    assert call.tavus.open == []


async def test_a_room_that_closes_while_the_bot_speaks_ends_the_run(call: Call) -> None:
    await call.start(policy=ProcessorUnusablePolicy.END)
    await call.say(noise(20.0))
    await until(lambda: len(call.room.tracks["stream"].source.writes) > 3)
    call.room.throw_out("Meeting has ended")
    await call.over(PROMPTLY)
    assert call.tavus.open == []


async def test_messages_that_fail_are_told_once_for_each_outage(call: Call) -> None:
    await call.start()

    async def send(count: int) -> None:
        for n in range(count):
            frame = OutputTransportMessageUrgentFrame(message={"n": n})
            await call.worker.queue_frame(frame)

    call.room.refusals["send_app_message"] = "AppMessage(Signalling(ChannelNotOpen))"
    await send(5)
    await until(lambda: bool(call.errors))
    await asyncio.sleep(0.2)
    assert [type(error) for error in call.errors] == [TavusRoomSendError]
    assert "ChannelNotOpen" in str(call.errors[0])
    call.room.refusals.clear()
    await send(2)
    await until(lambda: len(call.room.messages) == 2)
    # Until the bot knows of it as well.
    await asyncio.sleep(0.2)
    call.room.refusals["send_app_message"] = "AppMessage(Signalling(ChannelNotOpen))"
    await send(3)
    await until(lambda: len(call.errors) == len(call.error_frames) == 2)
    await asyncio.sleep(0.2)
    assert len(call.errors) == len(call.error_frames) == 2
    assert call.error_frames[0].processor.is_usable
    call.room.refusals.clear()
    await call.say(noise(0.24))
    await call.end()
    assert call.room.stream.pcm == noise(0.24)


async def test_an_interruption_that_cannot_be_sent_is_told(call: Call) -> None:
    await call.start()
    call.room.refusals["send_app_message"] = "AppMessage(Signalling(ChannelNotOpen))"
    await call.interrupt()
    await call.interrupt()
    await until(lambda: bool(call.errors))
    await asyncio.sleep(0.1)
    assert [type(error) for error in call.errors] == [TavusRoomSendError]
    await call.end()


async def test_audio_that_is_not_taken_is_told_once_for_each_outage(call: Call) -> None:
    await call.start()
    call.native.audio_refused = True
    await call.say(noise(0.4))
    await until(lambda: bool(call.errors))
    await asyncio.sleep(0.2)
    assert [type(error) for error in call.errors] == [TavusRoomSendError]
    call.native.audio_refused = False
    await call.say(noise(0.2, seed=2))
    await until(lambda: call.room.stream.pcm == noise(0.2, seed=2))
    call.native.audio_refused = True
    await call.say(noise(0.4))
    await until(lambda: len(call.errors) == 2)
    await call.end()


async def test_a_replica_that_cannot_be_unsubscribed_is_told_and_clients_are_heard(
    call: Call,
) -> None:
    await call.start()
    call.room.refusals["update_subscriptions"] = "NotValid"
    call.room.enter_replica()
    await until(lambda: bool(call.errors))
    assert "NotValid" in str(call.errors[0])
    call.room.refusals.clear()
    client = call.room.enter("User")
    await until(lambda: call.room.subscription(client) != {})
    await client.say(noise(0.2, 16000))
    await call.end()


@pytest.mark.parametrize("how", ["worker", "task"])
@pytest.mark.parametrize("at", ["create", "join", "speech"])
async def test_a_bot_that_is_cancelled_leaves_no_conversation_open(
    call: Call, how: str, at: str
) -> None:
    call.tavus.faults["POST /conversations"] = Fault(delay=0.4)
    call.room.join_delay = 0.4
    running = call.build().run()
    if at == "create":
        await until(lambda: bool(call.tavus.of("POST /conversations")))
    elif at == "join":
        await until(lambda: bool(call.room.noted("join")))
    else:
        await until(call.started.is_set)
        await call.say(noise(5.0))
    await asyncio.sleep(0.1)
    if how == "worker":
        await call.worker.cancel()
    else:
        running.cancel()
    async with asyncio.timeout(4 + PROMPTLY):
        await asyncio.wait([running])
    assert len(call.tavus.created) == 1
    assert call.tavus.open == []
    assert len(call.tavus.of("POST /conversations/{id}/end")) == 1


async def test_a_leave_that_is_never_answered_does_not_keep_the_conversation(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_room, "_CALL_TIMEOUT", 1.5)
    await call.start()
    call.room.hangs.add("leave")
    await call.end(within=1.5 + PROMPTLY)
    assert call.tavus.open == []


async def test_an_interrupted_connection_is_survived(call: Call) -> None:
    await call.start()
    call.room.network("interrupted")
    await asyncio.sleep(0.1)
    await call.say(noise(0.24))
    call.room.network("connected")
    await until(lambda: call.room.stream.pcm == noise(0.24))
    await call.interrupt()
    await until(lambda: bool(call.room.messages))
    await call.end()
    assert not [error for error in call.errors if isinstance(error, TavusRoomClosedError)]


async def test_a_call_that_failed_before_is_not_why_the_room_closed(call: Call) -> None:
    await call.start()
    # Measured: the native module tells `on_error` of each call that fails.
    call.room.refusals["send_app_message"] = "AppMessage(Signalling(ChannelNotOpen))"
    await call.interrupt()
    await until(lambda: bool(call.errors))
    await asyncio.sleep(0.1)
    call.room.close_silently()
    await call.over(PROMPTLY)
    (error,) = [error for error in call.errors if isinstance(error, TavusRoomClosedError)]
    assert "ChannelNotOpen" not in str(error)


async def test_a_conversation_made_beforehand_is_joined_and_ended(call: Call) -> None:
    call.build()
    conversation = await call.transport.create_conversation()
    assert conversation.url == call.tavus.room_url()
    assert call.tavus.open == [conversation.id]
    await call.start()
    await call.end()
    assert len(call.tavus.of("POST /conversations")) == 1
    assert call.tavus.open == []


async def test_a_conversation_made_beforehand_and_not_used_is_ended_by_close(call: Call) -> None:
    call.build()
    await call.transport.create_conversation()
    await call.transport.close()
    assert call.tavus.open == []


async def test_the_development_room_is_joined_without_any_request(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://example.daily.co/mine"
    monkeypatch.setenv("TAVUS_SAMPLE_ROOM_URL", url)
    await call.start()
    room = call.native.room(url)
    assert call.transport.conversation.id == "dev-conversation"
    replica: Any = room.enter("TestTavusTransport")
    await until(lambda: bool(call.of("on_replica_joined")))
    await until(lambda: room.subscription(replica) == {"microphone": "unsubscribed"})
    await call.end()
    assert call.tavus.requests == []
