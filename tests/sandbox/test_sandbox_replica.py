#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The simulated replica: what it says, when, and what it tells about it."""

import asyncio
import time

import pytest
from bots import until
from sandbox.bot_kit import RATE, joined, noise, sandbox_and_api

from pipecat_tavus.sandbox import ReplicaSettings

pytestmark = pytest.mark.in_real_time

QUICK = ReplicaSettings(join_delay=0.0, rendering_delay=0.1)


def interrupt(conversation_id):
    return {
        "message_type": "conversation",
        "event_type": "conversation.interrupt",
        "conversation_id": conversation_id,
    }


async def test_the_replica_joins_after_its_delay_and_is_known_by_user_id_and_name():
    async with sandbox_and_api(replica=ReplicaSettings(join_delay=0.5), personas={"p1": "Ada"}) as (
        sandbox,
        api,
    ):
        made = await api.create(persona_id="p1", replica_id="r42")
        room = sandbox.room(made["conversation_id"])
        async with joined(made["conversation_url"]) as bot:
            await until(lambda: "system.replica_joined" in bot.listener.events())
            event = next(e for e in room.events if e.kind == "replica")
            created_at = sandbox.conversations[made["conversation_id"]].created_at
            assert event.at - created_at >= 0.5
            info = room.participants[event.participant_id]["info"]
            assert info["userName"] == "Ada"
            assert "tavus-replica" in info["userId"] and "r42" in info["userId"]


async def test_the_replicas_user_id_can_be_another():
    async with sandbox_and_api(replica=ReplicaSettings(0.0, user_id="x-1")) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            id = await bot.meet_replica()
            told = [d for w, d in bot.listener.told if w == "participant_joined" and d["id"] == id]
            assert told[0]["info"]["userId"] == "x-1"


async def test_a_replica_speaks_the_stream_bit_for_bit_in_real_time_after_its_delay():
    async with sandbox_and_api(replica=ReplicaSettings(0.0, rendering_delay=0.3)) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            person = await sandbox.join_person(made["conversation_id"])
            await bot.room.register_audio_destination("stream")
            pcm = noise(1.01)
            joined_at = sandbox.room(made["conversation_id"]).events[-1].at
            began = time.monotonic() - joined_at
            await bot.speak(pcm)
            await until(lambda: len(person.notes) == 2)
            started, stopped = person.notes
            assert (started.who, started.what) == ("replica", "started_speaking")
            assert (stopped.who, stopped.what) == ("replica", "stopped_speaking")
            assert person.heard_pcm() == pcm
            assert person.ear_sample_rate == RATE
            assert not sandbox.replica(made["conversation_id"]).speaking
            assert 0.3 <= started.at - began < 1.5
            assert stopped.at - started.at == pytest.approx(1.01, abs=0.2)


async def test_other_tracks_than_the_stream_are_not_spoken():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            person = await sandbox.join_person(made["conversation_id"])
            await bot.room.register_audio_destination("streams")
            await bot.speak(noise(0.3), destination="streams")
            await asyncio.sleep(0.5)
            assert person.heard_pcm() == b""


async def test_what_is_said_before_the_replica_is_there_is_lost():
    async with sandbox_and_api(replica=ReplicaSettings(0.8, 0.0)) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            person = await sandbox.join_person(made["conversation_id"])
            await bot.room.register_audio_destination("stream")
            await bot.speak(noise(0.2))
            await bot.meet_replica()
            pcm = noise(0.2, seed=2)
            await bot.speak(pcm)
            await until(lambda: len(person.notes) == 2)
            assert person.heard_pcm() == pcm


async def test_the_speaking_events_are_numbered_and_say_how_long():
    async with sandbox_and_api(replica=QUICK) as (_, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            await bot.room.register_audio_destination("stream")
            for _ in range(2):
                await bot.speak(bytes(RATE // 5) + noise(0.5) + bytes(RATE // 5))
                await asyncio.sleep(0.6)
            await until(
                lambda: bot.listener.events().count("conversation.replica.stopped_speaking") == 2
            )
            events = [m for m, _ in bot.listener.messages if "speaking" in m["event_type"]]
            assert [e["event_type"] for e in events] == [
                "conversation.replica.started_speaking",
                "conversation.replica.stopped_speaking",
                "conversation.replica.started_speaking",
                "conversation.replica.stopped_speaking",
            ]
            seqs = [e["seq"] for e in events]
            assert seqs == sorted(set(seqs))
            assert all(e["conversation_id"] == made["conversation_id"] for e in events)
            assert all(abs(e["timestamp"] - time.time()) < 60 for e in events)
            for event in (events[1], events[3]):
                assert event["properties"]["duration"] == pytest.approx(0.5, abs=0.1)
                assert event["properties"]["interrupted"] is False
            ids = [e["inference_id"] for e in events]
            assert ids[0] == ids[1] != ids[2] == ids[3]


async def test_an_interruption_drops_what_is_buffered_and_ends_the_utterance():
    async with sandbox_and_api(replica=ReplicaSettings(0.0, rendering_delay=0.5)) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            person = await sandbox.join_person(made["conversation_id"])
            await bot.room.register_audio_destination("stream")
            pcm, after = noise(10.0), noise(0.3, seed=2)
            speaking = asyncio.create_task(bot.speak(pcm))
            await until(lambda: len(person.heard_pcm()) > RATE // 2)
            speaking.cancel()
            await bot.send(interrupt(made["conversation_id"]))
            stopped = await person.wait_for_message(
                lambda m: m["event_type"] == "conversation.replica.stopped_speaking"
            )
            assert stopped.message["properties"]["interrupted"] is True
            heard = person.heard_pcm()
            await asyncio.sleep(0.7)
            assert person.heard_pcm() == heard == pcm[: len(heard)]
            await bot.speak(after)
            await until(lambda: person.heard_pcm() == heard + after)


async def test_an_interruption_of_another_conversation_is_ignored():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            person = await sandbox.join_person(made["conversation_id"])
            await bot.room.register_audio_destination("stream")
            pcm = noise(1.0)
            speaking = asyncio.create_task(bot.speak(pcm))
            await until(person.heard_pcm)
            for message in (interrupt("c0"), "conversation.interrupt", {"event_type": "x"}):
                await bot.send(message)
            await speaking
            await until(lambda: person.heard_pcm() == pcm)


async def test_the_replica_tells_when_the_user_speaks():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            person = await sandbox.join_person(made["conversation_id"])
            await person.say(noise(0.5, rate=16000), 16000)
            await until(lambda: "conversation.user.stopped_speaking" in bot.listener.events())
            saying = asyncio.create_task(person.say(noise(5, rate=16000), 16000))
            await until(
                lambda: bot.listener.events().count("conversation.user.started_speaking") == 2
            )
            await person.leave()
            await until(
                lambda: bot.listener.events().count("conversation.user.stopped_speaking") == 2
            )
            await asyncio.wait([saying])
            assert saying.exception()
            ends = [
                m for m, _ in bot.listener.messages if m["event_type"].endswith("stopped_speaking")
            ]
            assert ends[0]["properties"]["duration"] == pytest.approx(0.5, abs=0.1)
            assert not ends[0]["properties"]["interrupted"]


async def test_a_replica_can_leave_and_come_again():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            first = await bot.meet_replica()
            replica = sandbox.replica(made["conversation_id"])
            replica.leave()
            replica.leave()
            await until(lambda: "participant_left" in bot.listener.whats())
            replica.join()
            replica.join()
            await until(
                lambda: bot.listener.names("participant_joined").count("Pipecat Stream") == 2
            )
            assert first not in sandbox.room(made["conversation_id"]).participants


async def test_the_end_of_a_conversation_is_told_then_the_replica_leaves_then_the_room_closes():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            sandbox.end(made["conversation_id"], "max_call_duration reached")
            await until(lambda: "room_closed" in bot.listener.whats())
            assert bot.listener.whats()[-3:] == ["app_message", "participant_left", "room_closed"]
            shutdown = bot.listener.messages[-1][0]
            assert shutdown["event_type"] == "system.shutdown"
            assert shutdown["properties"] == {"shutdown_reason": "max_call_duration reached"}


async def test_an_unsubscribed_replica_is_not_heard_until_it_is_subscribed_again():
    async with sandbox_and_api(replica=QUICK) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            replica = await bot.meet_replica()
            await bot.hear(replica, sample_rate=RATE)
            await bot.room.register_audio_destination("stream")
            await bot.room.update_subscriptions(
                {replica: {"media": {"microphone": "unsubscribed"}}}
            )
            subscriptions = sandbox.room(made["conversation_id"]).subscriptions[bot.id]
            assert subscriptions[replica] == {"media": {"microphone": "unsubscribed"}}
            await bot.speak(noise(0.3))
            await asyncio.sleep(0.5)
            assert bot.heard == b""
            await bot.room.update_subscriptions({replica: {"media": {"microphone": "subscribed"}}})
            pcm = noise(0.4, seed=2)
            await bot.speak(pcm)
            await until(lambda: bytes(bot.heard) == pcm)
