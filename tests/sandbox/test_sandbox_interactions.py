#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a bot may say to Tavus: what is read, and what is refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox.bot_kit import echo, interaction

from pipecat_tavus.sandbox import interactions
from pipecat_tavus.sandbox.interactions import RefusedMessage, read

PCM = b"\1\0\2\0"
AUDIO = base64.b64encode(PCM).decode()
SAYS = {
    "modality": "audio",
    "audio": AUDIO,
    "sample_rate": 24000,
    "inference_id": "i1",
    "done": False,
}


def changed(properties, **changes):
    """With some properties changed; None takes one out."""
    return {k: v for k, v in {**properties, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("event_type", "properties", "meaning"),
    [
        ("echo", SAYS, interactions.EchoAudio("i1", PCM, 24000, False)),
        ("echo", SAYS | {"done": True}, interactions.EchoAudio("i1", PCM, 24000, True)),
        ("echo", changed(SAYS, done=None), interactions.EchoAudio("i1", PCM, 24000, False)),
        ("echo", {"modality": "text", "text": "Hi"}, interactions.EchoText("Hi", None, True)),
        (
            "echo",
            {"modality": "text", "text": "Hi", "inference_id": "i", "done": False},
            interactions.EchoText("Hi", "i", False),
        ),
        ("respond", {"text": "Hi"}, interactions.Respond("Hi")),
        ("interrupt", None, interactions.Interrupt()),
        ("interrupt", {}, interactions.Interrupt()),
        ("append_llm_context", {"context": "x"}, interactions.Context("append", "x")),
        ("overwrite_llm_context", {"context": "x"}, interactions.Context("overwrite", "x")),
        (
            "sensitivity",
            {"participant_pause_sensitivity": "superlow"},
            interactions.Sensitivity("participant_pause_sensitivity", "superlow"),
        ),
    ],
)
def test_what_tavus_documents_is_read(event_type, properties, meaning):
    assert read(interaction("c1", f"conversation.{event_type}", properties), "c1") == meaning


@pytest.mark.parametrize(
    "properties",
    [
        None,
        "text",
        {},
        changed(SAYS, modality="video"),
        changed(SAYS, audio=None),
        changed(SAYS, audio=[1, 2]),
        changed(SAYS, audio="?" + AUDIO),
        changed(SAYS, audio=AUDIO[:-1]),
        changed(SAYS, audio=base64.b64encode(b"abc").decode()),
        changed(SAYS, audio=""),
        changed(SAYS, sample_rate=None),
        changed(SAYS, sample_rate="24000"),
        changed(SAYS, sample_rate=True),
        changed(SAYS, sample_rate=0),
        changed(SAYS, sample_rate=24000.0),
        changed(SAYS, inference_id=None),
        changed(SAYS, inference_id=""),
        changed(SAYS, inference_id=7),
        changed(SAYS, done="true"),
        changed(SAYS, done=1),
        {"modality": "text"},
        {"modality": "text", "text": " "},
        {"modality": "text", "text": 1},
        {"modality": "text", "text": "Hi", "done": "true"},
    ],
)
def test_an_echo_that_tavus_would_not_understand_is_refused(properties):
    with pytest.raises(RefusedMessage, match=r"conversation\.echo: "):
        read(interaction("c1", "conversation.echo", properties), "c1")


@pytest.mark.parametrize(
    ("event_type", "properties", "why"),
    [
        ("conversation.respond", None, "text must be"),
        ("conversation.respond", {"text": ""}, "text must be"),
        ("conversation.append_llm_context", {"text": "x"}, "context must be"),
        ("conversation.overwrite_llm_context", {"context": {}}, "context must be"),
        ("conversation.sensitivity", {}, "exactly one"),
        (
            "conversation.sensitivity",
            {
                "participant_pause_sensitivity": "low",
                "participant_interrupt_sensitivity": "low",
            },
            "exactly one",
        ),
        ("conversation.sensitivity", {"participant_pause_sensitivity": "lowest"}, "one of"),
        ("conversation.sensitivity", {"participant_pause_sensitivity": ["low"]}, "one of"),
        ("conversation.shout", {"text": "x"}, "no such event_type"),
        ("system.shutdown", None, "no such event_type"),
    ],
)
def test_other_messages_that_tavus_would_not_understand_are_refused(event_type, properties, why):
    with pytest.raises(RefusedMessage, match=why):
        read(interaction("c1", event_type, properties), "c1")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"conversation_id": "c2"}, "conversation_id"),
        ({"conversation_id": None}, "conversation_id"),
        ({"message_type": "system"}, "message_type"),
        ({"message_type": None}, "message_type"),
        ({"event_type": None}, "event_type"),
        ({"event_type": 1}, "event_type"),
    ],
)
def test_an_envelope_that_is_not_right_is_refused(changes, why):
    message = changed(interaction("c1", "conversation.interrupt"), **changes)
    with pytest.raises(RefusedMessage, match=why):
        read(message, "c1")


@pytest.mark.parametrize(
    "message",
    ["conversation.interrupt", None, 3, [], {}, {"label": "rtvi-ai", "type": "x", "data": {}}],
)
def test_messages_that_are_not_meant_for_tavus_are_no_refusals(message):
    assert read(message, "c1") is None


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.text(max_size=3), LEAVES)
FIELDS = st.sampled_from(["modality", "audio", "sample_rate", "inference_id", "done", "text"])


@settings(deadline=None)
@given(st.dictionaries(FIELDS, JSON | st.sampled_from(["text", "audio", AUDIO])))
def test_whatever_comes_is_read_or_refused(changes):
    try:
        read(interaction("c1", "conversation.echo", {**SAYS, **changes}), "c1")
    except RefusedMessage as e:
        assert str(e)


@settings(deadline=None)
@given(st.binary(min_size=2).map(lambda pcm: pcm[: len(pcm) // 2 * 2]), st.booleans())
def test_audio_is_read_bit_for_bit(pcm, done):
    chunk = read(echo("c1", pcm, "i1", rate=16000, done=done), "c1")
    assert chunk == interactions.EchoAudio("i1", pcm, 16000, done)
