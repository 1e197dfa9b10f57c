#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tavus's messages in the room as types, read from whatever JSON comes.

Source: Tavus's interactions protocol, the messages from Tavus. The same thing has come to be
said in several forms, which all become one event here:

- the speaking events of a role (``conversation.replica.started_speaking``) and those with the
  role among their properties (``conversation.started_speaking``);
- the roles ``pal`` and ``replica``, which are one;
- properties in ``properties``, or beside the envelope.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    SkipValidation,
    Tag,
    TypeAdapter,
    ValidationError,
)

from pipecat_tavus.events import event_reading as read

Role = Literal["replica", "user"]

_Text = Annotated[str, BeforeValidator(read.text)]
_MaybeText = Annotated[str | None, BeforeValidator(read.text)]
_MaybeInt = Annotated[int | None, BeforeValidator(read.whole)]
_MaybeFloat = Annotated[float | None, BeforeValidator(read.number)]
_Flag = Annotated[bool, BeforeValidator(read.flag)]
_Analysis = SkipValidation[Any]


class EventBase(BaseModel, frozen=True):
    """What all of Tavus's messages have. What is missing or of a wrong type is None.

    Parameters:
        event_type: The type; one for all forms of the same event.
        conversation_id: The conversation.
        seq: Tavus's number of this event, which grows: a higher one was sent later.
        turn_idx: The turn of the conversation that it belongs to.
        timestamp: When it was made, in Unix seconds.
        inference_id: The utterance that it belongs to.
        late: Whether a newer event about the same thing, such as whether the replica
            speaks, was delivered before. It tells of the past, and nothing should be
            turned back on its word.
        raw: The message as it came, whole.
    """

    event_type: str
    conversation_id: _MaybeText = None
    seq: _MaybeInt = None
    turn_idx: _MaybeInt = None
    timestamp: _MaybeFloat = None
    inference_id: _MaybeText = None
    late: _Flag = False
    raw: SkipValidation[Mapping[str, Any]] = Field(default_factory=dict[str, Any], repr=False)


class ReplicaJoinedEvent(EventBase, frozen=True):
    """The replica has joined the room (``system.replica_joined``)."""

    event_type: Literal["system.replica_joined"] = "system.replica_joined"


class ReplicaPresentEvent(EventBase, frozen=True):
    """The replica is still in the room (``system.replica_present``).

    Parameters:
        attempt: How many times this was told.
    """

    event_type: Literal["system.replica_present"] = "system.replica_present"
    attempt: _MaybeInt = None


class ShutdownEvent(EventBase, frozen=True):
    """Tavus ends the conversation (``system.shutdown``).

    Parameters:
        reason: Why, at most 200 characters.
    """

    event_type: Literal["system.shutdown"] = "system.shutdown"
    reason: str = Field(default="no reason given", max_length=read.REASON_LENGTH)


class StartedSpeakingEvent(EventBase, frozen=True):
    """The replica or a user has started to speak (``conversation.started_speaking``).

    Parameters:
        role: Who.
    """

    event_type: Literal["conversation.started_speaking"] = "conversation.started_speaking"
    role: Role


class StoppedSpeakingEvent(EventBase, frozen=True):
    """The replica or a user has stopped speaking (``conversation.stopped_speaking``).

    Parameters:
        role: Who.
        interrupted: Whether there was more to say.
        duration: For how many seconds they spoke, where Tavus knows.
    """

    event_type: Literal["conversation.stopped_speaking"] = "conversation.stopped_speaking"
    role: Role
    interrupted: _Flag = False
    duration: _MaybeFloat = None


class UtteranceEvent(EventBase, frozen=True):
    """What somebody says, whole (``conversation.utterance``).

    Of the replica it is what it is about to say. What it has said, as far as it was
    interrupted or not, is in the :class:`StreamingUtteranceEvent`.

    Parameters:
        role: Who.
        speech: The words.
        visual_context: What Tavus saw meanwhile.
        user_audio_analysis: How the user sounded.
        user_visual_analysis: How the user looked.
    """

    event_type: Literal["conversation.utterance"] = "conversation.utterance"
    role: Role
    speech: _Text
    visual_context: _Analysis = None
    user_audio_analysis: _Analysis = None
    user_visual_analysis: _Analysis = None


class StreamingUtteranceEvent(EventBase, frozen=True):
    """What was really spoken so far (``conversation.utterance.streaming``).

    Parameters:
        role: Who.
        content_index: Which piece of the utterance this is, counted from 0.
        speech: The words so far.
        final: Whether nothing follows.
        is_interrupted: Whether the utterance was cut off here.
    """

    event_type: Literal["conversation.utterance.streaming"] = "conversation.utterance.streaming"
    role: Role
    content_index: _MaybeInt = None
    speech: _Text
    final: _Flag = False
    is_interrupted: _Flag = False


class ToolCallEvent(EventBase, frozen=True):
    """Tavus's LLM calls a tool of the persona's (``conversation.tool_call``).

    Parameters:
        tool_call_id: The call, which a result names; None from a Tavus that takes no results
            but as context.
        name: The tool.
        arguments: The arguments, read; empty where they are no JSON object.
        arguments_text: The arguments as they came, where they are no JSON object.
    """

    event_type: Literal["conversation.tool_call"] = "conversation.tool_call"
    tool_call_id: _MaybeText = None
    name: _Text
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    arguments_text: _MaybeText = None


class PerceptionImage(BaseModel, frozen=True):
    """An image that made Tavus's perception call a tool.

    Parameters:
        data: The image, base64.
        mime_type: Such as ``image/jpeg``.
    """

    data: _MaybeText = Field(default=None, repr=False)
    mime_type: _MaybeText = None


class PerceptionToolCallEvent(EventBase, frozen=True):
    """Tavus's perception calls a tool (``conversation.perception_tool_call``).

    Parameters:
        tool_call_id: The call, which a result names; None from a Tavus that takes no results
            but as context.
        modality: ``vision`` or ``audio``.
        name: The tool.
        arguments: The arguments, read; empty where they are no JSON object.
        arguments_text: The arguments as they came, where they are no JSON object.
        frames: What was seen.
    """

    event_type: Literal["conversation.perception_tool_call"] = "conversation.perception_tool_call"
    tool_call_id: _MaybeText = None
    modality: _MaybeText = None
    name: _Text
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    arguments_text: _MaybeText = None
    frames: Annotated[list[PerceptionImage], BeforeValidator(read.objects)] = Field(
        default_factory=list[PerceptionImage]
    )


class PerceptionAnalysisEvent(EventBase, frozen=True):
    """What Tavus saw in the whole conversation (``conversation.perception_analysis``).

    Parameters:
        analysis: The analysis as Tavus sends it: a text, so far.
    """

    event_type: Literal["conversation.perception_analysis"] = "conversation.perception_analysis"
    analysis: _Analysis


class UnknownEvent(EventBase, frozen=True):
    """A message of a type that is not known here, or whose content cannot be used."""

    event_type: _Text


def _tag(data: Any) -> str:
    return read.tag(data, _TYPES)


TavusEvent = Annotated[
    Annotated[ReplicaJoinedEvent, Tag("system.replica_joined")]
    | Annotated[ReplicaPresentEvent, Tag("system.replica_present")]
    | Annotated[ShutdownEvent, Tag("system.shutdown")]
    | Annotated[StartedSpeakingEvent, Tag("conversation.started_speaking")]
    | Annotated[StoppedSpeakingEvent, Tag("conversation.stopped_speaking")]
    | Annotated[UtteranceEvent, Tag("conversation.utterance")]
    | Annotated[StreamingUtteranceEvent, Tag("conversation.utterance.streaming")]
    | Annotated[ToolCallEvent, Tag("conversation.tool_call")]
    | Annotated[PerceptionToolCallEvent, Tag("conversation.perception_tool_call")]
    | Annotated[PerceptionAnalysisEvent, Tag("conversation.perception_analysis")]
    | Annotated[UnknownEvent, Tag(read.UNKNOWN)],
    Discriminator(_tag),
]
"""Any message of Tavus's. Told apart by ``event_type``, or by ``isinstance()``."""

_KNOWN: tuple[type[EventBase], ...] = (
    ReplicaJoinedEvent,
    ReplicaPresentEvent,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    UtteranceEvent,
    StreamingUtteranceEvent,
    ToolCallEvent,
    PerceptionToolCallEvent,
    PerceptionAnalysisEvent,
)
_TYPES = read.types_of(_KNOWN)
_ADAPTER: TypeAdapter[TavusEvent] = TypeAdapter(TavusEvent)


def parse_event(message: Any) -> TavusEvent | None:
    """Read an app message.

    Args:
        message: The message, of any JSON type, from anybody.

    Returns:
        The event; an :class:`UnknownEvent` where its type is not known or its content
        cannot be used; None where it is no message in Tavus's form.
    """
    if not isinstance(message, Mapping):
        return None
    data = cast("Mapping[Any, Any]", message)
    event_type = data.get("event_type")
    if not isinstance(event_type, str):
        return None
    try:
        return _ADAPTER.validate_python(read.normalise(data, event_type))
    except (ValidationError, RecursionError):
        return UnknownEvent.model_validate(read.envelope(data, event_type))
