#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot's speech on a custom audio track, in real time."""

import asyncio
import time

from pipecat.frames.frames import OutputAudioRawFrame

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError, TavusRoomSendError
from pipecat_tavus.speech.delivery import Flight, Taken
from pipecat_tavus.speech.outages import Outages
from pipecat_tavus.speech.speech import Speech

STREAM_TRACK = "stream"
"""The custom audio track that the persona ``pipecat-stream`` speaks."""

_PIECE_10MS = 4
"""How much is handed over at a time: what an interruption comes too late for."""


class TrackDelivery:
    """Speech on a custom audio track, paced by the room."""

    def __init__(
        self,
        client: TavusTransportClient,
        outages: Outages,
        speech: Speech,
        taken: Taken,
        silence: bool,
    ):
        """Initialize the delivery.

        Args:
            client: The room.
            outages: Who is told of failures.
            speech: The speech, as it is handed over.
            taken: Told of speech that was handed over.
            silence: Whether the track is silent, rather than waiting, between writes.
        """
        self._client = client
        self._outages = outages
        self._speech = speech
        self._taken = taken
        self._silence = silence
        self._interruptions = 0
        self._flight: Flight | None = None

    async def open(self) -> None:
        """Publish the track."""
        await self._client.publish(STREAM_TRACK, self._silence)

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on its track, piece by piece; returns when it has been played.

        Args:
            frame: The audio; cut to what was played.

        Returns:
            Whether the frame is to be pushed on, as audio for another track is.
        """
        audio, destination = frame.audio, frame.transport_destination
        flight = Flight(frame, audio)
        if destination is None:
            self._flight = flight
        try:
            played = await self._play(flight, destination)
        finally:
            # Downstream it is the bot's speech, on no track in particular.
            frame.transport_destination = destination
        frame.audio = audio[:played]
        if destination is not None:
            return played > 0
        if flight is self._flight:
            self._flight = None
            if played:
                self._taken(frame)
        return False

    async def _play(self, flight: Flight, destination: str | None) -> int:
        frame, number = flight.frame, self._interruptions
        piece = frame.sample_rate // 100 * _PIECE_10MS * frame.num_channels * 2
        frame.transport_destination = destination or STREAM_TRACK
        played = 0
        # One frame serves all its pieces: making frames is what costs here.
        while played < len(flight.audio):
            if number != self._interruptions and frame.interruptible:
                break
            frame.audio = flight.audio[played : played + piece]
            if destination is None:
                samples_per_sec = frame.sample_rate * frame.num_channels
                self._speech.hand_over(time.monotonic(), frame.audio, samples_per_sec)
                flight.handed += len(frame.audio)
            if not await self._write(frame):
                break
            played += piece
        return played

    async def finish(self) -> None:
        """A track has no ends."""

    def interrupt(self) -> OutputAudioRawFrame | None:
        """Play nothing more of what is being written.

        Returns:
            As much of it as was handed over, or None.
        """
        self._interruptions += 1
        if self._flight is None or not self._flight.frame.interruptible:
            return None
        flight, self._flight = self._flight, None
        return flight.part()

    def close(self) -> list[asyncio.Task[None]]:
        """A track is closed with the room.

        Returns:
            The tasks to be cancelled: none.
        """
        return []

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
