#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech, to the replica, and what the pipeline is told of it."""

import asyncio
from typing import TYPE_CHECKING, cast

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    DataFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_output import BaseOutputTransport

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusReplicaAbsentError, TavusRoomSendError
from pipecat_tavus.events.speech_listener import SpeechListener
from pipecat_tavus.metrics import ReplicaSpeechMetricsData
from pipecat_tavus.params import TavusParams
from pipecat_tavus.processor import TavusProcessor
from pipecat_tavus.speech.delivery import Delivery
from pipecat_tavus.speech.echo_delivery import EchoDelivery
from pipecat_tavus.speech.outages import Outages
from pipecat_tavus.speech.presenter import Presenter
from pipecat_tavus.speech.speech import Speech
from pipecat_tavus.speech.track_delivery import TrackDelivery

if TYPE_CHECKING:
    from pipecat.pipeline.capabilities import BotCapabilities


class TavusOutputTransport(TavusProcessor, BaseOutputTransport):
    """Hands the bot's speech over to the replica, which speaks it.

    Speech waits for the replica. What the pipeline is told of it, above all what was said
    and when the bot started and stopped to speak, is told when the person in the room
    hears it. An ``InterruptionFrame`` drops what has not been heard, and tells the replica
    to do the same.
    """

    def __init__(self, client: TavusTransportClient, params: TavusParams, **kwargs: object):
        """Initialize the output.

        Args:
            client: The client, shared with the input.
            params: The parameters.
            **kwargs: Passed to the base class, such as ``name``.
        """
        super().__init__(params, **kwargs)
        self._client = client
        self._params = params
        self._outages = Outages(client)
        speech = self._speech = Speech(follows_replica=params.replica_speaking_events)
        self._presenter = Presenter(
            speech,
            self._tell,
            lambda: self.get_clock().get_time(),
            self._on_replica_speech,
        )
        self._delivery: Delivery = (
            EchoDelivery(client, self._outages, speech, self._presenter.take, params, self)
            if client.audio_delivery == "echo"
            else TrackDelivery(
                client,
                self._outages,
                speech,
                self._presenter.take,
                params.audio_out_auto_silence,
            )
        )
        self._listener: SpeechListener = self._presenter
        self._presenting: asyncio.Task[None] | None = None
        self._interrupting: set[asyncio.Task[None]] = set()
        self._tail_held = False
        self._dropping = False
        # No speech has come since the last interruption, and the starts told nevertheless.
        self._stale = False
        self._false_starts: list[tuple[Frame, FrameDirection]] = []
        self._absence_told = False

    @property
    def capabilities(self) -> "BotCapabilities":
        """What the user gets: audio, and the replica's video, which it publishes itself."""
        # New in Pipecat 1.13, which alone asks for it.
        from pipecat.pipeline.capabilities import BotCapabilities

        return super().capabilities.override(BotCapabilities(video_out=True))

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set the client up, join the room, and prepare the delivery.

        Args:
            setup: The pipeline's setup.

        Raises:
            TavusError: One of these failed.
        """
        await super().setup(setup)
        if self._params.audio_out_enabled:
            await self._delivery.open()
        self._client.add_speech_listener(self._listener)

    async def start(self, frame: StartFrame) -> None:
        """Start streaming.

        Args:
            frame: The StartFrame.
        """
        await super().start(frame)
        self._presenting = cast("asyncio.Task[None]", self.create_task(self._present()))
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Let what there is be heard to its last sample, then leave and end the conversation.

        Args:
            frame: The EndFrame.
        """
        try:
            if self._tail_held:
                # The base class holds back a last partial chunk until it sees this.
                await self._handle_frame(TTSStoppedFrame())
            await super().stop(frame)
            await self._delivery.finish()
            if self._presenting:
                await self._wait_until_heard()
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
        # Where set-up failed elsewhere, Pipecat may start this one after its clean-up.
        self._presenter.on_left()
        tasks = [*self._interrupting, *self._delivery.close()]
        if self._presenting:
            tasks.append(self._presenting)
            self._presenting = None
        for task in tasks:
            # All of them, though this one may not get to its end.
            task.cancel()
        try:
            for task in tasks:
                await self.cancel_task(task)
        finally:
            await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame: hold speech until the replica is there, pass interruptions on.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, InterruptionFrame):
            await self._process_interruption(frame, direction)
            return
        if isinstance(frame, OutputAudioRawFrame):
            self._tail_held = True
            self._stale = False
            if frame.transport_destination is None:
                if isinstance(frame, TTSAudioRawFrame):
                    self._presenter.request()
                # Here, not in a write: Pipecat gives up on an output whose write takes long.
                await self._wait_for_replica()
        elif isinstance(frame, TTSStoppedFrame):
            self._tail_held = False
        await super().process_frame(frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, when it is true.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if not self._presenting or not Presenter.presents(frame, direction):
            await self._tell(frame, direction)
            return
        if isinstance(frame, BotStartedSpeakingFrame) and self._stale:
            self._false_starts.append((frame, direction))
            return
        if isinstance(frame, BotStoppedSpeakingFrame):
            self._false_starts.clear()
            if direction is FrameDirection.DOWNSTREAM:
                await self._delivery.finish()
        if not (self._dropping and isinstance(frame, DataFrame) and frame.interruptible):
            await self._presenter.show(frame, direction)

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
            await self._outages.failed("message", e)
        else:
            self._outages.over("message")

    async def register_audio_destination(self, destination: str) -> None:
        """Publish a further custom audio track.

        Args:
            destination: Its name.
        """
        await self._client.publish(destination, self._params.audio_out_auto_silence)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Hand audio over to the replica, or play it on its destination's track.

        Args:
            frame: The audio.

        Returns:
            Whether Pipecat is to push the frame on. Speech is pushed when it is heard.
        """
        if self._dropping and frame.interruptible:
            return False
        if isinstance(frame, TTSAudioRawFrame):
            # Measured with Pipecat 1.14: a piece that its audio task has just taken out of its
            # queue survives the interruption, and has the bot start to speak once more.
            if self._stale and frame.interruptible:
                return False
            while self._false_starts:
                await self._presenter.show(*self._false_starts.pop(0))
        return await self._delivery.write(frame)

    async def _tell(self, frame: Frame, direction: FrameDirection) -> None:
        """Push a frame that is true now."""
        await super().push_frame(frame, direction)

    async def _wait_until_heard(self) -> None:
        await self._presenter.drain()

    async def _process_interruption(
        self, frame: InterruptionFrame, direction: FrameDirection
    ) -> None:
        # Beside everything else: neither waits for the other.
        task = cast("asyncio.Task[None]", self.create_task(self._interrupt()))
        self._interrupting.add(task)
        task.add_done_callback(self._interrupting.discard)
        self._tail_held = False
        if part := self._delivery.interrupt():
            self._presenter.take(part)
        # Until the base class has emptied its queue, what comes out of it is not said.
        self._dropping = self._stale = True
        self._false_starts.clear()
        try:
            cut = await self._presenter.interrupt()
            await super().process_frame(frame, direction)
        finally:
            self._dropping = False
        await self._presenter.interrupted(cut)

    async def _present(self) -> None:
        while not self._presenter.is_over:
            try:
                await self._presenter.run()
            except Exception as e:
                await self.push_error(f"Telling the pipeline of the bot's speech: {e}", exception=e)

    async def _interrupt(self) -> None:
        try:
            await self._client.send_interrupt_message()
        except TavusRoomSendError as e:
            await self._outages.failed("message", e)

    async def _wait_for_replica(self) -> None:
        if self._client.replica_ready:
            self._absence_told = False
        elif self._params.replica_timeout and not self._absence_told:
            logger.debug("{}: speech waits for the replica", self)
            try:
                async with asyncio.timeout(self._params.replica_timeout):
                    await self._client.wait_for_replica()
            except TimeoutError:
                self._absence_told = True
                error = TavusReplicaAbsentError(
                    f"The replica did not come within {self._params.replica_timeout:g} s: "
                    "the bot speaks to a room without it"
                )
                logger.warning(str(error))
                await self._client.report(error)
        self._speech.has_replica = self._client.replica_ready

    def _on_replica_speech(self, secs: float) -> None:
        if self.metrics_enabled:
            data = ReplicaSpeechMetricsData(processor=self.name, value=secs)
            self._presenter.announce(MetricsFrame(data=[data]))
