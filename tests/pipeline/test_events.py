"""Tavus's events and other people's messages, in a real pipeline: who is told what."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from bots import Bot, tone, until
from pipecat.frames.frames import (
    EndFrame,
    LLMMessagesAppendFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.transports.daily.transport import (
    DailyInputTransportMessageFrame,
    DailyOutputTransportMessageFrame,
    DailyOutputTransportMessageUrgentFrame,
)

from pipecat_tavus import (
    PerceptionAnalysisEvent,
    PerceptionToolCallEvent,
    ReplicaJoinedEvent,
    ReplicaPresentEvent,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    TavusCallbacks,
    TavusConfigError,
    TavusEventFrame,
    TavusRoomSendError,
    TavusTransport,
    ToolCallEvent,
    UnknownEvent,
    UtteranceEvent,
)
from pipecat_tavus.room.room_events import RoomEvents

LAST = 10_000
"""A number that no event of the simulated replica's own has."""


class Stage:
    """A bot in a conversation, and what Tavus's replica can be made to say there."""

    def __init__(self, sandbox, bot):
        self.bot = bot
        self.conversation_id = bot.transport.conversation.id
        self.room = sandbox.room(self.conversation_id)
        self.join_person = lambda: sandbox.join_person(self.conversation_id)
        self.seq = LAST

    def tavus(self, event_type, properties=None, **more):
        """Tavus says something, with a number that grows unless it is given; the message."""
        self.seq += 1
        it = {"event_type": event_type, "conversation_id": self.conversation_id, "seq": self.seq}
        it |= {} if properties is None else {"properties": properties}
        it |= more
        self.room.send(self.room.ids("replica")[0], it)
        return it

    async def settled(self):
        """Everything that was said has arrived, and gone the way through the pipeline."""
        marker = f"conversation.marker.{self.seq}"
        self.tavus(marker)
        await until(
            lambda: (
                marker in [f.event.event_type for f in self.bot.spoken.of(TavusEventFrame)]
                and marker in [event.event_type for (event,) in self.bot.named("on_event")]
            )
        )

    def told(self, handler="on_event"):
        """The events that a handler was told of."""
        return _said([event for (event,) in self.bot.named(handler)])

    def framed(self):
        """The events that came through the pipeline."""
        return _said([frame.event for frame in self.bot.spoken.of(TavusEventFrame)])


def _said(events):
    # Neither the simulated replica's own, nor markers.
    return [e for e in events if (e.seq or LAST) >= LAST and "marker" not in e.event_type]


@asynccontextmanager
async def on_stage(sandbox, transport, **bot_options):
    async with Bot(transport, **bot_options) as bot:
        await bot.event("on_replica_joined")
        await bot.started()
        yield Stage(sandbox, bot)


@pytest.fixture
async def stage(sandbox, transport):
    async with on_stage(sandbox, transport) as stage:
        yield stage


EVERY_KIND = [
    ("system.replica_joined", None, ReplicaJoinedEvent, None),
    ("system.replica_present", {"attempt": 2}, ReplicaPresentEvent, None),
    (
        "conversation.replica.started_speaking",
        None,
        StartedSpeakingEvent,
        "on_replica_started_speaking",
    ),
    (
        "conversation.stopped_speaking",
        {"role": "pal", "duration": 1.0},
        StoppedSpeakingEvent,
        "on_replica_stopped_speaking",
    ),
    ("conversation.user.started_speaking", {}, StartedSpeakingEvent, None),
    ("conversation.stopped_speaking", {"role": "user"}, StoppedSpeakingEvent, None),
    ("conversation.utterance", {"role": "user", "speech": "Hi"}, UtteranceEvent, "on_utterance"),
    ("conversation.utterance", {"role": "pal", "speech": "Hey"}, UtteranceEvent, "on_utterance"),
    (
        "conversation.utterance.streaming",
        {"role": "replica", "speech": "He", "content_index": 0},
        StreamingUtteranceEvent,
        None,
    ),
    ("conversation.tool_call", {"name": "x", "arguments": "{}"}, ToolCallEvent, "on_tool_call"),
    (
        "conversation.perception_tool_call",
        {"name": "wave", "modality": "vision", "arguments": {}},
        PerceptionToolCallEvent,
        "on_tool_call",
    ),
    ("conversation.perception_analysis", {"analysis": "Calm."}, PerceptionAnalysisEvent, None),
    ("conversation.brand_new", {"a": 1}, UnknownEvent, None),
]
NAMED_HANDLERS = {
    *("on_replica_started_speaking", "on_replica_stopped_speaking"),
    *("on_utterance", "on_tool_call", "on_shutdown"),
}


async def test_every_kind_of_event_reaches_the_application_and_the_pipeline(stage):
    messages = [stage.tavus(event_type, content) for event_type, content, *_ in EVERY_KIND]
    await stage.settled()
    kinds = [kind for _, _, kind, _ in EVERY_KIND]
    assert [type(event) for event in stage.told()] == kinds
    assert [event.raw for event in stage.told()] == messages
    assert stage.framed() == stage.told()
    for handler in NAMED_HANDLERS:
        expected = [kind for _, _, kind, name in EVERY_KIND if name == handler]
        assert [type(event) for event in stage.told(handler)] == expected, handler
    seen = [m for m, _ in stage.bot.named("on_app_message")]
    assert [m for m in seen if m in messages] == messages, "as before"
    assert not stage.bot.spoken.of(DailyInputTransportMessageFrame)


async def test_a_shutdown_is_told_once_with_its_reason_then_the_conversation_is_over(stage):
    stage.tavus("system.shutdown", {"reason": "out of credits"})
    await stage.bot.finish()
    [event] = stage.told("on_shutdown")
    assert isinstance(event, ShutdownEvent)
    assert event.reason == "out of credits"
    assert stage.told() == [event]
    [(error,)] = stage.bot.named("on_error")
    assert "out of credits" in str(error)


async def test_a_shutdown_whose_number_was_another_events_ends_the_conversation_as_well(stage):
    stage.tavus("conversation.brand_new", seq=LAST + 500)
    stage.tavus("system.shutdown", seq=LAST + 500)
    await stage.bot.finish()
    assert len(stage.bot.named("on_error")) == 1


async def test_a_repeat_is_told_once_and_a_late_one_turns_nothing_back(stage):
    for seq in (LAST + 102, LAST + 102):
        stage.tavus("conversation.replica.stopped_speaking", seq=seq)
    for seq in (LAST + 101, LAST + 101):
        stage.tavus("conversation.replica.started_speaking", seq=seq)
    await stage.settled()
    told = [(type(e).__name__, e.late) for e in stage.told()]
    assert told == [("StoppedSpeakingEvent", False), ("StartedSpeakingEvent", True)]
    assert stage.framed() == stage.told()
    assert not stage.told("on_replica_started_speaking")
    assert len(stage.told("on_replica_stopped_speaking")) == 1
    assert len([m for m, _ in stage.bot.named("on_app_message") if m["seq"] > LAST + 100]) == 4


async def test_a_start_in_all_its_forms_is_told_once(stage):
    for form in ("conversation.replica.started_speaking", "conversation.started_speaking"):
        for role in ("pal", "replica"):
            stage.tavus(form, {"role": role}, inference_id="i1")
    await stage.settled()
    assert len(stage.told()) == len(stage.told("on_replica_started_speaking")) == 1


async def test_a_replica_that_comes_back_may_count_from_the_start(sandbox, stage):
    stage.tavus("conversation.replica.started_speaking", seq=LAST + 50)
    await stage.settled()
    replica = sandbox.replica(stage.conversation_id)
    replica.leave()
    await stage.bot.event("on_replica_left")
    replica.join()
    await stage.bot.event("on_replica_joined", count=2)
    stage.tavus("conversation.replica.started_speaking", seq=LAST + 50)
    await stage.settled()
    assert [e.late for e in stage.told("on_replica_started_speaking")] == [False, False]


async def test_a_client_does_not_pass_for_tavus(stage):
    person = await stage.join_person()
    await stage.bot.event("on_client_connected")
    before = stage.told()
    for event_type, content, *_ in [*EVERY_KIND, ("system.shutdown", {"reason": "spoof"})]:
        await person.send_message({"event_type": event_type, "properties": content, "seq": LAST})
    await person.send_message("as text")
    await until(lambda: "as text" in [m for m, _ in stage.bot.named("on_app_message")])
    await stage.settled()
    frames = stage.bot.spoken.of(DailyInputTransportMessageFrame)
    assert [f.message["event_type"] for f in frames] == [
        *(event_type for event_type, *_ in EVERY_KIND),
        "system.shutdown",
    ]
    assert {f.participant_id for f in frames} == {person.id}
    assert stage.told() == before
    assert not any(stage.told(handler) for handler in NAMED_HANDLERS)
    assert not stage.bot.transport._client.is_over, "a client's word ended it"


async def test_another_conversations_events_are_none_of_ours(stage):
    others = [
        stage.tavus("conversation.replica.started_speaking", conversation_id="c-other"),
        stage.tavus("system.shutdown", {"reason": "not ours"}, conversation_id="c-other"),
    ]
    ours = [
        stage.tavus("conversation.replica.started_speaking", conversation_id=None),
        stage.tavus("conversation.replica.stopped_speaking", conversation_id=""),
    ]
    await stage.settled()
    assert [event.raw for event in stage.told()] == ours
    assert not stage.bot.transport._client.is_over
    seen = [m for m, _ in stage.bot.named("on_app_message")]
    assert all(message in seen for message in others)
    assert not stage.bot.spoken.of(DailyInputTransportMessageFrame)


async def test_who_is_not_yet_known_may_be_tavus_or_a_client():
    told = []

    def tell(name):
        async def callback(*args):
            told.append((name, args[0]))

        return callback

    events = RoomEvents(
        TavusCallbacks(on_event=tell("event"), on_client_message=tell("client")),
        mute=lambda _: asyncio.sleep(0),
        over=lambda: True,
        ends_with_replica=False,
        conversation_id=lambda: "c1",
    )
    message = {"event_type": "conversation.brand_new", "seq": 1}
    await events.on_joined({"participants": {"local": {"id": "the bot"}}})
    for it in (message, message, {**message, "conversation_id": "c2"}, {"label": "rtvi-ai"}):
        await events.on_app_message(it, "somebody")
    assert [(name, getattr(it, "raw", it)) for name, it in told] == [
        ("event", message),
        ("client", {"label": "rtvi-ai"}),
    ]


async def test_in_the_development_room_any_conversations_events_are_ours(
    sandbox, monkeypatch, transport
):
    other = await transport.create_conversation()
    monkeypatch.setenv("TAVUS_SAMPLE_ROOM_URL", other.url)
    developing = TavusTransport(bot_name="Grace")
    async with Bot(developing) as bot:
        await bot.event("on_replica_joined")
        room = sandbox.room(other.id)
        message = {"event_type": "conversation.brand_new", "conversation_id": other.id}
        room.send(room.ids("replica")[0], message)
        await until(lambda: message in [event.raw for (event,) in bot.named("on_event")])
    await transport.close()


@pytest.mark.parametrize("use", ["input", "output"])
async def test_events_and_messages_enter_a_pipeline_with_one_end_as_well(sandbox, transport, use):
    async with on_stage(sandbox, transport, use=(use,)) as stage:
        person = await stage.join_person()
        await stage.bot.event("on_client_connected")
        await person.send_message({"hello": 1})
        stage.tavus("conversation.brand_new")
        await stage.settled()
        assert [type(event) for event in stage.framed()] == [UnknownEvent]
        [frame] = stage.bot.spoken.of(DailyInputTransportMessageFrame)
        assert (frame.message, frame.participant_id) == ({"hello": 1}, person.id)


class Ear:
    def __init__(self, bot):
        self.bot = bot
        self.heard = []

    def on_speaking(self, event):
        self.heard.append(event)
        self.before = len(self.bot.named("on_event")), len(self.bot.named("on_app_message"))

    def on_left(self):
        pass

    def on_streaming_utterance(self, event):
        self.heard.append(event)
        raise ValueError("a listener that fails stops nothing")


async def test_who_listens_to_speech_is_told_first_and_only_what_is_new(stage):
    ear = Ear(stage.bot)
    stage.bot.transport._client.add_speech_listener(ear)
    await stage.settled()
    before = len(stage.bot.named("on_event")), len(stage.bot.named("on_app_message"))
    stage.tavus("conversation.replica.started_speaking", seq=LAST + 10)
    await stage.settled()
    assert ear.before == before
    stage.tavus("conversation.replica.started_speaking", seq=LAST + 10)
    stage.tavus("conversation.replica.stopped_speaking", seq=LAST + 5)
    stage.tavus("conversation.utterance", {"role": "user", "speech": "Hi"})
    for index in (1, 0):
        properties = {"role": "replica", "speech": "a" * index, "content_index": index}
        stage.tavus(
            "conversation.utterance.streaming",
            properties,
            seq=LAST + 20 + index,
            inference_id="i1",
        )
    await stage.settled()
    assert [(type(e), e.seq - LAST) for e in ear.heard] == [
        (StartedSpeakingEvent, 10),
        (StreamingUtteranceEvent, 21),
    ]
    assert len(stage.told()) == 5


def show(room, participant_id, state):
    """A participant's microphone is said to be so."""
    participant = room.participants[participant_id]
    participant["media"]["microphone"]["state"] = state
    for told, _ in room._others(participant_id):
        told.on_participant_updated(participant)


async def test_the_replica_is_waited_for_until_it_can_be_heard(sandbox, transport):
    client = transport._client
    assert not client.replica_ready
    async with Bot(transport) as bot:
        waiting = [asyncio.create_task(client.wait_for_replica()) for _ in range(3)]
        await bot.event("on_connected")
        await bot.event("on_replica_joined")
        assert await asyncio.wait_for(waiting[0], 5) is True
        assert await asyncio.wait_for(client.wait_for_replica(), 1) is True, "at once"
        room = sandbox.room(transport.conversation.id)
        [replica] = room.ids("replica")
        show(room, replica, "off")
        await until(lambda: not client.replica_ready)
        again = asyncio.create_task(client.wait_for_replica())
        without_polling = asyncio.create_task(client._events.wait_for_replica())
        await asyncio.sleep(0.05)
        assert not again.done()
        assert not without_polling.done()
        show(room, replica, "sendable")
        assert await asyncio.wait_for(again, 5) is True
        await asyncio.wait_for(without_polling, 5)
        room.leave(replica)
        await until(lambda: not client.replica_ready)
        never = asyncio.create_task(client.wait_for_replica())
        cancelled = asyncio.create_task(client.wait_for_replica())
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await bot.worker.queue_frame(EndFrame())
        await bot.finish()
        assert await asyncio.wait_for(never, 5) is False
    assert await asyncio.wait_for(client.wait_for_replica(), 1) is False
    assert all(task.result() for task in waiting)


OUTGOING = [
    (
        lambda t: t.echo_text("Hello"),
        "conversation.echo",
        {"modality": "text", "text": "Hello", "done": True},
    ),
    (lambda t: t.respond("Hi"), "conversation.respond", {"text": "Hi"}),
    (lambda t: t.interrupt(), "conversation.interrupt", None),
    (lambda t: t.append_context("a"), "conversation.append_llm_context", {"context": "a"}),
    (lambda t: t.overwrite_context("b"), "conversation.overwrite_llm_context", {"context": "b"}),
    (
        lambda t: t.set_sensitivity(participant_pause_sensitivity="low"),
        "conversation.sensitivity",
        {"participant_pause_sensitivity": "low"},
    ),
    (
        lambda t: t.set_sensitivity(participant_interrupt_sensitivity="high"),
        "conversation.sensitivity",
        {"participant_interrupt_sensitivity": "high"},
    ),
]


async def test_what_is_said_to_tavus_arrives_in_the_room_as_documented(stage):
    transport = stage.bot.transport
    for who in (transport, transport._client):
        already = len(stage.room.messages)
        for call, _, _ in OUTGOING:
            await call(who)
        await transport._client.send_interrupt_message()
        [bot_id] = stage.room.ids("bot")
        sent = [m for m in stage.room.messages[already:] if m.sender_id == bot_id]
        assert [m.to for m in sent] == [None] * 8
        envelope = {"message_type": "conversation", "conversation_id": stage.conversation_id}
        expected = [
            {**envelope, "event_type": event_type}
            | ({} if properties is None else {"properties": properties})
            for _, event_type, properties in OUTGOING
        ]
        assert [m.message for m in sent] == [*expected, expected[2]]


async def test_a_wrong_value_is_refused_before_anything_is_sent(stage):
    transport = stage.bot.transport
    already = len(stage.room.messages)
    for wrong in (
        transport.echo_text(""),
        transport.respond(" "),
        transport.append_context(""),
        transport.overwrite_context(""),
        transport.set_sensitivity(),
        transport.set_sensitivity(participant_pause_sensitivity="lowest"),
        transport.set_sensitivity(
            participant_pause_sensitivity="low", participant_interrupt_sensitivity="low"
        ),
    ):
        with pytest.raises(TavusConfigError):
            await wrong
    [bot_id] = stage.room.ids("bot")
    assert not [m for m in stage.room.messages[already:] if m.sender_id == bot_id]


async def test_without_a_room_what_is_said_to_tavus_is_not_sent_and_the_caller_told(sandbox):
    transport = TavusTransport(bot_name="Ada")
    for call, _, _ in OUTGOING:
        with pytest.raises(TavusRoomSendError, match="not in the room"):
            await call(transport)
    with pytest.raises(TavusConfigError):
        await transport.respond("")
    await transport.create_conversation()
    await transport.close()
    with pytest.raises(TavusRoomSendError, match="not in the room"):
        await transport.respond("Hi")


async def test_a_message_frame_reaches_everybody_or_the_one_it_names(stage):
    people = [await stage.join_person(), await stage.join_person()]
    await stage.bot.event("on_client_connected", count=2)
    one = people[1]
    await stage.bot.worker.queue_frames(
        [
            OutputTransportMessageFrame(message={"n": 1}),
            OutputTransportMessageUrgentFrame(message={"n": 2}),
            DailyOutputTransportMessageFrame(message={"n": 3}, participant_id=one.id),
            DailyOutputTransportMessageUrgentFrame(message={"n": 4}, participant_id=one.id),
            OutputTransportMessageFrame(message={"n": 5}),
        ]
    )
    for person in people:
        await person.wait_for_message(lambda m: m == {"n": 5}, 20)

    def numbers(person):
        return {m.message["n"] for m in person.app_messages if "n" in m.message}

    await until(lambda: numbers(one) == {1, 2, 3, 4, 5})
    await until(lambda: numbers(people[0]) == {1, 2, 5})


def rtvi(kind, **data):
    return {"label": "rtvi-ai", "type": kind, "id": f"id-{kind}", "data": data}


@pytest.mark.parametrize("use", [("input", "output"), ("output",)])
async def test_an_rtvi_client_in_the_room_talks_with_pipecats_rtvi_processor(
    sandbox, transport, use
):
    async with on_stage(sandbox, transport, use=use, rtvi=True) as stage:
        asked = []

        @stage.bot.worker.rtvi.event_handler("on_client_message")
        async def on_client_message(processor, message):
            asked.append((message.type, message.data))
            await processor.send_server_response(message, {"answer": 42})

        person = await stage.join_person()
        await stage.bot.event("on_client_connected")

        async def answered(kind):
            found = await person.wait_for_message(
                lambda m: m.get("label") == "rtvi-ai" and m.get("type") == kind, 10
            )
            return found.message

        about = {"library": "test", "library_version": "1"}
        await person.send_message(rtvi("client-ready", version="1.0.0", about=about))
        assert (await answered("bot-ready"))["id"] == "id-client-ready"
        await person.send_message(rtvi("client-message", t="question", d={"what": "life"}))
        response = await answered("server-response")
        assert asked == [("question", {"what": "life"})]
        assert (response["id"], response["data"]) == (
            "id-client-message",
            {"t": "question", "d": {"answer": 42}},
        )
        await person.send_message(
            rtvi("send-text", content="Hello", options={"run_immediately": True})
        )
        frame = await stage.bot.spoken.first(LLMMessagesAppendFrame)
        assert frame.messages == [{"role": "user", "content": "Hello"}]
        await stage.bot.worker.rtvi.send_server_message({"note": 1})
        assert (await answered("server-message"))["data"] == {"note": 1}
        await stage.bot.say(tone(0.3, 24000), 24000)
        await answered("bot-started-speaking")
        await answered("bot-stopped-speaking")
        # What is no RTVI, or hardly: the processor goes on, and so does the bot.
        for it in ("text", None, [1], {"label": "rtvi-ai"}, rtvi("unheard-of"), {"x": 1}):
            await person.send_message(it)
        await person.send_message(rtvi("client-message", t="again", d=None))
        await until(lambda: ("again", None) in asked)
        assert not stage.bot.errors
        assert not stage.bot.named("on_error")
