#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tavus's messages brought to one form, before they are taken for events.

Whatever JSON comes, nothing here raises, nor takes longer than its length. What is missing
or of a wrong type becomes None. Source: Tavus's interactions protocol.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel

UNKNOWN = "unknown"
"""The tag of what is of no known type."""

REASON_LENGTH = 200
_MAX_INT = 2**63 - 1


def types_of(models: Iterable[type[BaseModel]]) -> frozenset[str]:
    """The values of ``event_type`` that models are for."""
    return frozenset(cast("str", it.model_fields["event_type"].default) for it in models)


def tag(data: Any, types: frozenset[str]) -> str:
    """Which of a union's models is meant by data, or by a model: its type, if it is known."""
    event_type = data.get("event_type") if isinstance(data, dict) else data.event_type  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("str", event_type) if event_type in types else UNKNOWN


def text(value: Any) -> str | None:
    """A text that can be printed and sent on, or None."""
    # A lone surrogate, which JSON can spell, can be neither printed nor sent on.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """A whole number, or a text of digits; else None."""
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INT:
        return value
    return None


def number(value: Any) -> float | None:
    """A finite number, or a text of one; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > 40:
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def flag(value: Any) -> bool:
    """Whether it is true, or the text ``true``."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1")
    return isinstance(value, int) and value == 1


def objects(value: Any) -> list[Any]:
    """The objects of a list, or none where it is no list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [it for it in items if not isinstance(it, str | int | float | list | None)]


def normalise(message: Mapping[Any, Any], event_type: str) -> dict[str, Any]:
    """Bring a message to the one form: flat, its type and role told in the newest way.

    Args:
        message: The message.
        event_type: Its ``event_type``.

    Returns:
        The envelope and the properties beside each other, and the message itself as ``raw``.
    """
    properties = mapping(message.get("properties"))
    flat: dict[Any, Any] = dict(message)
    # Properties are where they belong before they are beside the envelope, and the envelope
    # is what it is before a property bears its name.
    flat.update((key, value) for key, value in properties.items() if value is not None)
    for key in _ENVELOPE:
        flat[key] = message.get(key) if message.get(key) is not None else properties.get(key)
    flat["event_type"], role = _type_and_role(text(event_type) or "")
    flat["role"] = role or _ROLES.get(_word(flat.get("role")))
    flat.pop("late", None)
    flat["raw"] = message
    if prepare := _PREPARE.get(flat["event_type"]):
        prepare(flat, message, properties)
    return flat


def envelope(message: Mapping[Any, Any], event_type: str) -> dict[str, Any]:
    """Only what every message has, for one whose content cannot be used.

    Args:
        message: The message.
        event_type: Its ``event_type``.

    Returns:
        The envelope, and the message itself as ``raw``.
    """
    return {
        **{key: message.get(key) for key in _ENVELOPE},
        "event_type": text(event_type),
        "raw": message,
    }


_ENVELOPE = ("conversation_id", "seq", "turn_idx", "timestamp", "inference_id")
_ROLES = {"replica": "replica", "pal": "replica", "user": "user"}
_OF_A_ROLE = {
    "conversation.started_speaking",
    "conversation.stopped_speaking",
    "conversation.utterance",
    "conversation.utterance.streaming",
}


def mapping(value: Any) -> Mapping[Any, Any]:
    """A JSON object, or an empty one where it is none."""
    return cast("Mapping[Any, Any]", value) if isinstance(value, Mapping) else {}


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) and len(value) < 20 else ""


def _type_and_role(event_type: str) -> tuple[str, str | None]:
    """The newest name of a type, and the role that an older one tells."""
    parts = event_type.split(".", 2)
    if len(parts) == 3 and parts[0] == "conversation" and parts[1] in _ROLES:
        name = f"conversation.{parts[2]}"
        if name in _OF_A_ROLE:
            return name, _ROLES[parts[1]]
    return event_type, None


def _prepare_reason(
    flat: dict[Any, Any], message: Mapping[Any, Any], properties: Mapping[Any, Any]
) -> None:
    told = (
        place.get(key) for place in (properties, message) for key in ("shutdown_reason", "reason")
    )
    reasons = (text(it) for it in told)
    reason = next((it for it in reasons if it), "no reason given")
    flat["reason"] = reason[:REASON_LENGTH]


def _prepare_arguments(
    flat: dict[Any, Any], message: Mapping[Any, Any], properties: Mapping[Any, Any]
) -> None:
    given = flat.get("arguments")
    read: Any = given
    if isinstance(given, str):
        try:
            read = json.loads(given)
        except (ValueError, RecursionError):
            read = None
    # JSON's keys are texts; a message that is handed over as it is may have others.
    is_object = isinstance(read, Mapping)
    flat["arguments"] = {str(key): value for key, value in mapping(read).items()}
    flat["arguments_text"] = None if is_object or given is None else str(given)


_PREPARE: dict[str, Callable[[dict[Any, Any], Mapping[Any, Any], Mapping[Any, Any]], None]] = {
    "system.shutdown": _prepare_reason,
    "conversation.tool_call": _prepare_arguments,
    "conversation.perception_tool_call": _prepare_arguments,
}
