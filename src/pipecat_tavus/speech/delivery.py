#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""How the bot's speech gets to the replica: what both ways have in common."""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from pipecat.frames.frames import OutputAudioRawFrame

from pipecat_tavus.errors import TavusConfigError
from pipecat_tavus.params import TavusParams

AudioDelivery = Literal["track", "echo"]

ECHO_PERSONA = "pipecat0"
"""The ready-made persona that speaks ``conversation.echo`` messages."""

Taken = Callable[[OutputAudioRawFrame], None]
"""Told of audio when it was handed over."""


def copy_audio(frame: OutputAudioRawFrame, audio: bytes) -> OutputAudioRawFrame:
    """A frame of the same type, with other audio.

    Args:
        frame: The frame.
        audio: The audio, PCM16.

    Returns:
        The copy.
    """
    return type(frame)(audio, sample_rate=frame.sample_rate, num_channels=frame.num_channels)


def delivery_for(params: TavusParams, persona_id: str | None) -> AudioDelivery:
    """Which way speech goes: as the parameters say, else as the persona wants it.

    Args:
        params: The parameters.
        persona_id: The persona.

    Returns:
        The way.

    Raises:
        TavusConfigError: The parameters ask for what this way cannot do.
    """
    by_persona: AudioDelivery = "echo" if persona_id == ECHO_PERSONA else "track"
    delivery = params.audio_delivery or by_persona
    if delivery == "echo" and params.audio_out_mixer is not None:
        raise TavusConfigError(
            "audio_out_mixer needs the delivery by track: a mixer never pauses, and an echo "
            "message belongs to an utterance that ends"
        )
    if delivery == "echo" and params.audio_out_channels != 1:
        raise TavusConfigError(
            f"echo messages are mono: audio_out_channels must be 1, got {params.audio_out_channels}"
        )
    return delivery


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
            The speech that was being written, of which at least the beginning was handed over,
            or None.
        """
        ...

    def close(self) -> list[asyncio.Task[None]]:
        """Nothing more is delivered.

        Returns:
            The tasks to be cancelled.
        """
        ...
