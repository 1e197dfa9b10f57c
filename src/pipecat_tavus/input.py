#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The clients' audio and video, into the pipeline."""

from collections.abc import Mapping
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    StartFrame,
    UserAudioRawFrame,
    UserImageRequestFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusRoomError
from pipecat_tavus.params import TavusParams
from pipecat_tavus.processor import TavusProcessor
from pipecat_tavus.video_in import VideoIn


class TavusInputTransport(TavusProcessor, BaseInputTransport):
    """Turns what is heard and seen in the room into frames with the participant's id.

    ``UserAudioRawFrame`` of each client, mono at the pipeline's input sample rate, and
    ``UserImageRawFrame`` of the cameras and screens that are captured.
    """

    def __init__(self, client: TavusTransportClient, params: TavusParams, **kwargs: Any):
        """Initialize the input.

        Args:
            client: The client, shared with the output.
            params: The parameters.
            **kwargs: Passed to the base class, such as ``name``.

        Raises:
            TavusConfigError: Video is enabled, and this Pipecat is older than 1.13.
        """
        super().__init__(params, **kwargs)
        self._client = client
        self._params = params
        self._streaming = False
        self._clients: set[str] = set()
        self._started = False
        self.video = VideoIn(client, params, self.push_video_frame, self._takes_video)
        """Whose video is captured."""

    async def start(self, frame: StartFrame) -> None:
        """Start streaming.

        Args:
            frame: The StartFrame.
        """
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._started = True
        if self._params.audio_in_stream_on_start:
            await self._start_audio_in_streaming()

    async def stop(self, frame: EndFrame) -> None:
        """Stop streaming; the room stays until the output has stopped as well.

        Args:
            frame: The EndFrame.
        """
        try:
            await super().stop(frame)
        finally:
            await self._client.stop()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop streaming at once.

        Args:
            frame: The CancelFrame.
        """
        try:
            await super().cancel(frame)
        finally:
            await self._client.stop()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer requests for an image, besides what every input does.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, UserImageRequestFrame):
            await self.video.request(frame)

    async def start_capturing_audio(self, participant: Mapping[str, Any]) -> None:
        """Hear a participant, from when streaming has started.

        Args:
            participant: As Daily gives it.

        Raises:
            TavusRoomError: The room refused.
        """
        participant_id: str = participant["id"]
        if not self._params.audio_in_enabled or participant_id in self._clients:
            return
        self._clients.add(participant_id)
        if self._streaming:
            await self._capture(participant_id)

    def stop_capturing_audio(self, participant: Mapping[str, Any]) -> None:
        """Forget a participant that left, or that is no client.

        Args:
            participant: As Daily gives it.
        """
        self._clients.discard(participant["id"])

    def _supports_video_in_source(self, video_source: str) -> bool:
        # Asked by Pipecat from 1.13: Daily has the camera, the screen and custom tracks.
        return True

    def _takes_video(self) -> bool:
        return self._started and not self._paused

    async def _start_audio_in_streaming(self) -> None:
        if not self._streaming:
            self._streaming = True
            for participant_id in list(self._clients):
                try:
                    await self._capture(participant_id)
                except TavusRoomError as e:
                    # Who left meanwhile is heard no more.
                    if participant_id in self._clients:
                        await self._client.report(e)

    async def _capture(self, participant_id: str) -> None:
        logger.debug("{}: hearing participant {}", self, participant_id)
        await self._client.capture_participant_audio(
            participant_id, self._on_participant_audio, sample_rate=self._client.in_sample_rate
        )

    async def _on_participant_audio(self, participant_id: str, audio: Any, source: str) -> None:
        if participant_id not in self._clients:
            return
        frame = UserAudioRawFrame(
            user_id=participant_id,
            audio=audio.audio_frames,
            sample_rate=audio.sample_rate,
            num_channels=audio.num_channels,
        )
        frame.transport_source = source
        await self.push_audio_frame(frame)
