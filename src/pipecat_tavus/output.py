#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech, to the replica."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_output import BaseOutputTransport

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError, TavusRoomSendError
from pipecat_tavus.params import TavusParams
from pipecat_tavus.processor import TavusProcessor

if TYPE_CHECKING:
    from pipecat.pipeline.capabilities import BotCapabilities

STREAM_TRACK = "stream"
"""The custom audio track that the persona ``pipecat-stream`` speaks."""

_PIECE_10MS = 4
"""How much is handed over at a time: what an interruption comes too late for."""


class TavusOutputTransport(TavusProcessor, BaseOutputTransport):
    """Plays the bot's speech on the track ``stream``, which the replica speaks.

    An ``InterruptionFrame`` drops what has not been played, and tells the replica to do
    the same.
    """

    def __init__(self, client: TavusTransportClient, params: TavusParams, **kwargs: Any):
        """Initialize the output.

        Args:
            client: The client, shared with the input.
            params: The parameters.
            **kwargs: Passed to the base class, such as ``name``.
        """
        super().__init__(params, **kwargs)
        self._client = client
        self._interrupting: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()
        self._tail_held = False
        self._interruptions = 0

    @property
    def capabilities(self) -> "BotCapabilities":
        """What the user gets: audio, and the replica's video, which it publishes itself."""
        # New in Pipecat 1.13, which alone asks for it.
        from pipecat.pipeline.capabilities import BotCapabilities

        return super().capabilities.override(BotCapabilities(video_out=True))

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set the client up, join the room, and publish the track.

        Args:
            setup: The pipeline's setup.

        Raises:
            TavusError: One of these failed.
        """
        await super().setup(setup)
        if self._params.audio_out_enabled:
            await self._client.publish(STREAM_TRACK, self._params.audio_out_auto_silence)

    async def start(self, frame: StartFrame) -> None:
        """Start streaming.

        Args:
            frame: The StartFrame.
        """
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Play what there is to its last sample, then leave and end the conversation.

        Args:
            frame: The EndFrame.
        """
        try:
            if self._tail_held:
                # The base class holds back a last partial chunk until it sees this.
                await self._handle_frame(TTSStoppedFrame())
            await super().stop(frame)
        finally:
            await self._client.stop()

    async def cancel(self, frame: CancelFrame) -> None:
        """Leave and end the conversation at once.

        Args:
            frame: The CancelFrame.
        """
        try:
            await super().cancel(frame)
        finally:
            await self._client.stop()

    async def cleanup(self) -> None:
        """Release the client."""
        try:
            for task in list(self._interrupting):
                await self.cancel_task(task)
        finally:
            await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame, and pass an interruption on to the replica.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, InterruptionFrame):
            # Beside the base class's work, which drops the queue: neither waits.
            task = cast("asyncio.Task[None]", self.create_task(self._interrupt()))
            self._interrupting.add(task)
            task.add_done_callback(self._interrupting.discard)
            self._tail_held = False
            self._interruptions += 1
        elif isinstance(frame, OutputAudioRawFrame):
            self._tail_held = True
        elif isinstance(frame, TTSStoppedFrame):
            self._tail_held = False
        await super().process_frame(frame, direction)

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an app message to the room.

        Args:
            frame: The message, for everybody or for its ``participant_id``.
        """
        try:
            await self._client.send_message(frame)
        except TavusRoomSendError as e:
            await self._fails("message", e)
        else:
            self._failing.discard("message")

    async def register_audio_destination(self, destination: str) -> None:
        """Publish a further custom audio track.

        Args:
            destination: Its name.
        """
        await self._client.publish(destination, self._params.audio_out_auto_silence)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on its destination, by default the track ``stream``.

        Args:
            frame: The audio.

        Returns:
            Whether the room took it; True once it has been played.
        """
        audio, destination = frame.audio, frame.transport_destination
        piece = self._sample_rate // 100 * _PIECE_10MS * frame.num_channels * 2
        interruptions = self._interruptions
        written = 0
        frame.transport_destination = destination or STREAM_TRACK
        try:
            # One frame serves all its pieces: making frames is what costs here.
            while written < len(audio) and await self._write(frame, audio, written, piece):
                written += piece
                if interruptions != self._interruptions and getattr(frame, "interruptible", True):
                    break
        finally:
            # Downstream it is the bot's speech, on no track in particular, as far as it was
            # played.
            frame.transport_destination = destination
            frame.audio = audio[:written]
        return written > 0

    async def _write(self, frame: OutputAudioRawFrame, audio: bytes, at: int, size: int) -> bool:
        """Play one piece of a frame's audio; whether the room took it."""
        frame.audio = audio[at : at + size]
        try:
            if await self._client.write_audio_frame(frame):
                self._failing.discard("audio")
                return True
            await self._fails("audio", TavusRoomSendError("The room did not take the bot's audio"))
        except Exception as e:
            error = e if isinstance(e, TavusError) else TavusRoomSendError(f"Writing audio: {e}")
            await self._fails("audio", error)
        return False

    async def _interrupt(self) -> None:
        try:
            await self._client.send_interrupt_message()
        except TavusRoomSendError as e:
            await self._fails("message", e)

    async def _fails(self, what: str, error: TavusError) -> None:
        # Once per outage: a processor that relays errors as app messages would feed on them.
        # Nor when it is all over, which was told, with its reason.
        if what not in self._failing and not self._client.is_over:
            self._failing.add(what)
            await self._client.report(error)
