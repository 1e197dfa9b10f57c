#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the input and the output have in common: a share in the client."""

from typing import Any

from pipecat.frames.frames import MetricsFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessor, FrameProcessorSetup
from pipecat.transports.daily.transport import DailyInputTransportMessageFrame
from pipecat.utils.errors import ErrorCategory

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError


class TavusProcessor(FrameProcessor):
    """A processor that shares a client: set up with it, joined, cleaned up.

    It comes before Pipecat's base transport in the bases of a class.
    """

    _client: TavusTransportClient

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set the client up and join the room.

        Args:
            setup: The pipeline's setup.

        Raises:
            TavusError: The conversation could not be created, or its room not joined.
        """
        await super().setup(setup)
        await self._client.setup(setup)
        await self._client.join()

    async def start(self, frame: StartFrame) -> None:
        """Start, and report what was measured of the start.

        Args:
            frame: The StartFrame.
        """
        await super().start(frame)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        if self.metrics_enabled and (data := self._client.take_metrics(self.name)):
            await self.push_frame(MetricsFrame(data=data))

    def can_generate_metrics(self) -> bool:
        """Whether there are metrics."""
        return True

    async def push_app_message(self, message: Any, sender: str) -> None:
        """Push another participant's app message, in both directions.

        Pipecat puts its ``RTVIProcessor`` before the input.

        Args:
            message: The message.
            sender: The sender's participant id.
        """
        await self.broadcast_frame(
            DailyInputTransportMessageFrame, message=message, participant_id=sender
        )

    async def cleanup(self) -> None:
        """Release the client; the last processor to do so ends the conversation."""
        try:
            await super().cleanup()
        finally:
            await self._client.cleanup()

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, TavusError):
            return exception.category
        return super()._classify_error(exception)
