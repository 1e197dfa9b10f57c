#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The replica's voice in the middle of a pipeline: the bot's speech to it, and back from it."""

import asyncio
import copy
import math
import time
from dataclasses import dataclass
from typing import Any, cast

from pipecat.audio.utils import is_silence
from pipecat.frames.frames import (
    BotConnectedFrame,
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ClientConnectedFrame,
    ControlFrame,
    ErrorFrame,
    Frame,
    OutputTransportReadyFrame,
    SpeechOutputAudioRawFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.daily.transport import DailyInputTransportMessageFrame

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.output import TavusOutputTransport
from pipecat_tavus.params import TavusParams
from pipecat_tavus.speech.hearing import TAIL_SECS, Hearing

_LOOK_SECS = 0.05
_STILL_SECS = 0.25
"""From how many seconds on a look is so late that the machine has stood still."""

_CLOSING_SECS = 0.2
"""How much silence ends a sound that nothing follows."""

_END_SECS = 3.0
"""For how many seconds at the end the replica may be heard longer than its speech lasts."""

_NOT_TOLD = (
    # The replica's own sound takes its place.
    TTSAudioRawFrame,
    # The output transport behind tells these.
    BotStartedSpeakingFrame,
    BotSpeakingFrame,
    BotStoppedSpeakingFrame,
    OutputTransportReadyFrame,
    # The people who matter are at the other transport.
    BotConnectedFrame,
    ClientConnectedFrame,
    DailyInputTransportMessageFrame,
)


@dataclass
class Passenger(ControlFrame):
    """A frame that is no speech, and keeps its place in it.

    Pipecat's output, which hands speech over, would act on many of them, as the output
    transport behind shall.

    Parameters:
        frame: The frame.
    """

    frame: Frame

    def __post_init__(self) -> None:
        """Take the frame's place."""
        super().__post_init__()
        self.pts = self.frame.pts
        self.interruptible = self.frame.interruptible


class Voice(TavusOutputTransport):
    """An output that is in no pipeline itself: another processor pushes for it.

    Pipecat takes every output transport of a pipeline for its last processor, above all
    where it tells RTVI clients what is said: they would be told all words twice.
    """

    def __init__(
        self, processor: FrameProcessor, client: TavusTransportClient, params: TavusParams
    ):
        """Initialize the voice.

        Args:
            processor: The processor that is in the pipeline.
            client: The client.
            params: The parameters.
        """
        super().__init__(client, params, name=processor.name)
        self._processor = processor
        self._hearing = Hearing(self._presenter)
        self._listener = self._hearing
        self._following: asyncio.Task[None] | None = None
        self._rate = 0
        self._pushed_at = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether the processor is."""
        return self._processor.is_usable

    @property
    def is_silent(self) -> bool:
        """Whether the replica is silent, and not just between two words."""
        return self._hearing.is_silent

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was handed over waits to be heard."""
        return self._presenter.is_idle

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set up as any output.

        Args:
            setup: The pipeline's setup.

        Raises:
            TavusError: It failed.
        """
        # Whoever observes the pipeline sees the processor alone.
        setup = copy.copy(setup)
        setup.observer = None
        self._rate = setup.audio_out_sample_rate
        await super().setup(setup)

    async def cleanup(self) -> None:
        """Release everything."""
        try:
            if self._following:
                await self.cancel_task(self._following)
        finally:
            await super().cleanup()

    async def push_error_frame(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        """Let the processor push an error.

        Args:
            error: The error.
            force_treat_as_permanent: Whether the processor is of no use from now on.
        """
        error.processor = self._processor
        await self._processor.push_error_frame(error, force_treat_as_permanent)

    def shut_up(self) -> None:
        """What the replica says is interrupted: the rest of it is not pushed."""
        self._hearing.interrupt()

    async def hear(self, audio: Any, source: str) -> bool:
        """Push a piece of the replica's sound, if anybody is to hear it.

        Args:
            audio: As Daily gives it.
            source: Where it comes from.

        Returns:
            Whether the replica was heard to speak.
        """
        sounds = not is_silence(audio.audio_frames)
        secs = len(audio.audio_frames) / 2 / audio.num_channels / audio.sample_rate
        if not self._hearing.take(sounds, secs):
            return False
        self._pushed_at = time.monotonic()
        await self._push_sound(audio.audio_frames, audio.sample_rate, audio.num_channels, source)
        if sounds and (self._following is None or self._following.done()):
            self._following = cast("asyncio.Task[None]", self.create_task(self._follow()))
        return sounds

    async def _follow(self) -> None:
        """Look after what is heard, until it has been silent for a while."""
        quiet_secs, late = 0.0, True
        while late or (quiet_secs := self._hearing.quiet_secs) < TAIL_SECS:
            at = time.monotonic()
            await asyncio.sleep(_LOOK_SECS)
            # Behind a moment in which the machine stood still comes what came meanwhile.
            late = time.monotonic() - at > _STILL_SECS
            self._hearing.look()
        # Daily's rooms are never without sound, be it silence. Others may be, and any where
        # the replica has left. What was interrupted needs no end.
        pause = time.monotonic() - self._pushed_at
        if pause > 2 * _LOOK_SECS and math.isfinite(quiet_secs):
            await self._push_sound(bytes(int(self._rate * _CLOSING_SECS) * 2), self._rate, 1)

    async def _push_sound(
        self, audio: bytes, sample_rate: int, num_channels: int, source: str | None = None
    ) -> None:
        frame = SpeechOutputAudioRawFrame(audio, sample_rate, num_channels)
        frame.transport_source = source
        await self._processor.push_frame(frame)

    async def _tell(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, Passenger):
            frame = frame.frame
        elif isinstance(frame, _NOT_TOLD):
            return
        await self._processor.push_frame(frame, direction)

    async def _wait_until_heard(self) -> None:
        await super()._wait_until_heard()
        if self._following:
            await asyncio.wait([self._following], timeout=_END_SECS)

    def _on_replica_speech(self, secs: float) -> None:
        """Nothing: whoever hears the replica measures to its sound."""
