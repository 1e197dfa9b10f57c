#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""How a bot hears one participant: at the rate and in the pieces that it asked for."""

from dataclasses import dataclass

from pipecat.audio.utils import (
    create_stream_resampler,  # pyright: ignore[reportUnknownVariableType]
)


@dataclass(frozen=True)
class SandboxAudio:
    """A piece of captured audio, with the names of Daily's ``AudioData``.

    Parameters:
        audio_frames: PCM16.
        sample_rate: In Hz.
        num_channels: Always 1.
    """

    audio_frames: bytes
    sample_rate: int
    num_channels: int = 1


class Ear:
    """Cuts and, where needed, resamples the audio of one source."""

    def __init__(self, sample_rate: int, interval_ms: int):
        """Initialize the ear.

        Args:
            sample_rate: The rate to deliver, in Hz.
            interval_ms: How long a delivered piece is, in milliseconds.
        """
        self._rate = sample_rate
        self._size = max(1, sample_rate * interval_ms // 1000) * 2
        self._waiting = bytearray()
        self._from_rate = 0
        self._resampler = create_stream_resampler(clear_after_secs=None)

    async def hear(self, pcm: bytes, rate: int) -> list[SandboxAudio]:
        """Take audio.

        Args:
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.

        Returns:
            The pieces that are complete. At the rate to deliver they are the same samples.
        """
        if rate != self._from_rate:
            self._from_rate = rate
            self._resampler = create_stream_resampler(clear_after_secs=None)
        self._waiting += await self._resampler.resample(pcm, rate, self._rate)
        pieces: list[SandboxAudio] = []
        while len(self._waiting) >= self._size:
            pieces.append(SandboxAudio(bytes(self._waiting[: self._size]), self._rate))
            del self._waiting[: self._size]
        return pieces
