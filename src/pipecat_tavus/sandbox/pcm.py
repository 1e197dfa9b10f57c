#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Small facts about PCM16 audio."""

import io
import wave
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

FRAME_SECS = 0.02
"""How much audio a participant sends at a time."""


def secs(pcm: bytes, sample_rate: int) -> float:
    """How long mono audio is.

    Args:
        pcm: Mono PCM16.
        sample_rate: In Hz.

    Returns:
        Seconds.
    """
    return len(pcm) / 2 / sample_rate


def frame_bytes(sample_rate: int) -> int:
    """How many bytes one frame of mono audio has.

    Args:
        sample_rate: In Hz.

    Returns:
        Bytes, an even number of at least 2.
    """
    return max(1, round(sample_rate * FRAME_SECS)) * 2


def pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    """Cut audio up.

    Args:
        pcm: Mono PCM16.
        size: How many bytes a piece has, an even number; the last may have less.

    Returns:
        The pieces.
    """
    return (pcm[at : at + size] for at in range(0, len(pcm), size))


def tones(words: int, word_secs: float, sample_rate: int) -> bytes:
    """A voice for who has none: a tone for each word, no sample of which is zero.

    Args:
        words: How many.
        word_secs: How long each is.
        sample_rate: In Hz.

    Returns:
        Mono PCM16.
    """
    ends = [round(n * word_secs * sample_rate) for n in range(words + 1)]
    voice = np.empty(ends[-1], dtype="<i2")
    for n, (begin, end) in enumerate(pairwise(ends)):
        pitch = 220.0 * 2 ** ((0, 4, 7, 5)[n % 4] / 12)
        wave_of = 8000 * np.sin(2 * np.pi * pitch / sample_rate * np.arange(end - begin))
        voice[begin:end] = wave_of.astype("<i2")
    voice[voice == 0] = 1
    return voice.tobytes()


def sounding(pcm: bytes) -> tuple[int, int]:
    """Where the first and behind the last sample is that is not zero.

    Args:
        pcm: Mono PCM16.

    Returns:
        Two byte offsets, which are equal where all is silent.
    """
    begin = (len(pcm) - len(pcm.lstrip(b"\0"))) // 2 * 2
    end = len(pcm.rstrip(b"\0"))
    end += end % 2
    return (begin, end) if begin < end else (0, 0)


def mono(pcm: bytes, channels: int) -> bytes:
    """Mix interleaved channels into one.

    Args:
        pcm: PCM16.
        channels: How many.

    Returns:
        Mono PCM16; the same bytes where there is only one channel.
    """
    if channels == 1:
        return pcm
    samples = np.frombuffer(pcm[: len(pcm) // (2 * channels) * 2 * channels], dtype="<i2")
    mixed = samples.reshape(-1, channels).astype(np.int32).mean(axis=1)
    return mixed.astype("<i2").tobytes()


def stretch(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Bring audio to another rate for a recording, where good is good enough.

    Args:
        pcm: Mono PCM16.
        from_rate: In Hz.
        to_rate: In Hz.

    Returns:
        Mono PCM16; the same bytes where the rates are the same.
    """
    if from_rate == to_rate or not pcm:
        return pcm
    samples = np.frombuffer(pcm, dtype="<i2")
    count = max(1, round(len(samples) * to_rate / from_rate))
    where = np.arange(count) * (from_rate / to_rate)
    return np.interp(where, np.arange(len(samples)), samples).astype("<i2").tobytes()


def read_wav(data: bytes) -> tuple[bytes, int]:
    """Read a WAV file.

    Args:
        data: The file's content.

    Returns:
        Mono PCM16 and its sample rate in Hz.

    Raises:
        ValueError: It is not a WAV file of 16 bit samples.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2:
                raise ValueError(f"WAV of {8 * file.getsampwidth()} bit samples; 16 are needed")
            return mono(
                file.readframes(file.getnframes()), file.getnchannels()
            ), file.getframerate()
    except (wave.Error, EOFError) as e:
        raise ValueError(f"not a WAV file: {e}") from e
