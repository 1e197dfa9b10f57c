#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech on a custom audio track, in real time."""

import time

from pipecat.frames.frames import OutputAudioRawFrame

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.delivery import Flight
from pipecat_tavus.errors import TavusError, TavusRoomSendError
from pipecat_tavus.outages import Outages
from pipecat_tavus.speech import Speech

STREAM_TRACK = "stream"
"""The custom audio track that the persona ``pipecat-stream`` speaks."""

_PIECE_10MS = 4
"""How much is handed over at a time: what an interruption comes too late for."""


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
