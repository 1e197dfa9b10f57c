#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The messages to Tavus, checked before they are sent.

Source: Tavus's interactions protocol, the messages to Tavus; for a tool's result its page
"Tool Call Result" (docs.tavus.io/sections/event-schemas/conversation-tool-result). Each
function returns the app message, and raises :class:`~pipecat_tavus.TavusConfigError` for what
Tavus would not take.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from pipecat_tavus.errors import TavusConfigError

Sensitivity = Literal["superlow", "verylow", "low", "medium", "high", "auto"]


def echo_audio(
    conversation_id: str, audio: bytes, sample_rate: int, inference_id: str, done: bool
) -> dict[str, Any]:
    """Audio that the replica speaks.

    Args:
        conversation_id: The conversation.
        audio: Mono PCM16. None is needed where the utterance is done.
        sample_rate: In Hz, the same for the whole utterance.
        inference_id: The utterance.
        done: Whether this is its last piece.

    Returns:
        The message.

    Raises:
        TavusConfigError: A value was refused.
    """
    if len(audio) % 2:
        raise TavusConfigError(f"PCM16 has two bytes a sample, got {len(audio)} bytes")
    if not audio and not done:
        raise TavusConfigError("audio must not be empty but at the end of an utterance")
    if sample_rate <= 0:
        raise TavusConfigError(f"sample_rate must be positive, got {sample_rate}")
    return _message(
        conversation_id,
        "conversation.echo",
        {
            "modality": "audio",
            "audio": b64encode(audio).decode(),
            "sample_rate": sample_rate,
            "inference_id": _text("inference_id", inference_id),
            "done": done,
        },
    )


def echo_text(conversation_id: str, text: str) -> dict[str, Any]:
    """Text that the replica speaks, word for word, in the persona's own voice.

    Args:
        conversation_id: The conversation.
        text: The text, whole.

    Returns:
        The message.

    Raises:
        TavusConfigError: The text is empty.
    """
    properties = {"modality": "text", "text": _text("text", text), "done": True}
    return _message(conversation_id, "conversation.echo", properties)


def respond(conversation_id: str, text: str) -> dict[str, Any]:
    """Text that the persona's LLM answers, as if the user had said it.

    Args:
        conversation_id: The conversation.
        text: The text.

    Returns:
        The message.

    Raises:
        TavusConfigError: The text is empty.
    """
    return _message(conversation_id, "conversation.respond", {"text": _text("text", text)})


def interrupt(conversation_id: str) -> dict[str, Any]:
    """That the replica stops speaking, and drops what it has buffered.

    Args:
        conversation_id: The conversation.

    Returns:
        The message.
    """
    return _message(conversation_id, "conversation.interrupt")


def append_context(conversation_id: str, context: str) -> dict[str, Any]:
    """What the persona's LLM should know besides.

    Args:
        conversation_id: The conversation.
        context: The context.

    Returns:
        The message.

    Raises:
        TavusConfigError: The context is empty.
    """
    properties = {"context": _text("context", context)}
    return _message(conversation_id, "conversation.append_llm_context", properties)


def overwrite_context(conversation_id: str, context: str) -> dict[str, Any]:
    """What the persona's LLM should know instead.

    Args:
        conversation_id: The conversation.
        context: The context.

    Returns:
        The message.

    Raises:
        TavusConfigError: The context is empty.
    """
    properties = {"context": _text("context", context)}
    return _message(conversation_id, "conversation.overwrite_llm_context", properties)


def tool_result(
    conversation_id: str, tool_call_id: str, output: str | Mapping[str, Any], error: bool = False
) -> dict[str, Any]:
    """What came of a tool call that has an id.

    A Tavus that gives its calls no ``tool_call_id`` does not know this message.

    Args:
        conversation_id: The conversation.
        tool_call_id: The call, as Tavus named it.
        output: A text, or a JSON object.
        error: Whether the call failed; the output says why.

    Returns:
        The message.

    Raises:
        TavusConfigError: The id is empty, or the output is neither.
    """
    if isinstance(output, Mapping):
        try:
            json.dumps(output := dict(output), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as e:
            raise TavusConfigError(f"output must be JSON: {e}") from e
    elif not isinstance(cast("Any", output), str):
        raise TavusConfigError(f"output must be a text or an object, got {output!r:.40}")
    properties = {
        "tool_call_id": _text("tool_call_id", tool_call_id),
        "output": output,
        "status": "error" if error else "success",
    }
    return _message(conversation_id, "conversation.tool_result", properties)


def sensitivity(
    conversation_id: str,
    *,
    participant_pause_sensitivity: str | None = None,
    participant_interrupt_sensitivity: str | None = None,
) -> dict[str, Any]:
    """How soon the replica takes its turn, or lets itself be interrupted: one of the two.

    Args:
        conversation_id: The conversation.
        participant_pause_sensitivity: How short a pause ends the user's turn.
        participant_interrupt_sensitivity: How little interrupts the replica.

    Returns:
        The message.

    Raises:
        TavusConfigError: It is none or both of them, or no value that Tavus knows.
    """
    given = {
        name: value
        for name, value in (
            ("participant_pause_sensitivity", participant_pause_sensitivity),
            ("participant_interrupt_sensitivity", participant_interrupt_sensitivity),
        )
        if value is not None
    }
    if len(given) != 1:
        raise TavusConfigError(
            "exactly one of participant_pause_sensitivity and "
            f"participant_interrupt_sensitivity is needed, got {len(given)}"
        )
    for name, value in given.items():
        if value not in get_args(Sensitivity):
            known = ", ".join(get_args(Sensitivity))
            raise TavusConfigError(f"{name} must be one of {known}, got {value!r}")
    return _message(conversation_id, "conversation.sensitivity", given)


def _message(
    conversation_id: str, event_type: str, properties: dict[str, Any] | None = None
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "message_type": "conversation",
        "event_type": event_type,
        "conversation_id": conversation_id,
    }
    if properties is not None:
        message["properties"] = properties
    return message


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TavusConfigError(f"{name} must be a text that is not empty, got {value!r:.40}")
    return value
