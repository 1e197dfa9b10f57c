#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""How the bot's speech gets to the replica: what both ways have in common."""

from dataclasses import dataclass
from typing import Protocol

from pipecat.frames.frames import OutputAudioRawFrame


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
