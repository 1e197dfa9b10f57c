"""The messages to Tavus: of the documented shape, and refused where Tavus would refuse them."""

from base64 import b64decode

import pytest

from pipecat_tavus import TavusConfigError
from pipecat_tavus.events import interactions


def shape(event_type, properties=None):
    it = {"message_type": "conversation", "event_type": event_type, "conversation_id": "c1"}
    return it if properties is None else {**it, "properties": properties}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            interactions.echo_text("c1", "Hello there"),
            shape("conversation.echo", {"modality": "text", "text": "Hello there", "done": True}),
        ),
        (interactions.respond("c1", "Hi"), shape("conversation.respond", {"text": "Hi"})),
        (interactions.interrupt("c1"), shape("conversation.interrupt")),
        (
            interactions.append_context("c1", "It rains"),
            shape("conversation.append_llm_context", {"context": "It rains"}),
        ),
        (
            interactions.overwrite_context("c1", "It rains"),
            shape("conversation.overwrite_llm_context", {"context": "It rains"}),
        ),
        (
            interactions.tool_result("c1", "t1", "It rains"),
            shape(
                "conversation.tool_result",
                {"tool_call_id": "t1", "output": "It rains", "status": "success"},
            ),
        ),
        (
            interactions.tool_result("c1", "t1", {"why": ["rain"]}, error=True),
            shape(
                "conversation.tool_result",
                {"tool_call_id": "t1", "output": {"why": ["rain"]}, "status": "error"},
            ),
        ),
        (
            interactions.sensitivity("c1", participant_pause_sensitivity="superlow"),
            shape("conversation.sensitivity", {"participant_pause_sensitivity": "superlow"}),
        ),
        (
            interactions.sensitivity("c1", participant_interrupt_sensitivity="auto"),
            shape("conversation.sensitivity", {"participant_interrupt_sensitivity": "auto"}),
        ),
    ],
)
def test_a_message_is_as_documented(message, expected):
    assert message == expected


@pytest.mark.parametrize(("audio", "done"), [(b"\1\2" * 2400, False), (b"\0\0", True), (b"", True)])
def test_audio_arrives_as_it_was(audio, done):
    message = interactions.echo_audio("c1", audio, 24000, "i1", done)
    properties = message.pop("properties")
    assert message == shape("conversation.echo")
    assert b64decode(properties.pop("audio"), validate=True) == audio
    assert properties == {
        "modality": "audio",
        "sample_rate": 24000,
        "inference_id": "i1",
        "done": done,
    }


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: interactions.echo_text("c1", ""), "text must be"),
        (lambda: interactions.echo_text("c1", " \n"), "text must be"),
        (lambda: interactions.respond("c1", None), "text must be"),
        (lambda: interactions.append_context("c1", ""), "context must be"),
        (lambda: interactions.overwrite_context("c1", {"a": 1}), "context must be"),
        (lambda: interactions.tool_result("c1", " ", "x"), "tool_call_id must be"),
        (lambda: interactions.tool_result("c1", "t1", ["x"]), "output must be a text or.*'x'"),
        (lambda: interactions.tool_result("c1", "t1", None), "output must be a text or an object"),
        (lambda: interactions.tool_result("c1", "t1", {"a": object()}), "output must be JSON"),
        (lambda: interactions.tool_result("c1", "t1", {"a": float("inf")}), "output must be JSON"),
        (lambda: interactions.sensitivity("c1"), "exactly one.*got 0"),
        (
            lambda: interactions.sensitivity(
                "c1",
                participant_pause_sensitivity="low",
                participant_interrupt_sensitivity="low",
            ),
            "exactly one.*got 2",
        ),
        (
            lambda: interactions.sensitivity("c1", participant_pause_sensitivity="lowest"),
            "participant_pause_sensitivity must be one of superlow.*'lowest'",
        ),
        (lambda: interactions.echo_audio("c1", b"\0", 24000, "i", False), "two bytes.*got 1"),
        (lambda: interactions.echo_audio("c1", b"", 24000, "i", False), "audio must not be empty"),
        (lambda: interactions.echo_audio("c1", b"\0\0", 0, "i", True), "sample_rate.*got 0"),
        (lambda: interactions.echo_audio("c1", b"\0\0", 24000, "", True), "inference_id must be"),
    ],
)
def test_a_wrong_value_is_refused_and_named(refused, words):
    with pytest.raises(TavusConfigError, match=words):
        refused()
