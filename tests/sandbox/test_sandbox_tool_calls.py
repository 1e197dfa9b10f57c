#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The persona's tool calls: what the bot is told, and what is taken for their result."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from sandbox.bot_kit import call, interaction, until

from pipecat_tavus.sandbox.interactions import RefusedMessage, ToolResult, read

pytestmark = pytest.mark.in_real_time

CALL = "conversation.tool_call"
PERCEPTION_CALL = "conversation.perception_tool_call"
RESULT = {"tool_call_id": "t1", "output": "It rains."}


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({}, ToolResult("t1", "It rains.", "success")),
        ({"status": "success"}, ToolResult("t1", "It rains.", "success")),
        ({"status": "error"}, ToolResult("t1", "It rains.", "error")),
        ({"output": {"sky": "grey"}}, ToolResult("t1", {"sky": "grey"}, "success")),
        ({"output": ""}, ToolResult("t1", "", "success")),
    ],
)
def test_a_result_as_tavus_documents_it_is_read(changes, meaning):
    assert read(interaction("c1", "conversation.tool_result", RESULT | changes), "c1") == meaning


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tool_call_id": None}, "tool_call_id must be"),
        ({"tool_call_id": ""}, "tool_call_id must be"),
        ({"tool_call_id": 7}, "tool_call_id must be"),
        ({"output": None}, "output must be"),
        ({"output": ["It rains."]}, "output must be"),
        ({"output": 7}, "output must be"),
        ({"status": "failed"}, "status must be"),
        ({"status": None}, "status must be"),
        ({"status": ["error"]}, "status must be"),
    ],
)
def test_a_result_that_tavus_would_not_understand_is_refused(changes, why):
    with pytest.raises(RefusedMessage, match=rf"conversation\.tool_result: {why}"):
        read(interaction("c1", "conversation.tool_result", RESULT | changes), "c1")


class Talk:
    """A bot, and the persona that calls its tools."""

    def __init__(self, sandbox, bot, id):
        self.bot, self.id = bot, id
        self.replica = sandbox.replica(id)
        self.refusals = lambda: sandbox.refusals(id)
        self.kept = lambda: sandbox.interactions(id)

    def told(self, *event_types):
        return [m for m, _ in self.bot.listener.messages if m["event_type"] in event_types]

    def said(self):
        return [m["properties"]["speech"] for m in self.told("conversation.utterance")]

    async def send(self, event_type, properties):
        await self.bot.send(interaction(self.id, event_type, properties))

    async def result(self, **properties):
        await self.send("conversation.tool_result", properties)

    async def all_said(self):
        """What the replica has said, now that it has said what it was to say."""
        await self.send("conversation.echo", {"modality": "text", "text": "end"})
        await until(lambda: "end" in self.said())
        return self.said()[: self.said().index("end")]

    async def call(self, *arguments, **options):
        """Call a tool; gives the call under way, and what the bot was told of it."""
        before = len(self.told(CALL, PERCEPTION_CALL))
        calling = asyncio.create_task(self.replica.call_tool(*arguments, **options))
        await until(lambda: len(self.told(CALL, PERCEPTION_CALL)) > before)
        return calling, self.told(CALL, PERCEPTION_CALL)[-1]


@asynccontextmanager
async def talk(persona_id=None):
    async with call(persona_id=persona_id) as (sandbox, bot, _, id):
        yield Talk(sandbox, bot, id)


@pytest.mark.parametrize(
    ("result", "spoken"),
    [
        ({"output": "It rains."}, "It rains."),
        ({"output": {"sky": "grey"}}, '{"sky": "grey"}'),
        ({"output": "It burns.", "status": "error"}, "Sorry, that did not work."),
    ],
)
async def test_a_call_has_an_id_by_which_it_is_answered_and_the_replica_speaks(result, spoken):
    async with talk() as it:
        calling, event = await it.call("get_weather", {"city": "Paris"})
        id = event["properties"].pop("tool_call_id")
        assert event["event_type"] == CALL
        assert event["properties"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
        await it.result(tool_call_id=id, **result)
        assert await calling == ToolResult(id, **result)
        await until(lambda: it.said() == [spoken])
        assert [kept["event_type"] for kept in it.kept()] == ["conversation.tool_result"]
        await it.result(tool_call_id=id, **result)
        await until(it.refusals)
        assert it.refusals() == [f"conversation.tool_result: no call {id!r} waits for a result"]


async def test_without_an_id_the_next_context_is_the_result():
    async with talk() as it:
        calling, event = await it.call("get_weather", {}, with_id=False)
        assert "tool_call_id" not in event["properties"]
        await it.send("conversation.append_llm_context", {"context": "It rains."})
        assert await calling == ToolResult(None, "It rains.")
        await until(lambda: it.said() == ["It rains."])
        await it.send("conversation.append_llm_context", {"context": "It is late."})
        await until(lambda: len(it.kept()) == 2)
        assert (it.said(), it.refusals()) == (["It rains."], [])


async def test_perception_calls_with_an_object_and_goes_on_whatever_the_result():
    async with talk() as it:
        calling, event = await it.call("wave", {"hand": "left"}, perception=True)
        id = event["properties"].pop("tool_call_id")
        assert event["event_type"] == PERCEPTION_CALL
        assert event["properties"] == {
            "name": "wave",
            "arguments": {"hand": "left"},
            "modality": "vision",
        }
        await it.result(tool_call_id=id, output="noted")
        assert (await calling).output == "noted"
        assert await it.all_said() == []


async def test_a_persona_that_does_not_answer_by_itself_says_nothing_of_the_result():
    async with talk("pipecat0") as it:
        calling, event = await it.call("get_weather", "not JSON")
        assert event["properties"]["arguments"] == "not JSON"
        await it.result(tool_call_id=event["properties"]["tool_call_id"], output="It rains.")
        await calling
        assert await it.all_said() == []


@pytest.mark.parametrize("with_id", [True, False])
async def test_what_comes_too_late_is_no_result(with_id):
    async with talk() as it:
        calling, event = await it.call("get_weather", {}, timeout=0.2, with_id=with_id)
        with pytest.raises(TimeoutError):
            await calling
        await it.send("conversation.append_llm_context", {"context": "It rains."})
        id = event["properties"].get("tool_call_id", "t1")
        await it.result(tool_call_id=id, output="It rains.")
        await until(it.refusals)
        assert "waits for a result" in it.refusals()[0]
        assert await it.all_said() == []
