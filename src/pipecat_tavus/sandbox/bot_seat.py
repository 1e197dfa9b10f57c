#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A bot's seat in a room: the server's end of its WebSocket."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web
from loguru import logger

from pipecat_tavus.errors import TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.sandbox import wire
from pipecat_tavus.sandbox.faults import Faults
from pipecat_tavus.sandbox.picture import Picture
from pipecat_tavus.sandbox.room_hub import Room

_MAX_WAITING = 3000
_MAX_AUDIO_WAITING = 1500
_WRITE_SECS = 5.0


class BotSeat:
    """Joins one bot to a room and passes on, both ways, what is said."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        faults: Faults,
        find_room: Callable[[str | None], Room],
    ):
        """Initialize a seat that is not yet taken.

        Args:
            request: The request that the socket comes from.
            ws: The socket, which is open.
            faults: What is ordered to go wrong.
            find_room: Gives the room for a token, or raises ``TavusRoomJoinError``.
        """
        self._request = request
        self._ws = ws
        self._faults = faults
        self._find_room = find_room
        # A number stands for the newest picture of a track: older ones do not wait.
        self._outgoing: asyncio.Queue[str | bytes | int | None] = asyncio.Queue()
        self._pictures: dict[int, Picture] = {}
        self._published: dict[int, str] = {}
        self._captured: dict[tuple[str, str], int] = {}
        self._room: Room | None = None
        self._id = ""
        self._late: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the bot until it leaves, the room closes or the connection breaks."""
        writer = asyncio.create_task(self._write())
        try:
            if await self._join():
                await self._serve()
        finally:
            for task in self._late:
                task.cancel()
            if self._room is not None:
                self._room.leave(self._id)
            self._outgoing.put_nowait(None)
            _, unsent = await asyncio.wait([writer], timeout=_WRITE_SECS)
            for task in unsent:
                task.cancel()

    def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Tell the bot."""
        self._tell("participant_joined", participant=participant)

    def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Tell the bot."""
        self._tell("participant_updated", participant=participant)

    def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Tell the bot."""
        self._tell("participant_left", participant=participant, reason=reason)

    def on_app_message(self, message: Any, sender: str) -> None:
        """Tell the bot."""
        self._tell("app_message", message=message, sender=sender)

    def on_audio(self, sender: str, source: str, pcm: bytes, rate: int) -> None:
        """Send the bot what it captures and has not unsubscribed."""
        track = self._captured.get((sender, source))
        if track is None or self._room is None:
            return
        if not self._room.subscriptions[self._id].delivers(sender, source):
            return
        # A bot that does not keep up loses sound, as it would over the network.
        if self._outgoing.qsize() < _MAX_AUDIO_WAITING:
            self._outgoing.put_nowait(wire.pack_audio(track, rate, pcm))

    def on_closed(self, reason: str) -> None:
        """Tell the bot, then hang up."""
        self._tell("closed", reason=reason)
        self._outgoing.put_nowait(None)

    def _tell(self, kind: str, **fields: Any) -> None:
        if self._outgoing.qsize() >= _MAX_WAITING:
            logger.warning("A bot reads too slowly and is put out of its room")
            self._abort()
            return
        try:
            self._outgoing.put_nowait(wire.encode(kind, **fields))
        except wire.WireError as e:
            logger.warning(f"A {kind} cannot be told to a bot: {e}")

    def _show(self, track: int, picture: Picture) -> None:
        if track not in self._pictures:
            self._outgoing.put_nowait(track)
        self._pictures[track] = picture

    async def _write(self) -> None:
        try:
            while (frame := await self._outgoing.get()) is not None:
                if isinstance(frame, str):
                    await self._ws.send_str(frame)
                elif isinstance(frame, int):
                    picture = self._pictures.pop(frame)
                    await self._ws.send_bytes(wire.pack_picture(frame, picture))
                else:
                    await self._ws.send_bytes(frame)
            await self._ws.close()
        except ConnectionError as e:
            logger.debug(f"A bot's connection is lost: {e}")

    def _abort(self) -> None:
        """Cut the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _join(self) -> bool:
        message = await self._ws.receive()
        try:
            if message.type is not WSMsgType.TEXT:
                raise wire.WireError("the first frame must be text")
            request = wire.decode(message.data)
            if request["type"] != "join" or request.get("version") != wire.VERSION:
                raise wire.WireError(f"the first frame must be a join of version {wire.VERSION}")
            await self._obey_join_fault()
            room = self._find_room(request.get("token"))
            data = room.join(self, name=str(request.get("name") or "Bot"), kind="bot")
        except (wire.WireError, TavusRoomJoinError) as e:
            self._tell("refused", message=str(e))
            return False
        self._room, self._id = room, data["participants"]["local"]["id"]
        self._tell("joined", data=data)
        for id, participant in data["participants"].items():
            if id != "local":
                self.on_participant_joined(participant)
        return True

    async def _obey_join_fault(self) -> None:
        fault = self._faults.take("JOIN")
        if fault is None:
            return
        await asyncio.sleep(fault.delay)
        if fault.hang:
            await asyncio.Event().wait()
        if fault.reset:
            self._abort()
            raise TavusRoomJoinError("the connection was cut by an ordered fault")
        if fault.refuses:
            raise TavusRoomJoinError(fault.words)

    async def _serve(self) -> None:
        async for message in self._ws:
            try:
                if message.type is WSMsgType.BINARY:
                    self._take_audio(message.data)
                elif message.type is WSMsgType.TEXT:
                    request = wire.decode(message.data)
                    if request["type"] == "leave":
                        return
                    self._take_request(request)
            except wire.WireError as e:
                logger.warning(f"A bot sent what is none of the protocol: {e}")
                self._tell("closed", reason=f"protocol error: {e}")
                return

    def _take_audio(self, frame: bytes) -> None:
        track, rate, pcm = wire.unpack_audio(frame)
        source = self._published.get(track)
        if source is not None and self._room is not None:
            self._room.audio(self._id, source, pcm, rate)

    def _take_request(self, request: Mapping[str, Any]) -> None:
        fault = self._faults.take("SEND") if request["type"] == "send" else None
        if fault is None:
            self._answer(request)
        elif fault.delay or fault.hang or fault.reset:
            task = asyncio.create_task(self._fail_late(request, fault.delay, fault.hang))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            if fault.reset:
                self._abort()
        else:
            self._tell("ack", id=request.get("id"), error=fault.words)

    async def _fail_late(self, request: Mapping[str, Any], delay: float, hang: bool) -> None:
        await asyncio.sleep(delay)
        if not hang:
            self._answer(request)

    def _answer(self, request: Mapping[str, Any]) -> None:
        try:
            self._obey(request)
            error = None
        except (TavusRoomSendError, KeyError, TypeError, ValueError) as e:
            error = str(e) or type(e).__name__
        self._tell("ack", id=request.get("id"), error=error)

    def _obey(self, request: Mapping[str, Any]) -> None:
        room = self._room
        if room is None or room.is_closed:
            raise TavusRoomSendError("the room has closed")
        match request["type"]:
            case "publish":
                self._published[_track(request)] = str(request["name"])
                if request["name"] != "microphone":
                    room.publish(self._id, str(request["name"]))
            case "capture":
                source = (str(request["participant"]), str(request["source"]))
                self._captured[source] = _track(request)
            case "watch":
                self._watch(room, request)
            case "subscribe":
                room.subscriptions[self._id].apply(
                    request.get("participants"), request.get("profiles")
                )
                room.cameras.look_again()
            case "send":
                if wire.message_size(request["message"]) > wire.MAX_APP_MESSAGE:
                    raise ValueError(f"an app message of more than {wire.MAX_APP_MESSAGE} bytes")
                room.send(self._id, request["message"], request.get("to"))
            case unknown:
                raise ValueError(f"no request {unknown}")

    def _watch(self, room: Room, request: Mapping[str, Any]) -> None:
        participant, source = str(request["participant"]), str(request["source"])
        if participant not in room.participants:
            raise TavusRoomSendError(f"there is no participant {participant}")
        if request["format"] != "RGB":
            raise ValueError(f"the color format is RGB here, not {request['format']!r}")
        room.cameras.watch(self._id, participant, source, partial(self._show, _track(request)))


def _track(request: Mapping[str, Any]) -> int:
    track = request["track"]
    if not isinstance(track, int) or not 0 <= track <= wire.MAX_TRACK:
        raise ValueError(f"no track number: {track!r}")
    return track
