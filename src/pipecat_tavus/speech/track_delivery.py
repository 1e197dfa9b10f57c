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
from pipecat_tavus.speech.delivery import Taken, copy_audio
from pipecat_tavus.speech.outages import Outages
from pipecat_tavus.speech.speech import Speech

STREAM_TRACK = "stream"
"""The custom audio track that the persona ``pipecat-stream`` speaks."""


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
        # What is being written, by the track's name.
        self._writing: dict[str, OutputAudioRawFrame] = {}

    async def open(self) -> None:
        """Publish the track."""
        await self._client.publish(STREAM_TRACK, self._silence)

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on its track; returns when more is wanted there.

        Args:
            frame: The audio.

        Returns:
            Whether the frame is to be pushed on, as audio for another track is.
        """
        destination = frame.transport_destination
        track = frame.transport_destination = destination or STREAM_TRACK
        self._writing[track] = frame
        if destination is None:
            samples_per_sec = frame.sample_rate * frame.num_channels
            self._speech.hand_over(time.monotonic(), frame.audio, samples_per_sec)
        error = None
        try:
            if not await self._client.write_audio_frame(frame):
                error = TavusRoomSendError("The room did not take the bot's audio")
        except Exception as e:
            error = e if isinstance(e, TavusError) else TavusRoomSendError(f"Writing audio: {e}")
        finally:
            # Downstream it is the bot's speech, on no track in particular.
            frame.transport_destination = destination
            dropped = self._writing.pop(track, None) is None
        if dropped:
            return False
        if error:
            await self._outages.failed("audio", error)
            return False
        self._outages.over("audio")
        if destination is None:
            self._taken(frame)
        return destination is not None

    async def finish(self) -> None:
        """A track has no ends."""

    def interrupt(self) -> OutputAudioRawFrame | None:
        """Play nothing more of what is being written.

        Returns:
            The speech that was being written, or None.
        """
        dropped = {name: frame for name, frame in self._writing.items() if frame.interruptible}
        for name in dropped:
            del self._writing[name]
            self._client.drop_audio(name)
        speech = dropped.get(STREAM_TRACK)
        return copy_audio(speech, speech.audio) if speech else None

    def close(self) -> list[asyncio.Task[None]]:
        """A track is closed with the room.

        Returns:
            The tasks to be cancelled: none.
        """
        return []
