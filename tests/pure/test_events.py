"""Events: every form of Tavus's messages is one event, and nothing that comes raises."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import pipecat_tavus
from pipecat_tavus.events import events as module
from pipecat_tavus.events.events import (
    PerceptionAnalysisEvent,
    PerceptionImage,
    PerceptionToolCallEvent,
    ReplicaJoinedEvent,
    ReplicaPresentEvent,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    TavusEvent,
    ToolCallEvent,
    UnknownEvent,
    UtteranceEvent,
    parse_event,
)


def message(event_type, properties=None, **beside):
    it = {"message_type": "conversation", "event_type": event_type, **beside}
    return it if properties is None else {**it, "properties": properties}


def content(event):
    """What an event tells, without the message that it was read from."""
    return {k: v for k, v in event.model_dump().items() if k != "raw" and v is not None}


@pytest.mark.parametrize(
    ("event_type", "properties", "kind", "fields"),
    [
        ("system.replica_joined", None, ReplicaJoinedEvent, {}),
        ("system.replica_present", {"attempt": 3}, ReplicaPresentEvent, {"attempt": 3}),
        ("system.shutdown", {"reason": "why"}, ShutdownEvent, {"reason": "why"}),
        (
            "conversation.started_speaking",
            {"role": "user"},
            StartedSpeakingEvent,
            {"role": "user"},
        ),
        (
            "conversation.stopped_speaking",
            {"role": "replica", "interrupted": True, "duration": 1.5},
            StoppedSpeakingEvent,
            {"role": "replica", "interrupted": True, "duration": 1.5},
        ),
        (
            "conversation.utterance",
            {
                "role": "user",
                "speech": "Hi",
                "visual_context": "a room",
                "user_audio_analysis": "calm",
                "user_visual_analysis": {"mood": ["glad"]},
            },
            UtteranceEvent,
            {
                "role": "user",
                "speech": "Hi",
                "visual_context": "a room",
                "user_audio_analysis": "calm",
                "user_visual_analysis": {"mood": ["glad"]},
            },
        ),
        (
            "conversation.utterance.streaming",
            {"role": "replica", "content_index": 2, "speech": "Hi the", "final": True},
            StreamingUtteranceEvent,
            {
                "role": "replica",
                "content_index": 2,
                "speech": "Hi the",
                "final": True,
                "is_interrupted": False,
            },
        ),
        (
            "conversation.tool_call",
            {"tool_call_id": "t1", "name": "look_up", "arguments": '{"city": "Oslo"}'},
            ToolCallEvent,
            {"tool_call_id": "t1", "name": "look_up", "arguments": {"city": "Oslo"}},
        ),
        (
            "conversation.perception_tool_call",
            {
                "tool_call_id": "t1",
                "modality": "vision",
                "name": "wave",
                "arguments": {"hand": "left"},
                "frames": [{"data": "AAAA", "mime_type": "image/jpeg"}],
            },
            PerceptionToolCallEvent,
            {
                "tool_call_id": "t1",
                "modality": "vision",
                "name": "wave",
                "arguments": {"hand": "left"},
                "frames": [{"data": "AAAA", "mime_type": "image/jpeg"}],
            },
        ),
        (
            "conversation.perception_analysis",
            {"analysis": "They smiled."},
            PerceptionAnalysisEvent,
            {"analysis": "They smiled."},
        ),
    ],
)
def test_each_message_of_tavus_is_its_event_wherever_its_properties_are(
    event_type, properties, kind, fields
):
    envelope = {
        "conversation_id": "c1",
        "seq": 7,
        "turn_idx": 2,
        "timestamp": 1700000000.5,
        "inference_id": "i1",
    }
    for it in (
        message(event_type, properties, **envelope),
        message(event_type, None, **envelope, **(properties or {})),
    ):
        event = parse_event(it)
        assert type(event) is kind
        assert content(event) == {
            "event_type": event_type,
            "late": False,
            **envelope,
            **fields,
        }
        assert event.raw is it


@pytest.mark.parametrize("said", ["replica", "pal", "PAL", "user"])
@pytest.mark.parametrize("what", ["started_speaking", "stopped_speaking"])
def test_both_forms_of_a_speaking_event_are_one(said, what):
    role = "user" if said == "user" else "replica"
    properties = {"interrupted": "true", "duration": None} if what == "stopped_speaking" else {}
    old = [
        parse_event(message(f"conversation.{said.lower()}.{what}", properties, seq=3)),
        parse_event(message(f"conversation.{said.lower()}.{what}", seq=3, **properties)),
    ]
    new = parse_event(message(f"conversation.{what}", {"role": said, **properties}, seq=3))
    for event in (*old, new):
        assert event.role == role
        assert content(event) == content(new)


def test_the_old_form_tells_the_role_whatever_the_properties_say():
    event = parse_event(message("conversation.user.started_speaking", {"role": "replica"}))
    assert event.role == "user"


@pytest.mark.parametrize("properties", [None, {}, [], "none", 7])
def test_missing_properties_are_empty(properties):
    it = message("conversation.replica.stopped_speaking")
    event = parse_event(it | ({} if properties is None else {"properties": properties}))
    assert isinstance(event, StoppedSpeakingEvent)
    assert (event.role, event.interrupted, event.duration) == ("replica", False, None)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *((True, True), ("true", True), ("True ", True), (1, True), ("1", True)),
        *((False, False), ("false", False), (0, False), (None, False), ("maybe", False)),
        *(([], False), (2, False), ({"a": 1}, False)),
    ],
)
def test_a_flag_is_true_as_a_word_as_well(value, read):
    stopped = parse_event(message("conversation.user.stopped_speaking", {"interrupted": value}))
    assert stopped.interrupted is read
    properties = {"role": "user", "speech": "", "final": value, "is_interrupted": value}
    streaming = parse_event(message("conversation.utterance.streaming", properties))
    assert (streaming.final, streaming.is_interrupted) == (read, read)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *((5, 5), ("5", 5), (0, 0), (-1, -1), (2**63 - 1, 2**63 - 1)),
        *((True, None), (5.0, None), ("-5", None), ("\u0665", None), ("5x", None), ("", None)),
        *((2**63, None), ("9" * 100_000, None), (None, None), ([5], None), ({}, None)),
    ],
)
def test_a_number_of_an_event_is_whole_or_none(value, read):
    event = parse_event(message("system.replica_present", {"attempt": value}, seq=value))
    assert (event.seq, event.attempt) == (read, read)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *((1.5, 1.5), (2, 2.0), ("1.5", 1.5), (0, 0.0)),
        *((True, None), ("soon", None), ("nan", None), (float("inf"), None), (10**400, None)),
        *((None, None), ([], None), ("1" * 100_000, None)),
    ],
)
def test_a_duration_is_finite_or_none(value, read):
    event = parse_event(
        message("conversation.user.stopped_speaking", {"duration": value}, timestamp=value)
    )
    assert (event.duration, event.timestamp) == (read, read)


@pytest.mark.parametrize(
    ("it", "reason"),
    [
        (message("system.shutdown"), "no reason given"),
        (message("system.shutdown", {"reason": "a"}), "a"),
        (message("system.shutdown", {"shutdown_reason": "b"}), "b"),
        (message("system.shutdown", None, reason="c"), "c"),
        (message("system.shutdown", None, shutdown_reason="d"), "d"),
        (message("system.shutdown", {"reason": "e"}, shutdown_reason="f"), "e"),
        (message("system.shutdown", {"reason": ""}, shutdown_reason="g"), "g"),
        (message("system.shutdown", {"reason": 7}), "no reason given"),
        (message("system.shutdown", {"reason": "x" * 5000}), "x" * 200),
        (message("system.shutdown", {"reason": "\ud800"}), "?"),
    ],
)
def test_the_reason_of_a_shutdown_is_found_and_of_a_bounded_length(it, reason):
    assert parse_event(it).reason == reason


@pytest.mark.parametrize(
    ("arguments", "read", "text"),
    [
        ('{"a": [1]}', {"a": [1]}, None),
        ({"a": 1}, {"a": 1}, None),
        ({1: 2}, {"1": 2}, None),
        ("[1]", {}, "[1]"),
        ("not JSON", {}, "not JSON"),
        ("", {}, ""),
        ("[" * 100_000, {}, "[" * 100_000),
        (None, {}, None),
        ([1], {}, "[1]"),
        (7, {}, "7"),
    ],
)
def test_arguments_are_an_object_or_kept_as_they_are(arguments, read, text):
    for kind in ("conversation.tool_call", "conversation.perception_tool_call"):
        event = parse_event(message(kind, {"name": "x", "arguments": arguments}))
        assert (event.name, event.arguments, event.arguments_text) == ("x", read, text)


@pytest.mark.parametrize(
    ("within", "beside", "id"),
    [("t1", None, "t1"), (None, "t2", "t2"), ("t1", "t2", "t1"), (None, None, None), (7, [], None)],
)
def test_the_id_of_a_call_is_found_among_its_properties_and_beside_them(within, beside, id):
    for kind in ("conversation.tool_call", "conversation.perception_tool_call"):
        it = message(kind, {"name": "x", "tool_call_id": within}, tool_call_id=beside)
        assert parse_event(it).tool_call_id == id


@pytest.mark.parametrize("frames", [None, "x", {}, [None, "x", 7, ["y"]]])
def test_images_that_are_none_are_left_out(frames):
    properties = {"name": "x", "frames": frames}
    assert parse_event(message("conversation.perception_tool_call", properties)).frames == []


def test_an_image_is_not_in_the_log():
    image = PerceptionImage(data="AAAA" * 1000, mime_type="image/png")
    event = PerceptionToolCallEvent(name="x", frames=[image], raw={"much": "more"})
    assert "AAAA" not in repr(event)
    assert "much" not in repr(event)
    assert event.frames == [image]


@pytest.mark.parametrize(
    "it",
    [
        message("conversation.started_speaking"),
        message("conversation.started_speaking", {"role": "narrator"}),
        message("conversation.started_speaking", {"role": ["replica"]}),
        message("conversation.utterance", {"role": "user"}),
        message("conversation.utterance", {"role": "user", "speech": 7}),
        message("conversation.tool_call", {"arguments": "{}"}),
        message("conversation.perception_analysis"),
        message("conversation.replica.tool_call", {"name": "x"}),
        message("conversation.narrator.started_speaking"),
        message("conversation.brand_new", {"a": [1]}),
        message("x" * 65536),
        message("." * 65536),
        message(""),
    ],
)
def test_what_is_new_or_cannot_be_used_is_kept_whole(it):
    it = {**it, "seq": 4, "conversation_id": "c1"}
    event = parse_event(it)
    assert type(event) is UnknownEvent
    assert (event.event_type, event.seq, event.conversation_id) == (it["event_type"], 4, "c1")
    assert event.raw is it


@pytest.mark.parametrize(
    "it", [None, True, 1, 1.5, "", "system.shutdown", [], [{}], {}, {"event_type": 7}]
)
def test_what_is_not_in_tavus_form_is_no_event(it):
    assert parse_event(it) is None


def test_the_envelope_is_not_what_a_property_of_its_name_says():
    it = message("system.shutdown", {"seq": 9, "event_type": "x", "late": True, "raw": 1}, seq=1)
    event = parse_event({**it, "late": True})
    assert (event.seq, event.event_type, event.late) == (1, "system.shutdown", False)
    beside = parse_event(message("conversation.user.started_speaking", {"inference_id": "i"}))
    assert beside.inference_id == "i", "some tell it there"


def test_a_lone_surrogate_does_not_get_into_the_application():
    properties = {"role": "user", "speech": "a\ud800b"}
    event = parse_event(message("conversation.utterance", properties, inference_id="\udfff"))
    assert (event.speech, event.inference_id) == ("a?b", "?")
    assert parse_event(message("\ud800")).event_type == "?"


def deep(depth):
    it = {}
    for _ in range(depth):
        it = {"properties": [it]}
    return it


@pytest.mark.parametrize("event_type", [*sorted(module._TYPES), "conversation.brand_new"])
def test_hostile_depth_and_length_neither_raise_nor_take_long(event_type):
    nested, long = deep(100_000), "\\" * 1_000_000
    began = time.process_time()
    for value in (nested, long, "[" * 1_000_000, [nested] * 1000, {"a" * 65536: nested}):
        for properties in (value, dict.fromkeys(("role", "speech", "name", "analysis"), value)):
            it = message(event_type, properties, seq=value, inference_id=value, arguments=value)
            assert parse_event(it) is not None
    assert time.process_time() - began < 2


KEYS = st.sampled_from(
    [
        *("event_type", "properties", "role", "speech", "name", "arguments", "frames", "analysis"),
        *("seq", "late", "raw", "duration", "interrupted", "final", "reason", "conversation_id"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["replica", "pal", "user", "true", "{}", "7", "\ud800", *module._TYPES])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=8), st.sampled_from(sorted(module._TYPES)))
def test_whatever_comes_is_an_event_or_none(it, event_type):
    for given_ in (it, {**it, "event_type": event_type}):
        event = parse_event(given_)
        if isinstance(given_.get("event_type"), str):
            assert event.raw is given_
            assert event.seq is None or isinstance(event.seq, int)
            repr(event)
        else:
            assert event is None


def test_the_union_tells_its_members_apart_again():
    adapter = TypeAdapter(TavusEvent)
    for it in (
        message("conversation.started_speaking", {"role": "pal"}, seq=1),
        message("conversation.brand_new", {"role": "pal"}, seq=1),
    ):
        event = parse_event(it)
        assert adapter.validate_python(event) is event
        assert adapter.validate_python(json.loads(event.model_dump_json())) == event


def test_an_event_is_not_changed():
    with pytest.raises(ValidationError, match="frozen"):
        parse_event(message("system.shutdown")).reason = "another"


def test_every_event_is_exported():
    for kind in (*module._KNOWN, UnknownEvent):
        assert getattr(pipecat_tavus, kind.__name__) is kind
        assert kind.__name__ in pipecat_tavus.__all__
