#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Who is in the room on Daily: the replica, the clients, and who of them is heard."""

import asyncio
from typing import Any

import pytest
from bots import until
from calls import Call, noise
from native import Person
from pipecat.frames.frames import (
    BotConnectedFrame,
    ClientConnectedFrame,
    Frame,
    InputAudioRawFrame,
    StartFrame,
    UserAudioRawFrame,
)
from tavus_server import Fault

from pipecat_tavus import TavusRoomError, TavusTransport
from pipecat_tavus.handlers import EVENTS


def microphone(call: Call, person: Person) -> str | None:
    """What the bot asked for of a person's microphone."""
    return call.room.subscription(person).get("microphone")


def heard(call: Call, person: Person) -> list[UserAudioRawFrame]:
    return [f for f in call.heard.of(UserAudioRawFrame) if f.user_id == person.id]


async def listens(call: Call, person: Person) -> None:
    """Wait until the bot hears a person: subscribed first, then with a renderer."""
    await until(lambda: microphone(call, person) == "subscribed")
    await until(lambda: bool([*call.room.heard_by(person)]))


async def says(call: Call, person: Person, pcm: bytes) -> None:
    """Let a person say something that the bot hears."""
    before = len(heard(call, person))
    await person.say(pcm)
    await until(lambda: len(heard(call, person)) > before)


def clients(call: Call) -> list[str]:
    return [participant["id"] for (participant,) in call.of("on_client_connected")]


def replicas(call: Call) -> list[str]:
    return [participant["id"] for (participant,) in call.of("on_replica_joined")]


@pytest.mark.parametrize("order", ["replica-first", "client-first"])
@pytest.mark.parametrize("known_by", ["user-id", "persona-name"])
async def test_the_replica_is_recognised_and_its_microphone_unsubscribed(
    call: Call, order: str, known_by: str
) -> None:
    await call.start()
    # Until it is known, who bears it is a client.
    await call.transport._client.get_persona_name()

    def enter_replica() -> Person:
        return call.room.enter_replica("?") if known_by == "user-id" else call.room.enter("Charlie")

    if order == "replica-first":
        replica, client = enter_replica(), call.room.enter("User")
    else:
        client, replica = call.room.enter("User"), enter_replica()
    await until(lambda: microphone(call, replica) == "unsubscribed")
    await until(lambda: clients(call) == [client.id])
    await until(lambda: replicas(call) == [replica.id])
    await listens(call, client)
    replica.start_saying(noise(0.3, 16000), 16000)
    await says(call, client, noise(0.3, 16000))
    assert not heard(call, replica)
    replica.leave("leftCall")
    await until(lambda: bool(call.of("on_replica_left")))
    assert clients(call) == [client.id]
    assert not call.of("on_client_disconnected")
    await call.end()


@pytest.mark.parametrize("known_by", ["user-id", "persona-name"])
async def test_those_who_are_there_already_are_found(call: Call, known_by: str) -> None:
    client = call.room.enter("User")
    replica = call.room.enter_replica() if known_by == "user-id" else call.room.enter("Charlie")
    await call.start()
    await until(lambda: microphone(call, replica) == "unsubscribed")
    await listens(call, client)
    # Who bears the persona's name may be a client until it is known.
    others = {replica.id} if known_by == "persona-name" else set[str]()
    await until(lambda: {client.id} <= {*clients(call)} <= {client.id} | others)
    await until(lambda: replicas(call) == [replica.id])
    await says(call, client, noise(0.2, 16000))
    await call.end()


async def test_a_name_that_comes_later_makes_a_client_the_replica(call: Call) -> None:
    call.tavus.faults["GET /personas/{id}"] = Fault(delay=0.5)
    await call.start()
    replica = call.room.enter("Charlie")
    await until(lambda: clients(call) == [replica.id])
    await until(lambda: replicas(call) == [replica.id])
    await until(lambda: bool(call.of("on_client_disconnected")))
    assert [participant["id"] for (participant,) in call.of("on_client_disconnected")] == [
        replica.id
    ]
    await until(lambda: microphone(call, replica) == "unsubscribed")
    await replica.say(noise(0.2, 16000))
    later = len(heard(call, replica))
    await replica.say(noise(0.2, 16000))
    assert len(heard(call, replica)) == later == 0
    await call.end()


@pytest.mark.parametrize(
    "fault",
    [Fault(500, {"error": "down"}, times=9), Fault(hang=True, times=9)],
    ids=["fails", "hangs"],
)
async def test_a_persona_that_is_not_found_out_costs_nothing(call: Call, fault: Fault) -> None:
    call.tavus.faults["GET /personas/{id}"] = fault
    await call.start(params={"request_timeout": 3.0})
    replica, client = call.room.enter_replica(), call.room.enter("User")
    await until(lambda: clients(call) == [client.id])
    await listens(call, client)
    await says(call, client, noise(0.2, 16000))
    await until(lambda: microphone(call, replica) == "unsubscribed")
    assert not call.errors
    await call.end()
    assert call.tavus.open == []


async def test_ten_clients_cost_one_persona_request(call: Call) -> None:
    await call.start()
    call.room.enter_replica()
    people = [call.room.enter(f"User {n}") for n in range(10)]
    await until(lambda: len(clients(call)) == 10)
    for person in people:
        person.leave()
    await until(lambda: len(call.of("on_client_disconnected")) == 10)
    assert clients(call) == [person.id for person in people]
    assert len(call.tavus.of("GET /personas/{id}")) <= 1
    await call.end()


@pytest.mark.parametrize("in_rate", [16000, 24000])
async def test_user_audio_has_the_participants_id_and_the_pipelines_rate(
    call: Call, in_rate: int
) -> None:
    await call.start(in_rate=in_rate)
    first, second = call.room.enter("User"), call.room.enter("User")
    await listens(call, second)
    await listens(call, first)
    one, two = noise(0.4, in_rate, seed=1), noise(0.4, in_rate, seed=2)
    second.start_saying(two, in_rate)
    await first.say(one, in_rate)
    for person, said in ((first, one), (second, two)):
        await until(lambda p=person, s=said: sum(len(f.audio) for f in heard(call, p)) >= len(s))
        frames = heard(call, person)
        assert b"".join(frame.audio for frame in frames) == said
        assert {(f.sample_rate, f.num_channels) for f in frames} == {(in_rate, 1)}
        assert {f.transport_source for f in frames} == {"microphone"}
    assert not [f for f in call.heard.of(InputAudioRawFrame) if type(f) is InputAudioRawFrame]
    await call.end()


async def test_a_client_that_left_is_no_longer_heard_and_may_come_again(call: Call) -> None:
    await call.start()
    client = call.room.enter("User")
    await listens(call, client)
    client.leave("hidden")
    await until(lambda: bool(call.of("on_client_disconnected")))
    call.room.people[client.id] = client
    for native in call.room.clients:
        native.tell("on_participant_joined", native.view(client))
    await until(lambda: clients(call) == [client.id, client.id])
    await says(call, client, noise(0.2, 16000))
    await call.end()


async def test_participants_with_missing_fields_and_twice_stop_nothing(call: Call) -> None:
    await call.start()
    nobody = call.room.enter(info={})
    for bad in ({}, {"id": None}, {"id": "x", "info": None}, {"info": {"userName": None}}):
        call.room.clients[0].tell("on_participant_joined", bad)
        call.room.clients[0].tell("on_participant_updated", bad)
        call.room.clients[0].tell("on_participant_left", bad, "leftCall")
    call.room.clients[0].tell("on_participant_joined", nobody.participant())
    client = call.room.enter("User")
    await until(lambda: clients(call)[-1:] == [client.id])
    assert clients(call).count(nobody.id) == 1
    await call.end()


async def test_connected_frames_follow_the_start_frame(call: Call) -> None:
    client = call.room.enter("User")
    await call.start()
    await until(lambda: bool(call.spoken.of(ClientConnectedFrame)))
    for recorder in (call.heard, call.spoken):
        kinds: list[type[Frame]] = [
            type(frame)
            for frame in recorder.of(StartFrame, BotConnectedFrame, ClientConnectedFrame)
        ]
        assert kinds == [StartFrame, BotConnectedFrame, ClientConnectedFrame]
    await until(lambda: clients(call) == [client.id])
    await call.end()


async def test_a_client_that_comes_while_the_pipeline_runs_is_announced_once(call: Call) -> None:
    await call.start()
    call.room.enter_replica()
    call.room.enter("User")
    await until(lambda: bool(call.heard.of(ClientConnectedFrame)))
    await asyncio.sleep(0.1)
    assert len(call.heard.of(ClientConnectedFrame)) == 1
    assert len(call.heard.of(BotConnectedFrame)) == 1
    await call.end()


@pytest.mark.parametrize("look_up", [5.0])
async def test_a_client_is_announced_without_waiting_for_the_persona(
    call: Call, look_up: float
) -> None:
    call.tavus.faults["GET /personas/{id}"] = Fault(delay=look_up)
    await call.start()
    call.room.enter("User")
    await until(lambda: bool(clients(call)), look_up / 2)
    await call.end()


BY_SIGNALLING = ("on_connection_interrupted", "on_connection_restored")
BY_TAVUS = (
    "on_event",
    "on_replica_started_speaking",
    "on_replica_stopped_speaking",
    "on_utterance",
    "on_tool_call",
    "on_shutdown",
)


async def test_an_exception_in_every_handler_stops_nothing(call: Call) -> None:
    call.build()
    seen: list[str] = []

    def failing(name: str) -> Any:
        async def fail(transport: TavusTransport, *args: Any) -> None:
            seen.append(name)
            raise LookupError(f"the application's own mistake in {name}")

        return fail

    names = {name for name in EVENTS if name not in BY_TAVUS + BY_SIGNALLING}
    for name in names:
        call.transport.add_event_handler(name, failing(name))
    await call.start()
    replica, client = call.room.enter_replica(), call.room.enter("User")
    await listens(call, client)
    await says(call, client, noise(0.2, 16000))
    client.send({"hello": 1})
    replica.leave()
    client.leave()
    call.room.refusals["send_app_message"] = "AppMessage(Signalling(ChannelNotOpen))"
    await call.interrupt()
    await until(lambda: set(seen) == names)
    await call.say(noise(0.24))
    await call.end()
    assert call.room.stream.pcm == noise(0.24)
    assert call.tavus.open == []


async def test_app_messages_of_any_kind_are_told_with_their_sender(call: Call) -> None:
    await call.start()
    client = call.room.enter("User")
    messages: list[Any] = [{"event_type": "conversation.utterance"}, "hi", 3, None, ["a"]]
    for message in messages:
        client.send(message)
    await until(lambda: len(call.of("on_app_message")) == len(messages))
    assert call.of("on_app_message") == [(message, client.id) for message in messages]
    await call.end()


async def test_subscriptions_can_be_changed_by_the_application(call: Call) -> None:
    await call.start()
    client = call.room.enter("User")
    await call.transport.update_subscriptions(
        participant_settings={client.id: {"media": {"camera": "subscribed"}}}
    )
    assert call.room.subscription(client)["camera"] == "subscribed"
    assert call.transport.get_client_id(client.participant()) == client.id
    await call.end()


async def test_who_is_not_there_is_not_captured(call: Call) -> None:
    """Daily's module says nothing of an id that is none, or aborts the process."""
    await call.start()
    client = call.room.enter("User")
    await listens(call, client)
    access, before = call.transport._client, len(call.room.noted("set_audio_renderer"))

    async def take(*_: Any) -> None:
        pass

    for capture in (access.capture_participant_audio, access.capture_participant_video):
        for nobody in ("", "nobody", "local"):
            with pytest.raises(TavusRoomError, match="no participant"):
                await capture(nobody, take)
    assert len(call.room.noted("set_audio_renderer")) == before
    assert call.room.noted("set_video_renderer") == []
    await call.end()


async def test_a_client_whose_microphone_daily_refuses_is_told_and_heard_if_it_can_be(
    call: Call,
) -> None:
    await call.start()
    call.room.refusals["update_subscriptions"] = "NotValid"
    client = call.room.enter("User")
    await until(lambda: bool(call.errors))
    assert f"Daily refused the microphone of {client.id}: NotValid" in str(call.errors[0])
    call.room.refusals.clear()
    await says(call, client, noise(0.2, 16000))
    await call.end()
