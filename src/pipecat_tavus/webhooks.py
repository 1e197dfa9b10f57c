#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What Tavus posts to a conversation's ``callback_url``, as types.

Source: Tavus's documentation, "Webhooks and Callbacks" (conversation callbacks) and
"Conversation Recordings". They carry no signature: **whoever finds the URL can post what Tavus
would**. So let the URL have a part that nobody guesses, and take only what is about a
conversation that you know.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
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

from pipecat_tavus.errors import TavusWebhookError
from pipecat_tavus.events import event_reading as read


def _moment(value: Any) -> datetime | None:
    """A time, told in ISO 8601 or in Unix seconds; else None."""
    seconds = read.number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None


def _objects(value: Any) -> list[Any]:
    """The objects of a list; what is no list cannot be used, and is not an empty one."""
    if not isinstance(value, list):
        raise ValueError("no list")
    return read.objects(cast("list[Any]", value))


_Text = Annotated[str, BeforeValidator(read.text)]
_MaybeText = Annotated[str | None, BeforeValidator(read.text)]
_MaybeFloat = Annotated[float | None, BeforeValidator(read.number)]
_MaybeTime = Annotated[datetime | None, BeforeValidator(_moment)]


class WebhookBase(BaseModel, frozen=True):
    """What all webhooks have. What is missing or of a wrong type is None.

    Parameters:
        event_type: The type.
        conversation_id: The conversation.
        message_type: ``system`` or ``application``.
        webhook_url: Where it was posted to; it is in no log, since it may have a secret part.
        timestamp: When it was made.
        replica_id: The replica.
        raw: The body as it came, whole.
    """

    event_type: str
    conversation_id: _Text
    message_type: _MaybeText = None
    webhook_url: _MaybeText = Field(default=None, repr=False)
    timestamp: _MaybeTime = None
    replica_id: _MaybeText = None
    raw: SkipValidation[Mapping[str, Any]] = Field(default_factory=dict[str, Any], repr=False)


class ReplicaJoinedWebhook(WebhookBase, frozen=True):
    """The replica is ready for the conversation (``system.replica_joined``)."""

    event_type: Literal["system.replica_joined"] = "system.replica_joined"


class ShutdownWebhook(WebhookBase, frozen=True):
    """The conversation is over (``system.shutdown``).

    Parameters:
        reason: Why, at most 200 characters, such as ``participant_left_timeout reached``.
    """

    event_type: Literal["system.shutdown"] = "system.shutdown"
    reason: str = Field(default="no reason given", max_length=read.REASON_LENGTH)


class TranscriptMessage(BaseModel, frozen=True):
    """One message of a transcript.

    Parameters:
        role: Such as ``user``, ``assistant`` or ``system``.
        content: The words.
    """

    role: _MaybeText = None
    content: _MaybeText = None


class TranscriptionReadyWebhook(WebhookBase, frozen=True):
    """What was said, once the conversation is over (``application.transcription_ready``).

    Parameters:
        transcript: The messages.
    """

    event_type: Literal["application.transcription_ready"] = "application.transcription_ready"
    transcript: Annotated[list[TranscriptMessage], BeforeValidator(_objects)] = Field(repr=False)


class RecordingReadyWebhook(WebhookBase, frozen=True):
    """The recording is in your own storage (``application.recording_ready``).

    Parameters:
        storage_provider: Such as ``s3``, in newer forms.
        storage_uri: The recording, in newer forms.
        bucket_name: The S3 bucket.
        s3_key: The recording in the bucket.
        duration: How long it is, in seconds.
    """

    event_type: Literal["application.recording_ready"] = "application.recording_ready"
    storage_provider: _MaybeText = None
    storage_uri: _MaybeText = None
    bucket_name: _MaybeText = None
    s3_key: _MaybeText = None
    duration: _MaybeFloat = None


class PerceptionAnalysisWebhook(WebhookBase, frozen=True):
    """What Tavus saw in the whole conversation (``application.perception_analysis``).

    Parameters:
        analysis: The analysis as Tavus sends it: a text, so far.
    """

    event_type: Literal["application.perception_analysis"] = "application.perception_analysis"
    analysis: SkipValidation[Any] = Field(repr=False)


class UnknownWebhook(WebhookBase, frozen=True):
    """A webhook of a type that is not known here, or whose content cannot be used."""

    event_type: _Text


def _tag(data: Any) -> str:
    return read.tag(data, _TYPES)


TavusWebhook = Annotated[
    Annotated[ReplicaJoinedWebhook, Tag("system.replica_joined")]
    | Annotated[ShutdownWebhook, Tag("system.shutdown")]
    | Annotated[TranscriptionReadyWebhook, Tag("application.transcription_ready")]
    | Annotated[RecordingReadyWebhook, Tag("application.recording_ready")]
    | Annotated[PerceptionAnalysisWebhook, Tag("application.perception_analysis")]
    | Annotated[UnknownWebhook, Tag(read.UNKNOWN)],
    Discriminator(_tag),
]
"""Any webhook about a conversation. Told apart by ``event_type``, or by ``isinstance()``."""

_KNOWN: tuple[type[WebhookBase], ...] = (
    ReplicaJoinedWebhook,
    ShutdownWebhook,
    TranscriptionReadyWebhook,
    RecordingReadyWebhook,
    PerceptionAnalysisWebhook,
)
_TYPES = read.types_of(_KNOWN)
_ADAPTER: TypeAdapter[TavusWebhook] = TypeAdapter(TavusWebhook)


def parse_webhook(body: bytes | bytearray | str | Mapping[str, Any]) -> TavusWebhook:
    """Read what was posted to a conversation's ``callback_url``.

    Nothing proves that it was Tavus who posted it: see whether you know the conversation.
    Tavus's webhooks about replicas and videos are others, and are none of these.

    Args:
        body: The body of the request, or the JSON object that it holds.

    Returns:
        The webhook; an :class:`UnknownWebhook` where its type is not known or its content
        cannot be used.

    Raises:
        TavusWebhookError: It is no webhook about a conversation. What was posted is not in the
            error's text.
    """
    if isinstance(body, bytes | bytearray | str):
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise TavusWebhookError("The webhook is not JSON") from None
    else:
        data = body
    if not isinstance(data, Mapping):
        raise TavusWebhookError(f"The webhook is not a JSON object, but {type(data).__name__}")
    message = cast("Mapping[Any, Any]", data)
    for name in ("event_type", "conversation_id"):
        if not read.text(message.get(name)):
            raise TavusWebhookError(f"The webhook has no {name}")
    event_type = cast("str", message["event_type"])
    flat = read.normalise(message, event_type)
    # What the properties say of the envelope is not the envelope's word.
    flat |= {name: message[name] for name in ("message_type", "webhook_url") if name in message}
    try:
        return _ADAPTER.validate_python(flat)
    except (ValidationError, RecursionError):
        about = {name: flat.get(name) for name in WebhookBase.model_fields}
        return UnknownWebhook.model_validate(about)
