#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a bot may say to Tavus in the room, read as strictly as Tavus may: pure.

The messages are those of Tavus's interactions protocol (https://docs.tavus.io, "Interactions
Protocol", "Tool Call Result"). What is read is what the sandbox obeys; all else is refused with
a reason.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pipecat_tavus.sandbox.wire import MAX_SAMPLE_RATE

SENSITIVITIES = ("superlow", "verylow", "low", "medium", "high", "auto")
_SENSITIVITY_NAMES = ("participant_pause_sensitivity", "participant_interrupt_sensitivity")


class RefusedMessage(Exception):
    """A message that Tavus would not obey; the text says why."""


@dataclass(frozen=True)
class EchoAudio:
    """A chunk of an utterance's sound.

    Parameters:
        inference_id: Which utterance.
        pcm: Mono PCM16.
        sample_rate: In Hz.
        done: Whether it is the last chunk.
    """

    inference_id: str
    pcm: bytes
    sample_rate: int
    done: bool


@dataclass(frozen=True)
class EchoText:
    """Something to say.

    Parameters:
        text: What.
        inference_id: Which utterance it belongs to, or None for one of its own.
        done: Whether it is all of it.
    """

    text: str
    inference_id: str | None
    done: bool


@dataclass(frozen=True)
class Respond:
    """What is to be taken for the user's words.

    Parameters:
        text: The words.
    """

    text: str


@dataclass(frozen=True)
class Interrupt:
    """The replica stops and drops what it has buffered."""


@dataclass(frozen=True)
class Context:
    """What Tavus's own language model is to know.

    Parameters:
        mode: Whether it is added or put in the place of all.
        context: The text.
    """

    mode: Literal["append", "overwrite"]
    context: str


@dataclass(frozen=True)
class Sensitivity:
    """How soon Tavus notices a user's pause, or an interruption by the user.

    Parameters:
        name: Which of the two.
        value: One of :data:`SENSITIVITIES`.
    """

    name: str
    value: str


@dataclass(frozen=True)
class ToolResult:
    """What came of a tool call.

    Parameters:
        tool_call_id: Which call; None where the result came as context.
        output: The result, or why there is none.
        status: Whether there is one.
    """

    tool_call_id: str | None
    output: str | Mapping[str, Any]
    status: Literal["success", "error"] = "success"


Interaction = EchoAudio | EchoText | Respond | Interrupt | Context | Sensitivity | ToolResult


def read(message: Any, conversation_id: str) -> Interaction | None:
    """Read an app message.

    Args:
        message: Any JSON value.
        conversation_id: The conversation that it came in.

    Returns:
        What it asks for, or None where it is not meant for Tavus.

    Raises:
        RefusedMessage: It is meant for Tavus, which would not obey it.
    """
    if not isinstance(message, Mapping):
        return None
    told = cast(Mapping[str, Any], message)
    if "event_type" not in told and told.get("message_type") != "conversation":
        return None
    event_type = told.get("event_type")
    if not isinstance(event_type, str):
        raise RefusedMessage(f"event_type must be a string, not {event_type!r}")
    if told.get("message_type") != "conversation":
        raise _refused(event_type, f"message_type is {told.get('message_type')!r}")
    if told.get("conversation_id") != conversation_id:
        raise _refused(event_type, f"another conversation_id: {told.get('conversation_id')!r}")
    properties = told.get("properties")
    if properties is not None and not isinstance(properties, Mapping):
        raise _refused(event_type, "properties must be an object")
    try:
        return _interaction(event_type, cast(Mapping[str, Any], properties or {}))
    except ValueError as e:
        raise _refused(event_type, str(e)) from None


def _interaction(event_type: str, properties: Mapping[str, Any]) -> Interaction:
    match event_type:
        case "conversation.echo":
            return _echo(properties)
        case "conversation.respond":
            return Respond(_text(properties, "text"))
        case "conversation.interrupt":
            return Interrupt()
        case "conversation.append_llm_context":
            return Context("append", _text(properties, "context"))
        case "conversation.overwrite_llm_context":
            return Context("overwrite", _text(properties, "context"))
        case "conversation.tool_result":
            return _tool_result(properties)
        case "conversation.sensitivity":
            return _sensitivity(properties)
        case _:
            raise ValueError("there is no such event_type")


def _echo(properties: Mapping[str, Any]) -> Interaction:
    modality = properties.get("modality")
    inference_id = properties.get("inference_id")
    if inference_id is not None and not (isinstance(inference_id, str) and inference_id):
        raise ValueError(f"inference_id must be a string, not {inference_id!r}")
    done = properties.get("done", modality == "text")
    if not isinstance(done, bool):
        raise ValueError(f"done must be true or false, not {done!r}")
    if modality == "text":
        return EchoText(_text(properties, "text"), inference_id, done or inference_id is None)
    if modality != "audio":
        raise ValueError(f"modality must be audio or text, not {modality!r}")
    if inference_id is None:
        raise ValueError("audio needs an inference_id")
    rate = properties.get("sample_rate")
    if not isinstance(rate, int) or isinstance(rate, bool) or not 0 < rate <= MAX_SAMPLE_RATE:
        raise ValueError(f"sample_rate must be a number of Hz, not {rate!r}")
    return EchoAudio(inference_id, _pcm(properties.get("audio")), rate, done)


def _pcm(audio: Any) -> bytes:
    if not isinstance(audio, str):
        raise ValueError(f"audio must be a base64 string, not {type(audio).__name__}")
    try:
        pcm = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("audio is not base64") from None
    if not pcm:
        raise ValueError("audio is empty")
    if len(pcm) % 2:
        raise ValueError(f"audio is not PCM16: {len(pcm)} bytes")
    return pcm


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a string that says something, not {value!r}")
    return value


def _tool_result(properties: Mapping[str, Any]) -> ToolResult:
    output, status = properties.get("output"), properties.get("status", "success")
    if not isinstance(output, str | Mapping):
        raise ValueError(f"output must be a string or an object, not {output!r}")
    if status not in ("success", "error"):
        raise ValueError(f"status must be success or error, not {status!r}")
    id = _text(properties, "tool_call_id")
    return ToolResult(id, cast("str | Mapping[str, Any]", output), status)


def _sensitivity(properties: Mapping[str, Any]) -> Sensitivity:
    given = [name for name in _SENSITIVITY_NAMES if properties.get(name) is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of {' and '.join(_SENSITIVITY_NAMES)} must be given")
    value = properties[given[0]]
    if value not in SENSITIVITIES:
        raise ValueError(f"{given[0]} must be one of {', '.join(SENSITIVITIES)}, not {value!r}")
    return Sensitivity(given[0], value)


def _refused(event_type: str, why: str) -> RefusedMessage:
    return RefusedMessage(f"{event_type}: {why}")
