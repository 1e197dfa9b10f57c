#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a conversation is created with, from all the places that may say so. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from yarl import URL

from pipecat_tavus.errors import TavusConfigError
from pipecat_tavus.rest.models import Conversation, ConversationOptions, describe

DEFAULT_PERSONA = "pipecat-stream"
"""The ready-made persona that speaks the audio track ``stream``."""

# The old name and the new one of the same.
_REPLICA = ("replica_id", "face_id")
_PERSONA = ("persona_id", "pal_id")


def complete_options(
    options: ConversationOptions | None,
    *,
    replica_id: str | None = None,
    face_id: str | None = None,
    persona_id: str | None = None,
    pal_id: str | None = None,
    limits: Mapping[str, int | None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ConversationOptions:
    """Complete the options: an argument counts before the environment.

    Args:
        options: What the application gives, or None.
        replica_id: The replica, by its old name.
        face_id: The replica, by its new name.
        persona_id: The persona, by its old name; the default one gives way to any other.
        pal_id: The persona, by its new name.
        limits: ``properties`` that hold where the options leave them open.
        environment: Where ``TAVUS_REPLICA_ID``, ``TAVUS_FACE_ID`` and ``TAVUS_PAL_ID`` are
            looked for, where nothing else names the replica or the persona.

    Returns:
        The options.

    Raises:
        TavusConfigError: A value cannot be right, or one thing is named twice.
    """
    given = options.body() if options else {}
    arguments = {
        "replica_id": replica_id,
        "face_id": face_id,
        "persona_id": None if persona_id == DEFAULT_PERSONA else persona_id,
        "pal_id": pal_id,
    }
    for name, value in arguments.items():
        if value and given.setdefault(name, value) != value:
            raise TavusConfigError(
                f"{name} is given twice: {value!r}, and {given[name]!r} in the options"
            )
    for pair in (_REPLICA, _PERSONA):
        if not any(given.get(name) for name in pair):
            named = {name: (environment or {}).get(f"TAVUS_{name.upper()}") for name in pair}
            given |= {name: value for name, value in named.items() if value}
    if persona_id and not any(given.get(name) for name in _PERSONA):
        given["persona_id"] = persona_id
    properties = {name: value for name, value in (limits or {}).items() if value is not None}
    given["properties"] = properties | given.get("properties", {})
    return ConversationOptions.check(**given)


def existing_conversation(
    conversation: Conversation | Mapping[str, Any] | None = None,
    *,
    url: str | None = None,
    token: str | None = None,
) -> Conversation | None:
    """The conversation that somebody else created, from what is known of it.

    Args:
        conversation: It, as a model or as Tavus's JSON.
        url: The URL of its room instead, whose last part is its id (Tavus's documentation:
            ``https://tavus.daily.co/<id>``).
        token: The meeting token of a private room, where neither of them has it.

    Returns:
        The conversation, or None where none is given.

    Raises:
        TavusConfigError: Both are given, or what is given is no conversation.
    """
    if conversation is not None and url:
        raise TavusConfigError("conversation and conversation_url name the same: give one")
    if url:
        conversation = {"conversation_id": URL(url).name, "conversation_url": url}
    if conversation is None:
        if token:
            raise TavusConfigError("meeting_token needs conversation_url, or conversation")
        return None
    given = conversation.model_dump() if isinstance(conversation, Conversation) else conversation
    try:
        existing = Conversation.model_validate(
            {**given, "meeting_token": token} if token else given
        )
    except ValidationError as e:
        raise TavusConfigError(f"conversation: {describe(e)}") from None
    if not existing.url.startswith(("http://", "https://")) or not URL(existing.url).host:
        raise TavusConfigError("The conversation has no http or https URL of a room")
    return existing


def attached_options(
    conversation: Conversation, options: ConversationOptions | None, persona_id: str | None
) -> ConversationOptions:
    """What is known of the options that an existing conversation was created with.

    Args:
        conversation: The conversation.
        options: Options to create one with, which there must not be.
        persona_id: Its persona, where the conversation does not name it.

    Returns:
        Its persona, from which its audio delivery follows.

    Raises:
        TavusConfigError: There are options.
    """
    if options and options.body():
        raise TavusConfigError(
            "conversation_options are for creating a conversation; this one exists: "
            + ", ".join(options.body())
        )
    return ConversationOptions(persona_id=conversation.persona_id or persona_id)
