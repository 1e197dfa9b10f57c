#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A client, from what an application gives and from the environment."""

import os
from collections.abc import Mapping
from typing import Any

import aiohttp

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusConfigError
from pipecat_tavus.params import TavusCallbacks, TavusParams
from pipecat_tavus.rest.choosing import existing_conversation
from pipecat_tavus.rest.models import Conversation, ConversationOptions
from pipecat_tavus.room.seam import RoomFactory


def configure_client(
    *,
    bot_name: str,
    callbacks: TavusCallbacks,
    params: TavusParams,
    api_key: str | None,
    session: aiohttp.ClientSession | None,
    replica_id: str | None,
    persona_id: str | None,
    face_id: str | None,
    pal_id: str | None,
    conversation_options: ConversationOptions | None,
    conversation: Conversation | Mapping[str, Any] | None,
    conversation_url: str | None,
    meeting_token: str | None,
    own: bool,
    room_factory: RoomFactory,
    hears_replica: bool = False,
) -> TavusTransportClient:
    """Make the client of a transport or a video service; nothing is opened.

    Args:
        bot_name: The bot's name in the room.
        callbacks: Whom to tell what happens.
        params: The parameters.
        api_key: The Tavus API key, else ``TAVUS_API_KEY``.
        session: The session for REST calls, or None.
        replica_id: The replica, else ``TAVUS_REPLICA_ID``.
        persona_id: The persona, else ``TAVUS_PERSONA_ID``.
        face_id: The replica by its newer name, else ``TAVUS_FACE_ID``.
        pal_id: The persona by its newer name, else ``TAVUS_PAL_ID``.
        conversation_options: All else that the conversation is created with.
        conversation: One that exists, or None.
        conversation_url: The URL of its room, instead.
        meeting_token: Its meeting token.
        own: Whether it is ended all the same.
        room_factory: Makes the room from its configuration.
        hears_replica: Whether the replica's microphone may be received.

    Returns:
        The client.

    Raises:
        TavusConfigError: A value was refused, such as an empty key.
    """
    existing = existing_conversation(conversation, url=conversation_url, token=meeting_token)
    if own and not existing:
        raise TavusConfigError("own=True needs conversation, or conversation_url")
    return TavusTransportClient(
        bot_name=bot_name,
        callbacks=callbacks,
        api_key=api_key or os.getenv("TAVUS_API_KEY", ""),
        replica_id=replica_id,
        persona_id=persona_id,
        face_id=face_id,
        pal_id=pal_id,
        environment=os.environ,
        conversation_options=conversation_options,
        conversation=existing,
        own=own,
        params=params,
        session=session,
        room_factory=room_factory,
        hears_replica=hears_replica,
    )
