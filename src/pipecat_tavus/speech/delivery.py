#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""How the bot's speech gets to the replica: what both ways have in common."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipecat.frames.frames import OutputAudioRawFrame

Taken = Callable[[OutputAudioRawFrame], None]
"""Told of audio when it was handed over."""


@dataclass
class Flight:
    """Audio that is being written.

    Parameters:
        frame: Its frame, whose own audio may be a part of it meanwhile.
        audio: All of it, PCM16.
        handed: How many bytes of it were handed over.
    """

    frame: OutputAudioRawFrame
    audio: bytes
    handed: int = 0

    def part(self) -> OutputAudioRawFrame:
        """What was handed over, as a frame of its own."""
        return copy_audio(self.frame, self.audio[: self.handed])


def copy_audio(frame: OutputAudioRawFrame, audio: bytes) -> OutputAudioRawFrame:
    """A frame of the same type, with other audio.

    Args:
        frame: The frame.
        audio: The audio, PCM16.

    Returns:
        The copy.
    """
    return type(frame)(audio, sample_rate=frame.sample_rate, num_channels=frame.num_channels)


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
            Whether the frame is to be pushed on. Speech is not: it is taken, and told when
            it is heard.
        """
        ...

    async def finish(self) -> None:
        """What was being said is complete."""
        ...

    def interrupt(self) -> OutputAudioRawFrame | None:
        """Hand nothing more over of what is being written.

        Returns:
            As much of it as was handed over, or None.
        """
        ...

    def close(self) -> list[asyncio.Task[None]]:
        """Nothing more is delivered.

        Returns:
            The tasks to be cancelled.
        """
        ...
