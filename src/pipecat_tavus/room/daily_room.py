#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The room on Daily, which nothing but this and its client imports.

Pipecat's ``DailyTransportClient`` does the work. What is added here is what it keeps to
itself: failures are raised instead of logged, every wait has a limit, and the room's end
is told once, with its reason.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.daily.transport import DailyCallbacks

from pipecat_tavus.errors import TavusRoomError, TavusRoomJoinError, TavusRoomSendError
from pipecat_tavus.room.daily_client import DailyClient
from pipecat_tavus.room.seam import AudioCallback, RoomConfig, VideoCallback

_CALL_TIMEOUT = 5.0
"""Limit in seconds for each call to Daily but the join: they answer in milliseconds."""


class _State(Enum):
    OUT = "not joined yet"
    IN = "joined"
    LEAVING = "leaving"
    OVER = "left, closed or released"


class DailyRoom:
    """A :class:`~pipecat_tavus.room.seam.RoomClient` on Daily."""

    def __init__(self, config: RoomConfig):
        """Initialize the room; nothing is opened before ``setup()``.

        Args:
            config: Which room, as whom, and who listens.
        """
        self._config = config
        self._listener = config.listener
        self._client: DailyClient | None = None
        self._state = _State.OUT
        self._join_error = ""
        self._interrupted = False

    @property
    def in_sample_rate(self) -> int:
        """Sample rate of captured audio in Hz; 0 before ``setup()``."""
        return self._client.in_sample_rate if self._client else 0

    @property
    def out_sample_rate(self) -> int:
        """Sample rate of written audio in Hz; 0 before ``setup()``."""
        return self._client.out_sample_rate if self._client else 0

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Build Daily's client and give it the pipeline's task manager and rates.

        Args:
            setup: The setup of the processor that came first.
        """
        config = self._config
        self._client = DailyClient(
            config.url, config.token, config.bot_name, config.params, self._callbacks(), "Tavus"
        )
        self._client.on_network = _guarded("on_network", self._on_network)
        await self._client.setup(setup)

    async def join(self) -> None:
        """Join the room.

        Raises:
            TavusRoomJoinError: Daily refused, or did not answer within ``join_timeout``.
        """
        timeout = self._config.join_timeout
        try:
            async with asyncio.timeout(timeout):
                await self._daily.join()
        except TimeoutError:
            raise TavusRoomJoinError(
                f"Joining the Daily room failed: no answer within {timeout:g} s"
            ) from None
        # Pipecat's join() returns normally when Daily refuses, and tells on_error.
        if self._state is not _State.IN:
            reason = self._join_error or self._daily.end_reason or "no reason given"
            raise TavusRoomJoinError(f"Joining the Daily room failed: {reason}")

    async def leave(self) -> None:
        """Leave the room; what goes wrong is told to the listener."""
        if not self._client or self._state is not _State.IN:
            return
        self._state = _State.LEAVING
        try:
            async with asyncio.timeout(_CALL_TIMEOUT):
                await self._client.leave()
        except TimeoutError:
            await self._listener.on_room_error(
                f"leaving the Daily room: no answer within {_CALL_TIMEOUT:g} s"
            )

    async def cleanup(self) -> None:
        """Release Daily's client, which also leaves a room that it was still joining."""
        if self._client:
            self._state = _State.OVER
            await self._client.cleanup()

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an app message.

        Args:
            frame: The message, for everybody or for its ``participant_id``.

        Raises:
            TavusRoomSendError: Daily refused, or did not answer.
        """
        async with _limit("sending an app message", TavusRoomSendError):
            error = await self._daily.send_message(frame)
        if error:
            raise TavusRoomSendError(f"Daily refused an app message: {error}")

    async def register_audio_destination(self, destination: str, auto_silence: bool = True) -> None:
        """Publish a custom audio track.

        Args:
            destination: The track's name.
            auto_silence: Whether the track is silent, rather than waiting, between writes.

        Raises:
            TavusRoomSendError: Daily refused, or did not answer.
        """
        async with _limit(f"publishing the audio track {destination!r}", TavusRoomSendError):
            await self._daily.register_audio_destination(destination, auto_silence)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on the track named by the frame's ``transport_destination``.

        Args:
            frame: PCM16 at ``out_sample_rate``.

        Returns:
            Whether Daily took the audio.
        """
        return await self._daily.write_audio_frame(frame)

    def drop_audio(self, destination: str) -> None:
        """Play no more of what is being written on a track.

        Args:
            destination: The track's name.
        """
        if self._client:
            self._client.drop_audio(destination)

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
            callback: Gets mono PCM16.
            audio_source: ``microphone``, ``screenAudio`` or a custom track's name.
            sample_rate: In Hz.
            callback_interval_ms: Length of each piece in milliseconds.

        Raises:
            TavusRoomError: Daily refused, or did not answer.
        """
        async with _limit(f"capturing the audio of {participant_id}", TavusRoomError):
            await self._daily.capture_participant_audio(
                participant_id, callback, audio_source, sample_rate, callback_interval_ms
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
            callback: Gets the frames.
            framerate: In frames per second.
            video_source: ``camera``, ``screenVideo`` or a custom track's name.
            color_format: Such as ``RGB``.

        Raises:
            TavusRoomError: Daily refused, or did not answer.
        """
        async with _limit(f"capturing the video of {participant_id}", TavusRoomError):
            await self._daily.capture_participant_video(
                participant_id, callback, framerate, video_source, color_format
            )

    async def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is received of whom.

        Args:
            participant_settings: By participant id.
            profile_settings: By profile.

        Raises:
            TavusRoomError: Daily refused, or did not answer.
        """
        async with _limit("updating subscriptions", TavusRoomError):
            error = await self._daily.update_subscriptions(participant_settings, profile_settings)
        if error:
            raise TavusRoomError(f"Daily refused the subscriptions: {error}")

    @property
    def _daily(self) -> DailyClient:
        if not self._client:
            raise TavusRoomError("The room is not set up")
        return self._client

    def _callbacks(self) -> DailyCallbacks:
        # Built from the model's own fields: each Pipecat release adds some.
        handlers: dict[str, Callable[..., Awaitable[None]]] = {
            "on_joined": self._on_joined,
            "on_error": self._on_error,
            "on_call_state_updated": self._on_call_state_updated,
            "on_participant_joined": self._listener.on_participant_joined,
            "on_participant_updated": self._listener.on_participant_updated,
            "on_participant_left": self._listener.on_participant_left,
            "on_app_message": self._listener.on_app_message,
        }
        return DailyCallbacks.model_validate(
            {name: _guarded(name, handlers.get(name)) for name in DailyCallbacks.model_fields}
        )

    async def _on_joined(self, data: Mapping[str, Any]) -> None:
        self._state = _State.IN
        await self._listener.on_joined(data)

    async def _on_error(self, message: str) -> None:
        if self._state is _State.OUT:
            self._join_error = str(message)
        elif self._state is _State.LEAVING or not self._daily.end_reason:
            await self._listener.on_room_error(str(message))

    async def _on_network(self, status: Mapping[str, Any]) -> None:
        interrupted = status.get("event") == "interrupted"
        signalling = status.get("connection") == "signalling"
        if signalling and self._state is _State.IN and interrupted is not self._interrupted:
            self._interrupted = interrupted
            await self._listener.on_connection(interrupted=interrupted)

    async def _on_call_state_updated(self, state: str) -> None:
        if state == "left" and self._state is _State.IN:
            self._state = _State.OVER
            await self._listener.on_room_closed(self._daily.end_reason)


def _guarded(
    name: str, handler: Callable[..., Awaitable[None]] | None
) -> Callable[..., Awaitable[None]]:
    # Up to Pipecat 1.12 an exception in a callback ends the task that delivers all of them.
    async def callback(*args: Any) -> None:
        logger.trace("Daily: {}", name)
        if handler:
            try:
                await handler(*args)
            except Exception:
                logger.exception("Daily's {} was not handled", name)

    return callback


@asynccontextmanager
async def _limit(what: str, error: type[TavusRoomError]):
    try:
        async with asyncio.timeout(_CALL_TIMEOUT):
            yield
    except TimeoutError:
        raise error(f"{what}: no answer from Daily within {_CALL_TIMEOUT:g} s") from None
