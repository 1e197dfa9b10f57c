#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Pipecat's Daily client, which raises what it would log, and never waits for long."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from loguru import logger
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.transports.daily.transport import (
    DailyAudioTrack,
    DailyCustomAudioTrackParams,
    DailyTransportClient,
    completion_callback,  # pyright: ignore[reportUnknownVariableType]
)

from pipecat_tavus.errors import TavusRoomError, TavusRoomSendError
from pipecat_tavus.room.roster import audio_media_of, media_of
from pipecat_tavus.room.seam import AudioCallback, VideoCallback
from pipecat_tavus.room.track_writer import PIECE_SECS, TrackWriter

_RELEASE_TIMEOUT = 1.0
"""Limit in seconds for waiting until Daily has released a call."""


class DailyClient(DailyTransportClient):
    """Pipecat's Daily client, which also tells why a call has ended."""

    end_reason = ""
    """Why the call ended without ``leave()``; set on Daily's own thread, before the event."""

    def __init__(self, *args: Any):
        """Initialize the client, as Pipecat's is."""
        super().__init__(*args)
        self._viewers: dict[tuple[str, str], VideoCallback] = {}
        self._unseen: set[tuple[str, str]] = set()
        self._writers: dict[str | None, TrackWriter] = {}

    def on_error(self, message: str) -> None:
        """Keep the error that ends a call, such as an ejection; "left" comes right behind it.

        Source: Daily's reference, error events: "fires when an unrecoverable error ends the
        call".
        """
        # Measured: it is told of each call that fails as well, besides the call's completion.
        if str(message).startswith("Error handling "):
            logger.warning("Daily: {}", message)
        else:
            self.end_reason = str(message)

    def on_call_state_updated(self, state: str) -> None:
        """Note the end before Pipecat reports it as an error of its own wording."""
        if state == "left":
            self.end_reason = self.end_reason or "Daily ended the call"
        super().on_call_state_updated(state)

    def on_network_connection_status_updated(self, status: Mapping[str, Any]) -> None:
        """Pass on what Pipecat passes on from 1.13."""
        super().on_network_connection_status_updated(status)
        self._call_event_callback(self.on_network, status)

    on_network: Callable[[Mapping[str, Any]], Awaitable[None]]

    def _cleanup(self) -> None:
        # The native release waits for a join that is under way: 18 s without a network. A
        # daemon thread, so that neither the bot's end nor the process's waits as long.
        release = threading.Thread(target=super()._cleanup, name="daily-release", daemon=True)
        release.start()
        release.join(_RELEASE_TIMEOUT)

    def _call_async_callback(
        self, queue: asyncio.Queue[Any], callback: Callable[..., Awaitable[None]], *args: Any
    ) -> None:
        # Pipecat runs a coroutine on the loop and blocks Daily's thread until it is done:
        # two context switches and a task for each 20 ms of each person's audio.
        try:
            self._get_event_loop().call_soon_threadsafe(queue.put_nowait, (callback, *args))
        except RuntimeError:
            logger.trace("an event came after the event loop was closed")

    def _video_frame_received(self, participant_id: str, video_frame: Any, video_source: str):
        # On Daily's thread. A frame is as big as a minute of audio: while the loop is busy,
        # one of each source waits for it, and no more.
        key = (participant_id, video_source)
        if key not in self._unseen:
            self._unseen.add(key)
            self._call_video_callback(self._show, participant_id, video_frame, video_source)

    async def _show(self, participant_id: str, video_frame: Any, video_source: str) -> None:
        self._unseen.discard((participant_id, video_source))
        await self._viewers[participant_id, video_source](participant_id, video_frame, video_source)

    async def capture_participant_audio(
        self,
        participant_id: str,
        callback: AudioCallback,
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
    ) -> None:
        """Capture as Pipecat does, and raise where Daily refuses the subscription.

        What is subscribed by default is heard all the same.

        Raises:
            TavusRoomError: Daily refused the subscription.
        """
        settings = {participant_id: {"media": audio_media_of(audio_source, "subscribed")}}
        error: Any = await self.update_subscriptions(participant_settings=settings)
        self._audio_renderers.setdefault(participant_id, {})[audio_source] = callback
        self._client.set_audio_renderer(
            participant_id,
            self._audio_data_received,
            audio_source=audio_source,
            sample_rate=sample_rate,
            callback_interval_ms=callback_interval_ms,
        )
        if error:
            raise TavusRoomError(f"Daily refused the {audio_source} of {participant_id}: {error}")

    async def capture_participant_video(
        self,
        participant_id: str,
        callback: VideoCallback,
        framerate: int | None = 30,
        video_source: str = "camera",
        color_format: str = "RGB",
    ) -> None:
        """Capture as Pipecat does, and raise where Daily refuses it.

        Raises:
            TavusRoomError: Daily refused the subscription, or knows no such format.
        """
        settings = {participant_id: {"media": media_of(video_source, "subscribed")}}
        error: Any = await self.update_subscriptions(participant_settings=settings)
        try:
            if not error:
                self._viewers[participant_id, video_source] = callback
                self._client.set_video_renderer(
                    participant_id,
                    self._video_frame_received,
                    video_source=video_source,
                    color_format=color_format,
                )
        except ValueError as e:
            error = e
        if error:
            raise TavusRoomError(f"Daily refused the {video_source} of {participant_id}: {error}")

    async def add_custom_audio_track(
        self,
        track_name: str,
        params: DailyCustomAudioTrackParams | None = None,
        auto_silence: bool = True,
    ) -> DailyAudioTrack:
        """Add a track as Pipecat does, and raise where Daily refuses it.

        Raises:
            TavusRoomSendError: Daily refused the track.
        """
        future: asyncio.Future[Any] = self._get_event_loop().create_future()
        track = await self._create_audio_track(params, auto_silence)
        self._client.add_custom_audio_track(
            track_name=track_name,
            audio_track=track.track,
            ignore_audio_level=True,
            completion=completion_callback(future),  # pyright: ignore[reportUnknownArgumentType]
        )
        if error := await future:
            raise TavusRoomSendError(f"Daily refused the audio track {track_name!r}: {error}")
        self._writers[track_name] = TrackWriter(track)
        return track

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Write audio to its destination, on the custom tracks in real time."""
        if writer := self._writers.get(frame.transport_destination):
            return await writer.write(frame)
        return await super().write_audio_frame(frame)

    def drop_audio(self, destination: str) -> None:
        """Hand over nothing more of what is being written on a custom track."""
        if writer := self._writers.get(destination):
            writer.drop()

    async def leave(self) -> None:
        """Leave as Pipecat does, when what was handed over has been played."""
        if any(writer.is_playing for writer in self._writers.values()):
            await asyncio.sleep(PIECE_SECS)
        await super().leave()
