#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech as ``conversation.echo`` messages, ahead of its time."""

import asyncio
import time
import uuid
from contextlib import suppress
from typing import cast

from pipecat.frames.frames import OutputAudioRawFrame, OutputTransportMessageUrgentFrame
from pipecat.processors.frame_processor import FrameProcessor

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusRoomSendError
from pipecat_tavus.events import interactions
from pipecat_tavus.params import TavusParams
from pipecat_tavus.speech.delivery import Taken
from pipecat_tavus.speech.outages import Outages
from pipecat_tavus.speech.speech import Speech
from pipecat_tavus.speech.track_delivery import TrackDelivery
from pipecat_tavus.speech.utterance import Utterance

_IDLE_SECS = 1.0
"""Seconds without audio after which an utterance has ended that nobody ended."""
_PAUSE_SECS = 0.25
"""How many seconds of a long lead are used up before more is sent: one wake-up then serves
several messages."""


class EchoDelivery:
    """Speech as ``conversation.echo`` messages, ahead of its time within a bounded lead."""

    def __init__(
        self,
        client: TavusTransportClient,
        outages: Outages,
        speech: Speech,
        taken: Taken,
        params: TavusParams,
        processor: FrameProcessor,
    ):
        """Initialize the delivery.

        Args:
            client: The room.
            outages: Who is told of failures.
            speech: The speech, as it is handed over.
            taken: Told of speech that was handed over.
            params: The chunk's length and the lead.
            processor: Whose tasks it runs.
        """
        self._client = client
        self._outages = outages
        self._speech = speech
        self._taken = taken
        self._lead = params.echo_lead_secs
        self._chunk_ms = params.echo_chunk_ms
        self._processor = processor
        # For audio with a destination of its own.
        self._tracks = TrackDelivery(client, outages, speech, taken, params.audio_out_auto_silence)
        self._utterance: Utterance | None = None
        self._writing: OutputAudioRawFrame | None = None
        self._written_at = 0.0
        self._interrupted = asyncio.Event()
        self._idle: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """There is nothing to prepare."""

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Send audio; returns when the lead allows for more.

        Args:
            frame: The audio.

        Returns:
            Whether the frame is to be pushed on, as audio for a track is.
        """
        if frame.transport_destination is not None:
            return await self._tracks.write(frame)
        if self._utterance is None and frame.audio.count(0) == len(frame.audio):
            # Silence between utterances, such as at the end, is nothing to say.
            return False
        utterance = self._utterance = self._utterance or self._begin(frame.sample_rate)
        self._written_at = time.monotonic()
        self._speech.hand_over(self._written_at, frame.audio, frame.sample_rate, utterance.id)
        self._writing = frame
        for chunk in utterance.feed(frame.audio):
            await self._wait_for_lead(utterance)
            if utterance is not self._utterance or not await self._send(utterance, chunk):
                return False
        if frame is self._writing:
            self._writing = None
            self._taken(frame)
            await self._wait_for_lead(utterance)
        return False

    async def finish(self) -> None:
        """End the utterance, whose last chunk says so."""
        utterance, self._utterance = self._utterance, None
        self._writing = None
        if utterance:
            await self._send(utterance, utterance.end(), done=True)

    def interrupt(self) -> OutputAudioRawFrame | None:
        """Send nothing more of the utterance, not even its end.

        Returns:
            The speech that is being written, which was handed over, or None.
        """
        writing, self._writing, self._utterance = self._writing, None, None
        self._interrupted.set()
        self._tracks.interrupt()
        return writing

    def close(self) -> list[asyncio.Task[None]]:
        """Nothing more is sent.

        Returns:
            The tasks to be cancelled.
        """
        return [self._idle] if self._idle else []

    def _begin(self, sample_rate: int) -> Utterance:
        utterance = Utterance(str(uuid.uuid4()), sample_rate, self._chunk_ms)
        if not self._idle or self._idle.done():
            self._idle = cast(
                "asyncio.Task[None]",
                self._processor.create_task(self._finish_when_idle()),
            )
        return utterance

    async def _finish_when_idle(self) -> None:
        while self._utterance:
            wait = self._written_at + _IDLE_SECS - time.monotonic()
            if wait <= 0:
                await self.finish()
            else:
                await asyncio.sleep(wait)

    async def _wait_for_lead(self, utterance: Utterance) -> None:
        lead = max(self._lead, utterance.chunk_secs)
        wait = (self._speech.end or 0.0) - lead - time.monotonic()
        if wait <= 0:
            return
        self._interrupted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait + min(_PAUSE_SECS, (lead - utterance.chunk_secs) / 4)):
                await self._interrupted.wait()
        self._written_at = time.monotonic()

    async def _send(self, utterance: Utterance, chunk: bytes, *, done: bool = False) -> bool:
        message = interactions.echo_audio(
            self._client.conversation_id or "",
            chunk,
            sample_rate=utterance.sample_rate,
            inference_id=utterance.id,
            done=done,
        )
        try:
            await self._client.send_message(OutputTransportMessageUrgentFrame(message=message))
        except TavusRoomSendError as e:
            await self._outages.failed("audio", e)
            return False
        self._outages.over("audio")
        return True
