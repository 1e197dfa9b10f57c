#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The key and the meeting token: used, and never seen."""

from collections.abc import Iterator

import pytest
from bots import until
from calls import Call, captured_log, noise
from tavus_server import API_KEY, Fault

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.token"


@pytest.fixture
def log() -> Iterator[list[str]]:
    yield from captured_log()


def assert_untold(call: Call, log: list[str]) -> None:
    told = [
        *log,
        repr(call.transport),
        repr(call.transport.conversation),
        str(call.transport.conversation),
        *(f"{error!r} {error} {error.__cause__!r} {vars(error)}" for error in call.errors),
        *(f"{frame!r} {frame.error} {frame.exception!r}" for frame in call.error_frames),
        *(repr(seen) for seen in call.events),
    ]
    text = "\n".join(told)
    assert TOKEN not in text
    assert API_KEY not in text
    assert len(log) > 20


async def test_the_token_is_given_to_the_join_and_to_no_log(call: Call, log: list[str]) -> None:
    call.tavus.meeting_token = TOKEN
    await call.start()
    assert call.room.token == TOKEN
    assert call.transport.conversation.token == TOKEN
    client = call.room.enter("User")
    await until(lambda: call.room.subscription(client) != {})
    await call.say(noise(0.2))
    await call.interrupt()
    await call.end()
    assert {request.key for request in call.tavus.requests} == {API_KEY}
    assert_untold(call, log)


async def test_a_public_room_is_joined_without_a_token(call: Call) -> None:
    await call.start()
    assert call.room.token is None
    await call.end()


async def test_a_token_in_the_url_is_used_and_not_logged(call: Call, log: list[str]) -> None:
    call.tavus.faults["POST /conversations"] = Fault(
        200,
        {"conversation_id": "c0001", "conversation_url": f"{call.tavus.room_url()}?t={TOKEN}"},
    )
    await call.start()
    assert call.room.token == TOKEN
    await call.end()
    assert_untold(call, log)


@pytest.mark.parametrize("answer", [401, 500])
async def test_a_create_that_fails_tells_no_secret(call: Call, log: list[str], answer: int) -> None:
    words = {"message": f"Invalid access token {API_KEY}"}
    call.tavus.faults["POST /conversations"] = Fault(answer, words, times=9)
    call.build().run()
    await call.over(5)
    assert call.errors
    assert_untold(call, log)


async def test_a_join_that_fails_tells_no_secret(call: Call, log: list[str]) -> None:
    call.tavus.meeting_token = TOKEN
    call.room.join_error = "Connection(Api(NotAllowed))"
    call.build().run()
    await call.over(5)
    assert call.room.token == TOKEN
    assert call.errors
    assert_untold(call, log)


async def test_a_failing_handler_tells_no_secret(call: Call, log: list[str]) -> None:
    call.tavus.meeting_token = TOKEN
    call.build()

    @call.transport.event_handler("on_conversation_created")
    async def on_conversation_created(transport: object, conversation: object) -> None:
        raise LookupError("the application's own mistake")

    @call.transport.event_handler("on_connected")
    async def on_connected(transport: object, data: object) -> None:
        raise LookupError("the application's own mistake")

    await call.start()
    await call.end()
    assert_untold(call, log)
