#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""An RTVI client in the room, which says and prints what Pipecat's client SDKs say and hear."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pipecat.processors.frameworks.rtvi.models import MESSAGE_LABEL, PROTOCOL_VERSION

from pipecat_tavus import TavusRoomClosedError
from pipecat_tavus.sandbox import SandboxPerson

ABOUT = {"library": "pipecat-tavus-example", "library_version": "1"}


class RTVIClient:
    """Speaks RTVI through a person's app messages, and reads the bot's in their order."""

    def __init__(self, person: SandboxPerson):
        """Initialize the client, which says nothing yet.

        Args:
            person: Who is in the room.
        """
        self._person = person
        self._ids = itertools.count(1)
        self._read = 0

    async def send(self, type: str, data: Mapping[str, Any]) -> None:
        """Send a message to the bot.

        Args:
            type: Its type.
            data: Its content.
        """
        print(f"client  {type:22} {json.dumps(data)}", flush=True)
        message = {"label": MESSAGE_LABEL, "type": type, "id": str(next(self._ids)), "data": data}
        await self._person.send_message(message)

    async def read(self, wanted: str, timeout: float = 20.0) -> Mapping[str, Any]:
        """Read on until a message of a type.

        Args:
            wanted: The type.
            timeout: Limit in seconds.

        Returns:
            Its content.

        Raises:
            TimeoutError: None came.
        """
        async with asyncio.timeout(timeout):
            while True:
                for it in self._person.app_messages[self._read :]:
                    self._read += 1
                    type, data = _read(it.message)
                    if type == wanted:
                        print(f"bot     {type:22} {json.dumps(data)}", flush=True)
                        return data
                await asyncio.sleep(0.02)


def _read(message: Any) -> tuple[str, Mapping[str, Any]]:
    """Type and content of an RTVI message; Tavus's messages come as well, and have none."""
    if not isinstance(message, dict) or message.get("label") != MESSAGE_LABEL:
        return "", {}
    return message["type"], message.get("data", {})


async def talk(person: SandboxPerson) -> None:
    """Be a client: interrupt the greeting, hear an answer, ask something, and end the call.

    Args:
        person: Who is in the room.
    """
    client = RTVIClient(person)
    await client.send("client-ready", {"version": PROTOCOL_VERSION, "about": ABOUT})
    await client.read("bot-ready")
    await person.wait_until_replica_speaks()
    await asyncio.sleep(0.6)  # into the greeting, but not to its end

    await client.send("send-text", {"content": "ten of clubs"})
    await client.read("server-message")  # as much as was heard
    for type in ("bot-transcription", "bot-started-speaking", "bot-stopped-speaking"):
        await client.read(type)

    await client.send("client-message", {"t": "history"})
    await client.read("server-response")
    await client.send("client-message", {"t": "weather"})
    await client.read("error-response")
    await client.send("disconnect-bot", {})
    with suppress(TavusRoomClosedError):
        await person.wait_for_message(lambda _: False)  # until the bot has ended the call
