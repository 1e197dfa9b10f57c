#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The sandbox's side of the room seam: a bot's place in a room, over a WebSocket.

Needs nothing of the sandbox but the room's URL, so the sandbox may run in another process.
"""

import asyncio
import itertools
from collections.abc import Coroutine, Mapping
from typing import Any, cast

from loguru import logger
from pipecat.frames.frames import (
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.asyncio.task_manager import BaseTaskManager

from pipecat_tavus.errors import TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.room.roster import audio_media_of
from pipecat_tavus.room.seam import AudioCallback, RoomConfig, VideoCallback
from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox import wire
from pipecat_tavus.sandbox.bot_track import BotTrack
from pipecat_tavus.sandbox.captures import AudioCaptures, VideoCaptures
from pipecat_tavus.sandbox.ear import Ear
from pipecat_tavus.sandbox.room_socket import RoomSocket

_CANCEL_SECS = 2.0
_MICROPHONE = "microphone"


class SandboxRoom:
    """A bot's place in a room of the sandbox. See :class:`~pipecat_tavus.room.seam.RoomClient`."""

    def __init__(self, config: RoomConfig):
        """Initialize a bot that is not in the room.

        Args:
            config: The room and the bot.
        """
        self._config = config
        self._task_manager: BaseTaskManager | None = None
        self._in_sample_rate = 0
        self._out_sample_rate = 0
        self._socket: RoomSocket | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        # None ends the task that reads it.
        self._events: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._sound, self._pictures = AudioCaptures(), VideoCaptures()
        self._tracks: dict[str | None, BotTrack] = {}
        self._unregistered: set[str | None] = set()
        self._numbers = itertools.count(1)

    @property
    def in_sample_rate(self) -> int:
        """Sample rate of captured audio in Hz; 0 before ``setup()``."""
        return self._in_sample_rate

    @property
    def out_sample_rate(self) -> int:
        """Sample rate of written audio in Hz; 0 before ``setup()``."""
        return self._out_sample_rate

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Take the task manager and sample rates. Opens nothing.

        Args:
            setup: The processor's setup.
        """
        params = self._config.params
        self._task_manager = setup.task_manager
        self._in_sample_rate = params.audio_in_sample_rate or setup.audio_in_sample_rate
        self._out_sample_rate = params.audio_out_sample_rate or setup.audio_out_sample_rate

    async def join(self) -> None:
        """Join the room. Harmless when in it.

        Raises:
            TavusRoomJoinError: The room could not be joined.
        """
        if self._socket is not None:
            return
        if self._task_manager is None:
            raise TavusRoomJoinError("The room cannot be joined before setup()")
        events = self._events = asyncio.Queue[Mapping[str, Any] | None]()
        sound, pictures = self._sound, self._pictures = AudioCaptures(), VideoCaptures()
        socket = self._socket = RoomSocket(events.put_nowait, sound.take, pictures.take)
        try:
            data = await self._enter(socket)
            await self._config.listener.on_joined(data)
            if self._socket is socket:
                self._start(self._tell(socket, events), "events")
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Leave the room, in bounded time. Harmless when not in it."""
        socket, self._socket = self._socket, None
        tasks, self._tasks = self._tasks, []
        self._tracks.clear()
        self._events.put_nowait(None)
        self._sound.stop()
        self._pictures.stop()
        try:
            if socket is not None:
                await socket.close()
        finally:
            for task in tasks:
                # A listener may leave from within an event.
                if task is not asyncio.current_task() and self._task_manager:
                    await self._task_manager.cancel_task(task, timeout=_CANCEL_SECS)

    async def cleanup(self) -> None:
        """Release everything. Harmless when repeated."""
        await self.leave()

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an app message to everybody, or to the frame's ``participant_id`` if it has one.

        Args:
            frame: The message.

        Raises:
            TavusRoomSendError: The message was not sent.
        """
        what = "The app message was not sent"
        to = getattr(frame, "participant_id", None)
        try:
            size = wire.message_size(frame.message)
        except wire.WireError as e:
            raise TavusRoomSendError(f"{what}: {e}") from e
        if size > wire.MAX_APP_MESSAGE:
            raise TavusRoomSendError(f"{what}: {size} bytes, more than {wire.MAX_APP_MESSAGE}")
        await self._request(what, "send", message=frame.message, to=to)

    async def register_audio_destination(self, destination: str, auto_silence: bool = True) -> None:
        """Publish a custom audio track. Harmless when repeated.

        Args:
            destination: The track's name.
            auto_silence: Accepted; a track that nothing is written to is silent.

        Raises:
            TavusRoomSendError: The track could not be published.
        """
        await self._publish(destination, destination)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on the track named by the frame's ``transport_destination``.

        Returns when the audio has been played. It leaves the bot as it is played: what a
        cancelled call has not begun to play is never heard.

        Args:
            frame: PCM16 at :attr:`out_sample_rate`.

        Returns:
            Whether the audio was taken.
        """
        track, socket = self._tracks.get(frame.transport_destination), self._socket
        if track is None or socket is None:
            self._warn_unregistered(frame.transport_destination)
            return False
        pcm = pcm16.mono(frame.audio, self._config.params.audio_out_channels)
        return await track.play(socket, pcm, self._out_sample_rate)

    def drop_audio(self, destination: str) -> None:
        """Play no more of what is being written on the track ``destination``."""
        if track := self._tracks.get(destination):
            track.drop()

    async def capture_participant_audio(
        self,
        participant_id: str,
        callback: AudioCallback,
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
    ) -> None:
        """Hear a participant.

        Args:
            participant_id: Whom.
            callback: Gets mono PCM16 as :class:`~pipecat_tavus.sandbox.ear.SandboxAudio`.
            audio_source: ``microphone`` or the name of a custom track.
            sample_rate: The rate to deliver, in Hz.
            callback_interval_ms: How long a delivered piece is, in milliseconds.

        Raises:
            TavusRoomSendError: The room refused.
        """
        media = audio_media_of(audio_source, "subscribed")
        await self.update_subscriptions({participant_id: {"media": media}})
        number = next(self._numbers)
        ear = Ear(sample_rate, callback_interval_ms)
        self._sound.add(number, participant_id, audio_source, callback, ear)
        await self._request(
            f"The audio of {participant_id} cannot be captured",
            "capture",
            track=number,
            participant=participant_id,
            source=audio_source,
        )

    async def capture_participant_video(
        self,
        participant_id: str,
        callback: VideoCallback,
        framerate: int | None = 30,
        video_source: str = "camera",
        color_format: str = "RGB",
    ) -> None:
        """See a participant.

        Args:
            participant_id: Whom.
            callback: Gets the pictures as :class:`~pipecat_tavus.sandbox.captures.SandboxVideo`,
                as many as are sent; it loses those for which it is too slow.
            framerate: Accepted: as with Daily, who takes the pictures chooses among them.
            video_source: ``camera`` or ``screenVideo``.
            color_format: ``RGB``.

        Raises:
            TavusRoomSendError: The room refused.
        """
        number, pictures = next(self._numbers), self._pictures
        pictures.add(number, participant_id, video_source, callback)
        try:
            await self._request(
                f"The video of {participant_id} cannot be captured",
                "watch",
                track=number,
                participant=participant_id,
                source=video_source,
                format=color_format,
            )
        except BaseException:
            pictures.remove(number)
            raise
        media = {"media": {video_source: "subscribed"}}
        await self.update_subscriptions({participant_id: media})

    async def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is received of whom, in Daily's words.

        Args:
            participant_settings: By participant id.
            profile_settings: By profile.

        Raises:
            TavusRoomSendError: The room refused.
        """
        await self._request(
            "The subscriptions were not changed",
            "subscribe",
            participants=participant_settings,
            profiles=profile_settings,
        )

    async def _enter(self, socket: RoomSocket) -> dict[str, Any]:
        """Everything up to the join data, within the time limit."""
        config = self._config
        try:
            async with asyncio.timeout(config.join_timeout):
                data = await socket.open(config.url, config.token, config.bot_name)
                self._start(self._read(socket, self._events), "reader")
                self._start(self._sound.run(), "sound")
                self._start(self._pictures.run(), "pictures")
                if config.params.audio_out_enabled and config.params.microphone_out_enabled:
                    await self._publish(_MICROPHONE, None)
        except TimeoutError as e:
            limit = f"{config.join_timeout:g} s"
            raise TavusRoomJoinError(
                f"The room could not be joined: no answer within {limit}"
            ) from e
        except TavusRoomSendError as e:
            raise TavusRoomJoinError(f"The room could not be joined: {e}") from e
        return data

    async def _publish(self, name: str, destination: str | None) -> None:
        if destination in self._tracks:
            return
        number = next(self._numbers)
        await self._request(
            f"The track {name} was not published", "publish", track=number, name=name
        )
        self._tracks.setdefault(destination, BotTrack(number))

    async def _request(self, what: str, kind: str, **fields: Any) -> None:
        if self._socket is None:
            raise TavusRoomSendError(f"{what}: the bot is not in the room")
        await self._socket.request(what, kind, **fields)

    def _warn_unregistered(self, destination: str | None) -> None:
        """Once for each destination: audio comes fifty times a second."""
        if self._socket is not None and destination not in self._unregistered:
            self._unregistered.add(destination)
            logger.warning(f"There is no audio destination [{destination}] in this room")

    def _start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        assert self._task_manager is not None  # join() has seen to it.
        task = cast(
            asyncio.Task[Any],
            self._task_manager.create_task(coroutine, f"SandboxRoom::{name}"),
        )
        self._tasks.append(task)

    async def _read(
        self, socket: RoomSocket, events: asyncio.Queue[Mapping[str, Any] | None]
    ) -> None:
        events.put_nowait({"type": "closed", "reason": await socket.read()})

    async def _tell(
        self, socket: RoomSocket, events: asyncio.Queue[Mapping[str, Any] | None]
    ) -> None:
        """Tell the listener what happens, one after the other, until the bot has left."""
        listener = self._config.listener
        while (event := await events.get()) is not None and self._socket is socket:
            match event["type"]:
                case "participant_joined":
                    await listener.on_participant_joined(event["participant"])
                case "participant_updated":
                    await listener.on_participant_updated(event["participant"])
                case "participant_left":
                    await listener.on_participant_left(event["participant"], event["reason"])
                case "app_message":
                    await listener.on_app_message(event["message"], event["sender"])
                case "closed":
                    logger.info(f"The room has closed: {event['reason']}")
                    await listener.on_room_closed(event["reason"])
                    return
                case unknown:
                    logger.debug(f"The room told something new: {unknown}")
