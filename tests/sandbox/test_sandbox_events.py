#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the replica tells about the conversation, to a bot in the room."""

import asyncio
import math
import time

import pytest
from bots import until
from sandbox.bot_kit import RATE, call, interaction, joined, noise, sandbox_and_api, send_utterance

from pipecat_tavus.sandbox import ReplicaSettings

pytestmark = pytest.mark.in_real_time

STREAMING = "conversation.utterance.streaming"
UTTERANCE = "conversation.utterance"


def quick(**settings):
    return ReplicaSettings(join_delay=0.0, rendering_delay=0.1, **settings)


def told(bot, *event_types):
    return [m for m, _ in bot.listener.messages if m["event_type"] in event_types]


def words(bot):
    return [e["properties"]["speech"] for e in told(bot, STREAMING)]


async def say(bot, id, text):
    await bot.send(interaction(id, "conversation.echo", {"modality": "text", "text": text}))


async def test_the_new_form_names_the_role_of_the_replica_and_of_the_user():
    async with call(quick(events="new", role_name="pal")) as (_, bot, person, id):
        await send_utterance(bot, id, noise(0.3), "i1")
        await until(lambda: len(told(bot, "conversation.stopped_speaking")) == 1)
        await person.say(noise(0.3, rate=16000), 16000)
        await until(lambda: len(told(bot, "conversation.stopped_speaking")) == 2)
        events = told(bot, "conversation.started_speaking", "conversation.stopped_speaking")
        assert [e["properties"]["role"] for e in events] == ["pal", "pal", "user", "user"]
        assert "inference_id" not in events[2]
        assert events[1]["properties"]["duration"] == 0.3


async def test_in_disorder_everything_comes_twice_and_late_and_the_numbers_tell_the_order():
    async with call(quick(events="both", disorder=True)) as (_, bot, _, id):
        await send_utterance(bot, id, noise(0.5), "i1")
        stopped = ("conversation.stopped_speaking", "conversation.replica.stopped_speaking")
        await until(lambda: len(told(bot, *stopped)) == 4)
        seqs = [m["seq"] for m, _ in bot.listener.messages]
        assert all(seqs.count(seq) == 2 for seq in seqs)
        assert seqs != sorted(seqs)


async def test_in_disorder_the_end_of_the_conversation_is_told_as_well():
    async with call(quick(disorder=True)) as (sandbox, bot, _, id):
        await until(lambda: len(told(bot, "system.replica_joined")) == 2)
        sandbox.end(id, "test")
        await until(lambda: "room_closed" in bot.listener.whats())
        assert len(told(bot, "system.shutdown")) == 2


async def test_the_words_of_an_echoed_text_are_told_while_they_are_heard():
    async with call(quick(word_secs=0.2)) as (_, bot, person, id):
        await say(bot, id, "one two three")
        await until(lambda: told(bot, UTTERANCE))
        assert words(bot) == ["one", "one two", "one two three", "one two three"]
        events = told(bot, STREAMING)
        assert [e["properties"]["content_index"] for e in events] == [0, 1, 2, 3]
        assert [e["properties"]["final"] for e in events] == [False, False, False, True]
        assert not any(e["properties"]["is_interrupted"] for e in events)
        [whole] = told(bot, UTTERANCE)
        assert whole["properties"] == {"role": "replica", "speech": "one two three"}
        ids = {e["inference_id"] for e in [*events, whole]}
        assert len(ids) == 1
        assert len(person.heard_pcm()) / 2 / RATE == pytest.approx(0.6)
        first = await person.wait_for_message(lambda m: m == events[0])
        last = await person.wait_for_message(lambda m: m == events[3])
        assert last.at - first.at == pytest.approx(0.4, abs=0.2)


async def test_the_words_of_an_interrupted_utterance_are_those_that_were_heard():
    async with call(quick(word_secs=0.2)) as (_, bot, _, id):
        await say(bot, id, "one two three four five six seven eight nine ten")
        await until(lambda: len(words(bot)) == 2)
        await bot.send(interaction(id, "conversation.interrupt"))
        await until(lambda: told(bot, UTTERANCE))
        final = told(bot, STREAMING)[-1]["properties"]
        assert final["final"] and final["is_interrupted"]
        assert "one two three four five six seven eight nine ten".startswith(final["speech"])
        assert 2 <= len(final["speech"].split()) < 10
        assert told(bot, UTTERANCE)[0]["properties"]["speech"] == final["speech"]


async def test_what_is_interrupted_before_its_first_word_has_said_nothing():
    async with call(quick(word_secs=30.0)) as (_, bot, _, id):
        await say(bot, id, "one")
        await until(lambda: told(bot, "conversation.replica.started_speaking"))
        await bot.send(interaction(id, "conversation.interrupt"))
        await until(lambda: told(bot, STREAMING))
        assert words(bot) == [""]
        await until(lambda: told(bot, "conversation.replica.stopped_speaking"))
        assert told(bot, UTTERANCE) == []


async def test_a_bots_voice_is_held_to_say_the_transcripts_one_for_each_utterance():
    settings = quick(transcript=["one two", "three"], word_secs=0.2)
    async with call(settings) as (sandbox, bot, _, id):
        sandbox.replica(id).says("four")
        for n in range(4):
            await send_utterance(bot, id, noise(0.5), f"i{n}")
        stopped = "conversation.replica.stopped_speaking"
        await until(lambda: len(told(bot, stopped)) == 4)
        said = told(bot, UTTERANCE)
        assert [e["properties"]["speech"] for e in said] == ["one two", "three", "four"]
        assert [e["inference_id"] for e in said] == ["i0", "i1", "i2"]
        assert words(bot)[:3] == ["one", "one two", "one two"]


async def test_a_track_has_words_as_well():
    settings = quick(transcript="one two", word_secs=0.2)
    async with call(settings, "pipecat-stream") as (_, bot, _, _):
        await bot.room.register_audio_destination("stream")
        await bot.speak(noise(0.6))
        await until(lambda: told(bot, UTTERANCE))
        assert words(bot) == ["one", "one two", "one two"]


async def test_a_text_that_comes_in_parts_is_one_utterance():
    async with call(quick(word_secs=0.1)) as (_, bot, _, id):
        parts = ["one two", "three four"]
        for text, done in zip(parts, (False, True), strict=True):
            properties = {"modality": "text", "text": text, "inference_id": "i1", "done": done}
            await bot.send(interaction(id, "conversation.echo", properties))
            await until(lambda: "one" in words(bot))
        await until(lambda: told(bot, UTTERANCE))
        assert told(bot, UTTERANCE)[0]["properties"]["speech"] == "one two three four"


async def test_a_persona_that_thinks_by_itself_answers_what_the_user_is_held_to_say():
    async with call(quick(word_secs=0.1), "p1") as (sandbox, bot, person, id):
        message = interaction(id, "conversation.respond", {"text": "Good morning"})
        await bot.send(message)
        await until(lambda: len(told(bot, UTTERANCE)) == 2)
        said = [(e["properties"]["role"], e["properties"]["speech"]) for e in told(bot, UTTERANCE)]
        assert said == [("user", "Good morning"), ("replica", "You said: Good morning")]
        assert len(person.heard_pcm()) / 2 / RATE == pytest.approx(0.4)
        assert sandbox.interactions(id) == [message]


async def test_a_persona_with_the_bots_voice_does_not_answer_by_itself():
    async with call(quick(word_secs=0.1)) as (_, bot, person, id):
        await bot.send(interaction(id, "conversation.respond", {"text": "Good morning"}))
        await until(lambda: told(bot, UTTERANCE))
        await asyncio.sleep(0.5)
        assert len(told(bot, UTTERANCE)) == 1
        assert person.heard_pcm() == b""


async def test_what_tavus_is_asked_for_is_kept_and_what_it_would_refuse_is_kept_apart():
    async with call(quick()) as (sandbox, bot, _, id):
        good = [
            interaction(id, "conversation.append_llm_context", {"context": "It rains."}),
            interaction(id, "conversation.overwrite_llm_context", {"context": "It snows."}),
            interaction(id, "conversation.sensitivity", {"participant_pause_sensitivity": "low"}),
        ]
        bad = interaction(id, "conversation.sensitivity", {"participant_pause_sensitivity": "no"})
        for message in [*good, bad, {"label": "rtvi-ai", "type": "client-ready"}]:
            await bot.send(message)
        await bot.send(interaction("c0", "conversation.interrupt"))
        await until(lambda: len(sandbox.refusals(id)) == 2)
        assert sandbox.interactions(id) == good
        first, second = sandbox.refusals(id)
        assert "participant_pause_sensitivity" in first
        assert "c0" in second
        sandbox.end(id, "test")
        assert sandbox.interactions(id) == good
        assert len(sandbox.refusals(id)) == 2


async def test_a_replica_becomes_playable_later_and_is_not_heard_before():
    async with call(quick(playable_delay=2.0)) as (_, bot, person, id):

        def states(what):
            found = [d for w, d in bot.listener.told if w == what and d["info"]["isOwner"]]
            return [[d["media"][m]["state"] for m in ("microphone", "camera")] for d in found]

        assert states("participant_joined") == [["loading", "loading"]]
        await send_utterance(bot, id, noise(0.3), "i1")
        await until(lambda: told(bot, "conversation.replica.stopped_speaking"))
        assert states("participant_updated") == []
        assert person.heard_pcm() == b""
        await until(lambda: states("participant_updated"))
        assert states("participant_updated") == [["playable", "playable"]]
        pcm = noise(0.3, seed=2)
        await send_utterance(bot, id, pcm, "i2")
        await until(lambda: person.heard_pcm() == pcm)


async def test_a_replica_that_leaves_while_it_loads_comes_again_and_loads_anew():
    async with call(quick(playable_delay=0.3)) as (sandbox, bot, person, id):
        replica = sandbox.replica(id)
        replica.leave()
        await asyncio.sleep(0.5)
        assert "participant_updated" not in bot.listener.whats()
        replica.join()
        await until(lambda: "participant_updated" in bot.listener.whats())
        pcm = noise(0.3)
        await send_utterance(bot, id, pcm, "i1")
        await until(lambda: person.heard_pcm() == pcm)


async def test_a_replica_that_never_comes_does_not_hold_up_the_end():
    settings = ReplicaSettings(join_delay=math.inf)
    async with sandbox_and_api(replica=settings) as (sandbox, api):
        made = await api.create()
        async with joined(made["conversation_url"]) as bot:
            await asyncio.sleep(0.3)
            assert sandbox.room(made["conversation_id"]).ids("replica") == []
            began = time.monotonic()
            sandbox.end(made["conversation_id"], "test")
            await until(lambda: "room_closed" in bot.listener.whats())
            assert time.monotonic() - began < 5


async def test_other_events_can_be_told_for_a_test():
    async with call(quick()) as (sandbox, bot, _, id):
        properties = {"name": "lookup", "arguments": "{}"}
        sandbox.replica(id).tell("conversation.tool_call", properties, inference_id="i1")
        await until(lambda: told(bot, "conversation.tool_call"))
        [event] = told(bot, "conversation.tool_call")
        assert (event["properties"], event["inference_id"]) == (properties, "i1")
