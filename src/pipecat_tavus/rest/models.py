#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What Tavus's REST API takes and answers of conversations, as types.

Answers keep the fields that this library does not know, and options that it does not know
are sent as they are: Tavus adds both often.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from yarl import URL

from pipecat_tavus.errors import TavusConfigError

MAX_CALL_DURATION_SECS = 3600

Seconds = Annotated[int, Field(ge=0)]


class ConversationProperties(BaseModel):
    """The ``properties`` of a conversation; fields that are None are not sent.

    Parameters:
        max_call_duration: Longest duration in seconds, at most 3600, Tavus's default.
        participant_left_timeout: Seconds to go on after the last participant left (default 0).
        participant_absent_timeout: Seconds to wait for a first participant (default 300).
        enable_recording: Whether the call is recorded.
        enable_closed_captions: Whether captions are shown.
        apply_greenscreen: Whether the replica stands before green.
        language: Full name of the language, or ``multilingual``.
        recording_s3_bucket_name: Where recordings go.
        recording_s3_bucket_region: The bucket's region.
        aws_assume_role_arn: The role that may write there.
    """

    model_config = ConfigDict(extra="allow")

    max_call_duration: Annotated[int, Field(ge=1, le=MAX_CALL_DURATION_SECS)] | None = None
    participant_left_timeout: Seconds | None = None
    participant_absent_timeout: Seconds | None = None
    enable_recording: bool | None = None
    enable_closed_captions: bool | None = None
    apply_greenscreen: bool | None = None
    language: str | None = None
    recording_s3_bucket_name: str | None = None
    recording_s3_bucket_region: str | None = None
    aws_assume_role_arn: str | None = None


class ConversationOptions(BaseModel):
    """The body of ``POST /conversations``; fields that are None are not sent.

    Parameters:
        replica_id: The replica, if not the persona's own.
        face_id: The same, by its newer name.
        persona_id: The persona.
        pal_id: The same, by its newer name.
        conversation_name: A name for the lists of Tavus. A transport adds to it what makes it
            unique.
        conversational_context: What the persona should know of this conversation.
        custom_greeting: What the replica says first.
        audio_only: Whether there is no video.
        callback_url: Where webhooks go; in no repr, since it may have a secret part.
        memory_stores: Memories to use.
        document_ids: Documents to use.
        document_tags: Documents to use, by tag.
        document_retrieval_strategy: How documents are searched.
        test_mode: Whether only the room is made: no replica, no cost, no slot.
        require_auth: Whether the room is private; the answer then has a ``meeting_token``.
        max_participants: How many may be in the room, the replica included; at least 2.
        properties: Limits and features of the call.
    """

    model_config = ConfigDict(extra="allow")

    replica_id: str | None = None
    face_id: str | None = None
    persona_id: str | None = None
    pal_id: str | None = None
    conversation_name: str | None = None
    conversational_context: str | None = None
    custom_greeting: str | None = None
    audio_only: bool | None = None
    callback_url: str | None = Field(default=None, repr=False)
    memory_stores: list[str] | None = None
    document_ids: list[str] | None = None
    document_tags: list[str] | None = None
    document_retrieval_strategy: Literal["speed", "quality", "balanced"] | None = None
    test_mode: bool | None = None
    require_auth: bool | None = None
    max_participants: Annotated[int, Field(ge=2)] | None = None
    properties: ConversationProperties | None = None

    @field_validator("replica_id", "face_id", "persona_id", "pal_id")
    @classmethod
    def _blank_is_absent(cls, value: str | None) -> str | None:
        return (value or "").strip() or None

    @field_validator("callback_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be an http or https URL")
        return value

    @model_validator(mode="before")
    @classmethod
    def _move_properties(cls, data: Any) -> Any:
        # `max_call_duration=600` beside the others is what everybody writes first. Sent
        # as it is, Tavus would ignore it, and the call would run for an hour.
        if not isinstance(data, Mapping):
            return data
        options = dict(cast("Mapping[str, Any]", data))
        names = ConversationProperties.model_fields.keys() & options.keys()
        moved = {name: value for name in names if (value := options.pop(name)) is not None}
        given: Any = options.get("properties") or dict[str, Any]()
        if isinstance(given, ConversationProperties):
            given = given.model_dump(exclude_none=True)
        if moved and isinstance(given, Mapping):
            properties = {**cast("Mapping[str, Any]", given)}
            for name, value in moved.items():
                if properties.setdefault(name, value) != value:
                    raise ValueError(f"{name} is given twice, and differently in properties")
            options["properties"] = properties
        return options

    @model_validator(mode="after")
    def _one_name_each(self) -> "ConversationOptions":
        for old, new in (("replica_id", "face_id"), ("persona_id", "pal_id")):
            if getattr(self, old) and getattr(self, new):
                raise ValueError(f"{old} and {new} are two names of the same: give one")
        return self

    @property
    def persona(self) -> str | None:
        """The persona, by whichever name it is given."""
        return self.persona_id or self.pal_id

    @classmethod
    def check(cls, **options: Any) -> "ConversationOptions":
        """Build complete options, or say which value is wrong and why.

        Args:
            **options: Fields of this model, of its ``properties``, or new ones of Tavus's.

        Returns:
            The options.

        Raises:
            TavusConfigError: A value cannot be right.
        """
        try:
            checked = cls.model_validate(options)
            json.dumps(checked.body(), allow_nan=False)
        except ValidationError as e:
            raise TavusConfigError(describe(e)) from None
        except (TypeError, ValueError, RecursionError) as e:
            raise TavusConfigError(f"An option cannot be sent as JSON: {e}") from None
        if not (checked.replica_id or checked.face_id or checked.persona):
            raise TavusConfigError("replica_id or persona_id is needed (TAVUS_REPLICA_ID)")
        return checked

    def body(self) -> dict[str, Any]:
        """The JSON body to send: only what was given."""
        return self.model_dump(exclude_none=True)


class Conversation(BaseModel):
    """A conversation, as created or looked up.

    Parameters:
        conversation_id: Its id.
        conversation_url: The URL of its room, without a token: one that comes as its
            ``?t=`` becomes the ``meeting_token``.
        conversation_name: Its name.
        status: ``active`` or ``ended``.
        callback_url: Where its webhooks go; in no repr.
        replica_id: Its replica.
        persona_id: Its persona.
        created_at: When it was created, as Tavus writes it.
        meeting_token: The token that a private room wants, hidden in reprs and logs.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True, coerce_numbers_to_str=True)

    conversation_id: str = Field(min_length=1)
    conversation_url: str = Field(default="", repr=False)
    conversation_name: str | None = None
    status: str = "active"
    callback_url: str | None = Field(default=None, repr=False)
    replica_id: str | None = Field(
        default=None, validation_alias=AliasChoices("replica_id", "face_id")
    )
    persona_id: str | None = Field(
        default=None, validation_alias=AliasChoices("persona_id", "pal_id")
    )
    created_at: str | None = None
    meeting_token: SecretStr | None = None

    @model_validator(mode="after")
    def _token_is_apart(self) -> "Conversation":
        # The URL is shown, logged and handed on.
        try:
            url = URL(self.conversation_url)
            if token := url.query.get("t"):
                self.conversation_url = str(url.without_query_params("t"))
                self.meeting_token = self.meeting_token or SecretStr(token)
        except ValueError:
            # It is left as it is, and spoils no list of others: see `has_room`.
            pass
        return self

    @property
    def has_room(self) -> bool:
        """Whether its URL can be one of a room."""
        try:
            url = URL(self.conversation_url)
        except ValueError:
            return False
        return url.scheme in ("http", "https") and bool(url.host)

    @property
    def id(self) -> str:
        """The conversation's id."""
        return self.conversation_id

    @property
    def url(self) -> str:
        """The room's URL, for the front end."""
        return self.conversation_url

    @property
    def token(self) -> str | None:
        """The meeting token in plain text, or None for a public room."""
        return self.meeting_token.get_secret_value() if self.meeting_token else None

    @property
    def join_url(self) -> str:
        """What to give the person: the room's URL, with the token that a private room wants.

        Source: Tavus's documentation of private rooms, ``?t=TOKEN``. It is a secret then, and
        lets somebody in until :attr:`token_expires_at`.
        """
        return str(URL(self.url).update_query(t=self.token)) if self.token else self.url

    @property
    def token_expires_at(self) -> datetime | None:
        """Until when the meeting token lets somebody in, if it says so.

        Tavus's tokens are JSON web tokens that expire after ``participant_absent_timeout``.
        """
        try:
            claims = (self.token or "").split(".")[1]
            data = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            return datetime.fromtimestamp(data["exp"], UTC)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError):
            return None


class ConversationPage(BaseModel):
    """One page of a list of conversations.

    Parameters:
        data: The conversations of this page.
        total_count: How many there are on all pages.
    """

    model_config = ConfigDict(extra="allow")

    # Not optional: an answer that has none is no empty list, but something else.
    data: list[Conversation]
    total_count: int = 0


def describe(error: ValidationError) -> str:
    """Which values are wrong and why, on one line.

    Args:
        error: What pydantic found.

    Returns:
        Such as ``max_participants: Input should be greater than or equal to 2 (got 1)``.
    """
    parts: list[str] = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        got: Any = item["input"]
        # A larger value may hold a token, and a token is one.
        shown = isinstance(got, int | float | str) and "token" not in where
        place = f"{where}: " if where else ""
        parts.append(place + reason + (f" (got {got!r})" if shown else ""))
    return "; ".join(parts)
