#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tavus's messages in the room, read from whatever JSON comes."""

from collections.abc import Mapping
from typing import Any, cast


def shutdown_reason(message: Any) -> str | None:
    """Why Tavus shuts the conversation down, if that is what a message says.

    Source: Tavus's interactions protocol, ``system.shutdown``: ``reason`` or
    ``shutdown_reason``, in ``properties`` or beside it.

    Args:
        message: An app message, of any JSON type.

    Returns:
        The reason, or None where the message is another.
    """
    if not isinstance(message, Mapping):
        return None
    data = cast("Mapping[Any, Any]", message)
    if data.get("event_type") != "system.shutdown":
        return None
    properties = data.get("properties")
    places = [data]
    if isinstance(properties, Mapping):
        places.insert(0, cast("Mapping[Any, Any]", properties))
    for place in places:
        for key in ("shutdown_reason", "reason"):
            reason = place.get(key)
            if isinstance(reason, str) and reason:
                return reason[:200]
    return "no reason given"
