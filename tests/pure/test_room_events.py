"""Who may end the conversation by a message: Tavus, and nobody who is or was a client."""

import asyncio

import pytest

from pipecat_tavus import TavusCallbacks
from pipecat_tavus.room.room_events import RoomEvents

SHUTDOWN = {"event_type": "system.shutdown", "reason": "because I say so"}
USER = {"id": "u", "info": {"userName": "Mo"}}


def events_of(ended, callbacks=None):
    return RoomEvents(
        callbacks or TavusCallbacks(),
        mute=lambda _: asyncio.sleep(0),
        over=lambda: not ended.append(1),
        ends_with_replica=False,
    )


def joined(*others):
    return {"participants": {"local": {"id": "bot"}, **{it["id"]: it for it in others}}}


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_client_that_says_it_and_leaves_at_once_ends_nothing(leaves):
    ended = []
    events = events_of(ended)
    await events.on_joined(joined())
    await events.on_participant_joined(USER)
    if leaves:
        await events.on_participant_left(USER, "leftCall")
    await events.on_app_message(SHUTDOWN, "u")
    assert ended == []


async def test_a_client_that_was_there_first_ends_nothing_while_the_application_is_told():
    """Its message comes while a handler of the join takes its time."""
    ended = []

    async def on_joined(data):
        await events.on_app_message(SHUTDOWN, "u")

    events = events_of(ended, TavusCallbacks(on_joined=on_joined))
    await events.on_app_message(SHUTDOWN, "u")
    await events.on_joined(joined(USER))
    assert ended == []


async def test_a_server_that_is_nobody_in_the_room_ends_it():
    ended = []
    events = events_of(ended)
    await events.on_joined(joined(USER))
    await events.on_app_message(SHUTDOWN, "the server")
    assert ended
