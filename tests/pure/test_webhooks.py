"""Webhooks: what Tavus documents is typed, what is new is kept, what is none is refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipecat_tavus import (
    PerceptionAnalysisWebhook,
    RecordingReadyWebhook,
    ReplicaJoinedWebhook,
    ShutdownWebhook,
    TavusWebhook,
    TavusWebhookError,
    TranscriptionReadyWebhook,
    TranscriptMessage,
    UnknownWebhook,
    parse_webhook,
)

URL = "https://bot.example/tavus/unguessable"


def body(event_type, properties=None, /, **changes):
    """As Tavus documents it; None takes something out."""
    it = {
        "properties": {"replica_id": "r1", **(properties or {})},
        "conversation_id": "c1",
        "webhook_url": URL,
        "event_type": event_type,
        "message_type": event_type.partition(".")[0],
        "timestamp": "2025-07-11T06:45:47.472000Z",
        **changes,
    }
    return {key: value for key, value in it.items() if value is not None}


TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
STORED = {"bucket_name": "b", "s3_key": "k/1", "duration": 12.5}
NEWER = {"storage_provider": "gcs", "storage_uri": "gs://b/k/1"}
EVERY_KIND = [
    ("system.replica_joined", {}, ReplicaJoinedWebhook, {}),
    (
        "system.shutdown",
        {"shutdown_reason": "max_call_duration reached"},
        ShutdownWebhook,
        {"reason": "max_call_duration reached"},
    ),
    (
        "application.transcription_ready",
        {"transcript": TALK},
        TranscriptionReadyWebhook,
        {"transcript": TALK},
    ),
    ("application.recording_ready", STORED, RecordingReadyWebhook, STORED),
    ("application.recording_ready", NEWER, RecordingReadyWebhook, NEWER),
    (
        "application.perception_analysis",
        {"analysis": "Calm."},
        PerceptionAnalysisWebhook,
        {"analysis": "Calm."},
    ),
    ("application.brand_new", {"a": 1}, UnknownWebhook, {}),
]


ENCODED = [dict, json.dumps, lambda it: json.dumps(it).encode()]
ENCODED += [lambda it: bytearray(json.dumps(it).encode())]


@pytest.mark.parametrize("encode", ENCODED)
@pytest.mark.parametrize(("event_type", "properties", "kind", "fields"), EVERY_KIND)
def test_every_webhook_is_typed_however_it_is_given(encode, event_type, properties, kind, fields):
    posted = body(event_type, properties)
    webhook = parse_webhook(encode(posted))
    assert type(webhook) is kind
    told = {k: v for k, v in webhook.model_dump().items() if v is not None}
    assert told == {
        "event_type": event_type,
        "conversation_id": "c1",
        "message_type": event_type.partition(".")[0],
        "webhook_url": URL,
        "timestamp": datetime(2025, 7, 11, 6, 45, 47, 472000, UTC),
        "replica_id": "r1",
        "raw": posted,
        **fields,
    }
    assert TypeAdapter(TavusWebhook).validate_python(webhook) is webhook


def test_properties_may_be_beside_the_rest_and_anything_may_be_missing():
    webhook = parse_webhook({"event_type": "system.shutdown", "conversation_id": "c1"})
    assert webhook == ShutdownWebhook(conversation_id="c1", raw=webhook.raw)
    assert webhook.reason == "no reason given"
    assert parse_webhook(body("system.shutdown", reason="why")).reason == "why"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1752216347.5", datetime(2025, 7, 11, 6, 45, 47, 500000, UTC)),
        ("2025-07-11T06:45:47", datetime(2025, 7, 11, 6, 45, 47, tzinfo=UTC)),
        ("2025-07-11T08:45:47+02:00", datetime(2025, 7, 11, 6, 45, 47, tzinfo=UTC)),
        ("yesterday", None),
        (1e300, None),
        ([], None),
        (True, None),
    ],
)
def test_a_time_is_read_in_each_form_and_never_without_its_zone(told, read):
    at = parse_webhook(body("system.replica_joined", timestamp=told)).timestamp
    assert at == read
    assert at is None or isinstance(at.utcoffset(), timedelta)


def test_properties_do_not_speak_for_the_envelope():
    other = {"conversation_id": "c2", "event_type": "x", "message_type": "x", "webhook_url": "x"}
    webhook = parse_webhook(body("system.shutdown", other))
    assert type(webhook) is ShutdownWebhook
    assert (webhook.conversation_id, webhook.message_type) == ("c1", "system")
    assert webhook.webhook_url == URL


def test_of_a_transcript_what_can_be_read_is():
    posted = body("application.transcription_ready", {"transcript": [None, "x", {"role": 7}, {}]})
    assert parse_webhook(posted).transcript == [TranscriptMessage(), TranscriptMessage()]


@pytest.mark.parametrize(
    ("event_type", "properties"),
    [
        *(("x", {}), ("y", {"a": 1}), ("application.transcription_ready", {})),
        *(("application.transcription_ready", {"transcript": it}) for it in ("hi", None, {}, 7)),
    ],
)
def test_what_is_new_or_cannot_be_used_is_kept_whole(event_type, properties):
    posted = body(event_type, properties)
    webhook = parse_webhook(posted)
    assert type(webhook) is UnknownWebhook
    assert (webhook.event_type, webhook.conversation_id) == (event_type, "c1")
    assert webhook.raw is posted
    assert webhook.replica_id == "r1"


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        ("<html>secret</html>", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        ("null", "not a JSON object, but NoneType"),
        ('["secret"]', "not a JSON object, but list"),
        ("{}", "no event_type"),
        (body("x", event_type=["secret"]), "no event_type"),
        (body("x", event_type=None), "no event_type"),
        (body("x", conversation_id=None), "no conversation_id"),
        (body("x", conversation_id=""), "no conversation_id"),
        (body("x", conversation_id={"secret": 1}), "no conversation_id"),
    ],
)
def test_what_is_no_webhook_is_refused_and_not_repeated(posted, words):
    with pytest.raises(TavusWebhookError, match=words) as refused:
        parse_webhook(posted)
    assert "secret" not in str(refused.value)
    # Python's error about the JSON has all of it.
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    assert isinstance(refused.value, ValueError)


def test_neither_the_url_nor_what_was_said_is_in_the_log():
    for event_type, properties, *_ in EVERY_KIND:
        said = repr(parse_webhook(body(event_type, properties)))
        assert "unguessable" not in said
        assert "Hello" not in said
        assert "Calm" not in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TYPES = st.sampled_from([event_type for event_type, *_ in EVERY_KIND])
NAMES = st.sampled_from(["transcript", "analysis", "duration", "reason", "timestamp", "replica_id"])


@settings(deadline=None)
@given(TYPES, st.dictionaries(NAMES, JSON), JSON)
def test_whatever_is_in_it_a_webhook_is_read(event_type, properties, timestamp):
    posted = body(event_type, properties) | {"timestamp": timestamp}
    assert parse_webhook(json.dumps(posted)).conversation_id == "c1"


@settings(deadline=None)
@given(st.binary() | st.text() | JSON.map(json.dumps))
def test_whatever_is_posted_is_read_or_refused(posted):
    try:
        parse_webhook(posted)
    except TavusWebhookError as e:
        assert str(e).startswith("The webhook ")
