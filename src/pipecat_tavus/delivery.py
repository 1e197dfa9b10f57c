#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The two ways of the bot's speech to the replica: a track, or echo messages."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Protocol, cast

from pipecat.frames.frames import OutputAudioRawFrame, OutputTransportMessageUrgentFrame
from pipecat.processors.frame_processor import FrameProcessor

from pipecat_tavus import interactions
from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError, TavusRoomSendError
from pipecat_tavus.outages import Outages
from pipecat_tavus.params import TavusParams
from pipecat_tavus.speech import Speech
from pipecat_tavus.utterance import Utterance

STREAM_TRACK = "stream"
"""The custom audio track that the persona ``pipecat-stream`` speaks."""

_PIECE_10MS = 4
"""How much is handed over at a time: what an interruption comes too late for."""

_IDLE_SECS = 1.0
"""Seconds without audio after which an utterance has ended that nobody ended."""


@dataclass
class Flight:
    """Audio that is being written.

    Parameters:
        frame: Its frame, whose own audio may be a part of it.
        audio: All of it, PCM16.
        number: How many interruptions there were before.
        start: When it was handed over, in hand-over time, or None before.
    """

    frame: OutputAudioRawFrame
    audio: bytes
    number: int = 0
    start: float | None = None

    def heard(self, unplayed: float) -> OutputAudioRawFrame | None:
        """The part that was heard.

        Args:
            unplayed: From when on audio was not heard, in hand-over time.

        Returns:
            A frame with it, or None where nothing was.
        """
        return head(self.frame, self.audio, unplayed - (self.start or unplayed))


def head(frame: OutputAudioRawFrame, audio: bytes, secs: float) -> OutputAudioRawFrame | None:
    """The first part of a frame's audio.

    Args:
        frame: The frame.
        audio: All of its audio, PCM16.
        secs: How much of it.

    Returns:
        A frame of the same type, or None where nothing is left.
    """
    samples = int(max(0.0, secs) * frame.sample_rate)
    part = audio[: samples * frame.num_channels * 2]
    if not part:
        return None
    return type(frame)(part, sample_rate=frame.sample_rate, num_channels=frame.num_channels)


class Delivery(Protocol):
    """How speech gets to the replica."""

    async def open(self) -> None:
        """Prepare, in the room.

        Raises:
            TavusRoomSendError: It failed. The conversation is being ended.
        """
        ...

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Hand audio over; returns when more of it is wanted.

        Args:
            frame: The audio, on the frame's destination.

        Returns:
            Whether it was taken, and not interrupted.
        """
        ...

    async def finish(self) -> None:
        """What was being said is complete."""
        ...

    def interrupt(self) -> Flight | None:
        """Hand nothing more over of what is being written.

        Returns:
            What is being written, or None.
        """
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


class TrackDelivery:
    """Speech on a custom audio track, paced by the room."""

    def __init__(
        self, client: TavusTransportClient, outages: Outages, speech: Speech, silence: bool
    ):
        """Initialize the delivery.

        Args:
            client: The room.
            outages: Who is told of failures.
            speech: The speech, as it is handed over.
            silence: Whether the track is silent, rather than waiting, between writes.
        """
        self._client = client
        self._outages = outages
        self._speech = speech
        self._silence = silence
        self._interruptions = 0
        self._flight: Flight | None = None

    async def open(self) -> None:
        """Publish the track."""
        await self._client.publish(STREAM_TRACK, self._silence)

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on its track, piece by piece; returns when it has been played.

        Args:
            frame: The audio; cut to what was taken.

        Returns:
            Whether the room took it, and it was not interrupted.
        """
        audio, destination = frame.audio, frame.transport_destination
        bytes_10ms = frame.sample_rate // 100 * frame.num_channels * 2
        piece = bytes_10ms * _PIECE_10MS
        flight = Flight(frame, audio, self._interruptions)
        if destination is None:
            self._flight = flight
        frame.transport_destination = destination or STREAM_TRACK
        written = 0
        try:
            # One frame serves all its pieces: making frames is what costs here.
            while written < len(audio) and not self._interrupted(flight):
                frame.audio = audio[written : written + piece]
                if destination is None:
                    secs = len(frame.audio) / bytes_10ms / 100
                    start = self._speech.hand_over(time.monotonic(), secs)
                    flight.start = start if flight.start is None else flight.start
                if not await self._write(frame):
                    break
                written += piece
        finally:
            # Downstream it is the bot's speech, on no track in particular.
            frame.transport_destination = destination
            frame.audio = audio[:written]
        return written > 0 and not self._interrupted(flight)

    async def finish(self) -> None:
        """A track has no ends."""

    def interrupt(self) -> Flight | None:
        """Play nothing more of what is being written.

        Returns:
            What is being written, or None.
        """
        self._interruptions += 1
        flight, self._flight = self._flight, None
        return flight if flight and self._interrupted(flight) else None

    async def close(self) -> None:
        """A track is closed with the room."""

    def _interrupted(self, flight: Flight) -> bool:
        return flight.number != self._interruptions and flight.frame.interruptible

    async def _write(self, frame: OutputAudioRawFrame) -> bool:
        try:
            if await self._client.write_audio_frame(frame):
                self._outages.over("audio")
                return True
            error = TavusRoomSendError("The room did not take the bot's audio")
        except Exception as e:
            error = e if isinstance(e, TavusError) else TavusRoomSendError(f"Writing audio: {e}")
        await self._outages.failed("audio", error)
        return False


class EchoDelivery:
    """Speech as ``conversation.echo`` messages, ahead of its time within a bounded lead."""

    def __init__(
        self,
        client: TavusTransportClient,
        outages: Outages,
        speech: Speech,
        params: TavusParams,
        processor: FrameProcessor,
    ):
        """Initialize the delivery.

        Args:
            client: The room.
            outages: Who is told of failures.
            speech: The speech, as it is handed over.
            params: The chunk's length and the lead.
            processor: Whose tasks it runs.
        """
        self._client = client
        self._outages = outages
        self._speech = speech
        self._lead = params.echo_lead_secs
        self._chunk_ms = params.echo_chunk_ms
        self._processor = processor
        # For audio with a destination of its own.
        self._tracks = TrackDelivery(client, outages, speech, params.audio_out_auto_silence)
        self._utterance: Utterance | None = None
        self._flight: Flight | None = None
        self._written_at = 0.0
        self._idle: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """There is nothing to prepare."""

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Send audio; returns when the lead allows for more.

        Args:
            frame: The audio.

        Returns:
            Whether the room took it, and it was not interrupted.
        """
        if frame.transport_destination is not None:
            return await self._tracks.write(frame)
        if self._utterance is None and frame.audio.count(0) == len(frame.audio):
            # Silence between utterances, such as at the end, is nothing to say.
            return True
        utterance = self._utterance = self._utterance or self._begin(frame.sample_rate)
        now = self._written_at = time.monotonic()
        start = self._speech.hand_over(now, len(frame.audio) / 2 / frame.sample_rate, utterance.id)
        flight = self._flight = Flight(frame, frame.audio, start=start)
        for chunk in utterance.feed(frame.audio):
            await self._wait_for_lead(utterance)
            if utterance is not self._utterance or not await self._send(utterance, chunk):
                return False
        await self._wait_for_lead(utterance)
        return flight is self._flight

    async def finish(self) -> None:
        """End the utterance, whose last chunk says so."""
        utterance, self._utterance = self._utterance, None
        self._flight = None
        if utterance:
            await self._send(utterance, utterance.end(), done=True)

    def interrupt(self) -> Flight | None:
        """Send nothing more of the utterance, not even its end.

        Returns:
            What is being written, or None.
        """
        flight, self._flight = self._flight, None
        self._utterance = None
        self._tracks.interrupt()
        return flight

    async def close(self) -> None:
        """Release everything."""
        if self._idle:
            await self._processor.cancel_task(self._idle)

    def _begin(self, sample_rate: int) -> Utterance:
        utterance = Utterance(str(uuid.uuid4()), sample_rate, self._chunk_ms)
        if not self._idle or self._idle.done():
            idle = self._processor.create_task(self._finish_when_idle())
            self._idle = cast("asyncio.Task[None]", idle)
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
        if wait > 0:
            await asyncio.sleep(wait)

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
