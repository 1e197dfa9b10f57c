#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What happens to the voice of a replica: pure data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Began:
    """An utterance begins to sound.

    Parameters:
        at: When, in seconds of the clock handed in.
        inference_id: Which.
        text: What is said, where that is known.
    """

    at: float
    inference_id: str
    text: str | None = None


@dataclass(frozen=True)
class Sound:
    """A piece of audio begins to play.

    Parameters:
        at: When.
        pcm: Mono PCM16.
        rate: Its sample rate in Hz.
    """

    at: float
    pcm: bytes
    rate: int


@dataclass(frozen=True)
class Ended:
    """An utterance no longer sounds.

    Parameters:
        at: When it fell silent.
        inference_id: Which.
        duration: Seconds from its first to its last sample that was not zero.
        interrupted: Whether it was cut off.
    """

    at: float
    inference_id: str
    duration: float
    interrupted: bool = False


Happening = Began | Sound | Ended
