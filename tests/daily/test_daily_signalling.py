#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Trouble of the room on Daily: each told once, none for every frame of audio."""

from bots import until
from calls import Call, noise


async def test_an_interruption_of_signalling_and_its_end_are_told_once_each(call: Call) -> None:
    await call.start()
    for event in ("interrupted", "interrupted", "connected", "connected", "interrupted"):
        call.room.network(event)
    for event in ("interrupted", "connected"):
        call.room.network(event, "sendTransport")
    await until(lambda: len(call.of("on_connection_interrupted")) == 2)
    assert len(call.of("on_connection_restored")) == 1
    assert call.errors == []
    call.room.network("connected")
    await until(lambda: len(call.of("on_connection_restored")) == 2)
    await call.say(noise(0.24))
    await call.end()
    assert call.room.stream.pcm == noise(0.24), "audio goes on"


async def test_a_replica_that_leaves_is_waited_for(call: Call) -> None:
    await call.start()
    replica = call.room.enter_replica()
    await until(lambda: bool(call.of("on_replica_joined")))
    replica.leave()
    await until(lambda: bool(call.of("on_replica_left")))
    call.room.enter_replica()
    await until(lambda: len(call.of("on_replica_joined")) == 2)
    assert call.errors == []
    await call.end()


async def test_a_replica_that_leaves_ends_the_conversation_where_that_is_wanted(call: Call) -> None:
    await call.start(params={"replica_left": "end"})
    replica = call.room.enter_replica()
    await until(lambda: bool(call.of("on_replica_joined")))
    replica.leave("timed out")
    await call.over(5)
    [error] = call.errors
    assert "The replica left: timed out" in str(error)
    assert call.tavus.open == []
