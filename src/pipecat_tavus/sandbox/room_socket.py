#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's end of the WebSocket to a room: requests, their answers, and what comes."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aiohttp
from loguru import logger

from pipecat_tavus.errors import TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.sandbox import wire
from pipecat_tavus.sandbox.picture import Picture

_REQUEST_SECS = 5.0
_CLOSE_SECS = 2.0


class RoomSocket:
    """One connection to one room. It starts no task: somebody must run :meth:`read`."""

    def __init__(
        self,
        on_event: Callable[[Mapping[str, Any]], None],
        on_audio: Callable[[int, bytes, int], None],
        on_picture: Callable[[int, Picture], None],
    ):
        """Initialize a socket that is not connected.

        Args:
            on_event: Gets what the room tells, in its order.
            on_audio: Gets the number of a captured track, mono PCM16 and its rate in Hz.
            on_picture: Gets the number of a watched track and its next picture.
        """
        self._on_event = on_event
        self._on_audio = on_audio
        self._on_picture = on_picture
        self._session: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._answers: dict[int, asyncio.Future[str | None]] = {}
        self._numbers = itertools.count(1)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._ws is not None and not self._ws.closed

    async def open(self, url: str, token: str | None, name: str) -> dict[str, Any]:
        """Connect and ask to be let in.

        Args:
            url: The room's URL, which may carry the token as ``?t=``.
            token: The meeting token, or None.
            name: The bot's name.

        Returns:
            As Daily's join data.

        Raises:
            TavusRoomJoinError: The room cannot be reached, or refuses.
        """
        parts = urlsplit(url)
        token = token or next(iter(parse_qs(parts.query).get("t", [])), None)
        self._session = aiohttp.ClientSession()
        try:
            self._ws = await self._session.ws_connect(
                urlunsplit(parts._replace(query="", fragment="")),
                max_msg_size=wire.MAX_FRAME,
            )
            await self._ws.send_str(
                wire.encode("join", version=wire.VERSION, name=name, token=token)
            )
            message = await self._ws.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise TavusRoomJoinError("The room could not be joined: the connection was cut")
            answer = wire.decode(message.data)
        except aiohttp.WSServerHandshakeError as e:
            # Its text has the URL.
            words = f"{e.status} {e.message}"
            raise TavusRoomJoinError(f"The room could not be joined: {words}") from None
        except (aiohttp.ClientError, OSError, wire.WireError, ValueError) as e:
            words = str(e) or type(e).__name__
            raise TavusRoomJoinError(f"The room could not be joined: {words}") from e
        if answer["type"] != "joined":
            words = answer.get("message") or answer.get("reason") or answer["type"]
            raise TavusRoomJoinError(f"The room could not be joined: {words}")
        return answer["data"]

    async def read(self) -> str:
        """Pass on what comes until the connection ends.

        Returns:
            Why it ended.
        """
        ws, reason = self._ws, "connection lost"
        if ws is None:
            return "never connected"
        try:
            async for message in ws:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self._take_media(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    event = wire.decode(message.data)
                    if event["type"] == "closed":
                        reason = event["reason"]
                    elif event["type"] == "ack":
                        self._answer(event["id"], event["error"])
                    else:
                        self._on_event(event)
        except (wire.WireError, KeyError) as e:
            reason = f"the room said what is none of the protocol: {e!r}"
        finally:
            for number in self._answers:
                self._answer(number, f"the room has closed ({reason})")
        return reason

    async def request(self, what: str, kind: str, **fields: Any) -> None:
        """Ask the room for something and wait until it has done it.

        Args:
            what: What it would mean if not, for the error.
            kind: The type of the request.
            **fields: What belongs to it.

        Raises:
            TavusRoomSendError: It was not done.
        """
        if self._ws is None or self._ws.closed:
            raise TavusRoomSendError(f"{what}: the bot is not in the room")
        number = next(self._numbers)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(_REQUEST_SECS):
                await self._ws.send_str(wire.encode(kind, id=number, **fields))
                error = await answer
        except TimeoutError as e:
            raise TavusRoomSendError(f"{what}: no answer within {_REQUEST_SECS:g} s") from e
        except (aiohttp.ClientError, OSError, wire.WireError) as e:
            raise TavusRoomSendError(f"{what}: {e}") from e
        finally:
            del self._answers[number]
        if error is not None:
            raise TavusRoomSendError(f"{what}: {error}")

    async def send_audio(self, track: int, pcm: bytes, rate: int) -> bool:
        """Send a piece of audio.

        Args:
            track: The number of the track that it belongs to.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.

        Returns:
            Whether there was a connection to send it on.
        """
        if self._ws is None or self._ws.closed:
            return False
        try:
            await self._ws.send_bytes(wire.pack_audio(track, rate, pcm))
        except (aiohttp.ClientError, OSError) as e:
            logger.debug(f"Audio was not sent: {e}")
            return False
        return True

    async def close(self) -> None:
        """Leave the room and disconnect, in bounded time. Harmless when repeated."""
        ws, self._ws = self._ws, None
        session, self._session = self._session, None
        try:
            if ws is not None and not ws.closed:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with asyncio.timeout(_CLOSE_SECS):
                        await ws.send_str(wire.encode("leave"))
                        await ws.close()
        finally:
            if session is not None:
                await session.close()
            for number in self._answers:
                self._answer(number, "the bot left the room")

    def _take_media(self, frame: bytes) -> None:
        if wire.is_picture(frame):
            self._on_picture(*wire.unpack_picture(frame))
        else:
            track, rate, pcm = wire.unpack_audio(frame)
            self._on_audio(track, pcm, rate)

    def _answer(self, number: int, error: str | None) -> None:
        answer = self._answers.get(number)
        if answer is not None and not answer.done():
            answer.set_result(error)
