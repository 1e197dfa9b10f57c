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


def choose_options(
    options: ConversationOptions | None = None,
    conversation: Conversation | None = None,
    *,
    replica_id: str | None = None,
    face_id: str | None = None,
    persona_id: str | None = None,
    pal_id: str | None = None,
    limits: Mapping[str, int | None] | None = None,
    environment: Mapping[str, str] | None = None,
    places: int = 2,
) -> ConversationOptions:
    """What a conversation is created with; or what is known of one that exists.

    An argument counts before the environment, which is asked only where nothing else names the
    replica or the persona. What is blank counts as not given.

    Args:
        options: What the application gives, or None.
        conversation: One that exists. Of it only the persona matters, from which the audio
            delivery follows, and its own word for it counts first.
        replica_id: The replica, by its old name.
        face_id: The replica, by its new name.
        persona_id: The persona, by its old name; the default one gives way to any other.
        pal_id: The persona, by its new name.
        limits: ``properties`` that hold where the options leave them open.
        environment: Where ``TAVUS_REPLICA_ID``, ``TAVUS_FACE_ID``, ``TAVUS_PERSONA_ID`` and
            ``TAVUS_PAL_ID`` are looked for.
        places: How many ``max_participants`` must let in.

    Returns:
        The options.

    Raises:
        TavusConfigError: A value cannot be right, one thing is named twice, or there are options
            for creating a conversation that exists.
    """
    given = options.body() if options else {}
    if conversation:
        if given:
            raise TavusConfigError(
                "conversation_options are for creating a conversation; this one exists: "
                + ", ".join(given)
            )
        if conversation.persona_id:
            return ConversationOptions(persona_id=conversation.persona_id)
    arguments = {
        "replica_id": replica_id,
        "face_id": face_id,
        "persona_id": None if persona_id == DEFAULT_PERSONA else persona_id,
        "pal_id": pal_id,
    }
    for name, argument in arguments.items():
        value = (argument or "").strip()
        if value and given.setdefault(name, value) != value:
            raise TavusConfigError(
                f"{name} is given twice: {value!r}, and {given[name]!r} in the options"
            )
    default = {} if persona_id is None else {"persona_id": DEFAULT_PERSONA}
    persona = _named(_PERSONA, given, environment or {}) or default
    if conversation:
        return ConversationOptions.model_validate(persona)
    given |= _named(_REPLICA, given, environment or {}) | persona
    properties = {name: value for name, value in (limits or {}).items() if value is not None}
    given["properties"] = properties | given.get("properties", {})
    checked = ConversationOptions.check(**given)
    if checked.max_participants is not None and checked.max_participants < places:
        raise TavusConfigError(
            f"max_participants: {checked.max_participants} leaves nobody to talk to, as the "
            f"replica and the bot count: it takes at least {places}"
        )
    return checked


def _named(
    pair: tuple[str, str], given: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, str]:
    """The one name of two that is given, else the one that the environment has, if any."""
    variables = {f"TAVUS_{name.upper()}": name for name in pair}
    for place, names in ((given, {name: name for name in pair}), (environment, variables)):
        found = {key: value for key in names if (value := str(place.get(key) or "").strip())}
        if len(found) > 1:
            raise TavusConfigError(f"{' and '.join(found)} are two names of the same: give one")
        if found:
            return {names[key]: value for key, value in found.items()}
    return {}


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
            ``https://tavus.daily.co/<id>``), and which may have the token.
        token: The meeting token of a private room, where neither of them has it.

    Returns:
        The conversation, or None where none is given.

    Raises:
        TavusConfigError: Both are given, or what is given is no conversation.
    """
    if conversation is not None and url is not None:
        raise TavusConfigError("conversation and conversation_url name the same: give one")
    if url is not None:
        # Also an empty one: else whoever meant to join one would be billed for another.
        conversation = _at(str(url).strip())
    if conversation is None:
        if token:
            raise TavusConfigError("meeting_token needs conversation_url, or conversation")
        return None
    existing = _read(conversation, {"meeting_token": token} if token else {})
    if not existing.has_room:
        raise TavusConfigError("The conversation has no http or https URL of a room")
    if existing.token and not existing.token.strip("*"):
        raise TavusConfigError(
            "meeting_token is hidden, as pydantic writes it to JSON: hand a conversation over by "
            "pipecat_tavus.runner.handover()"
        )
    return existing


def _at(url: str) -> dict[str, str]:
    """The conversation whose room is at a URL."""
    try:
        room = URL(url)
        if not room.name:
            room = room.parent.with_query(room.query)
    except ValueError:
        room = URL()
    if not (room.host and room.name):
        # Without the URL, which may have a token.
        raise TavusConfigError(
            "conversation_url is no http or https URL of a room, such as "
            "https://tavus.daily.co/<conversation id>"
        )
    return {"conversation_id": room.name, "conversation_url": str(room)}


def _read(conversation: object, known: Mapping[str, Any]) -> Conversation:
    if isinstance(conversation, Conversation):
        conversation = conversation.model_dump()
    if not isinstance(conversation, Mapping):
        raise TavusConfigError(
            f"conversation is a {type(conversation).__name__}, and no Conversation or JSON object "
            "of Tavus's; a URL is given as conversation_url"
        )
    try:
        return Conversation.model_validate({**conversation, **known})
    except ValidationError as e:
        raise TavusConfigError(f"conversation: {describe(e)}") from None
