#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Where speech begins and ends in the audio of one participant: a pure meter.

Speech is from the first to the last sample that is not zero; what stands between is kept
bit for bit, silence at the edges is not speech.
"""

from dataclasses import dataclass
from typing import Literal

from pipecat_tavus.sandbox import pcm as pcm16

Edge = Literal["started_speaking", "stopped_speaking"]


@dataclass(frozen=True)
class SpeechEdge:
    """One end of an utterance.

    Parameters:
        what: Which end.
        at: When, in seconds of the clock handed in.
        duration: How long the utterance was in seconds, at its end.
        interrupted: Whether it was cut off.
    """

    what: Edge
    at: float
    duration: float = 0.0
    interrupted: bool = False


class SpeechMeter:
    """Follows the audio of one participant."""

    def __init__(self, gap: float = 0.3, silence: float = 0.8, keep: bool = False):
        """Initialize the meter.

        Args:
            gap: Seconds without any audio that end an utterance.
            silence: Seconds of all-zero audio that end it. Longer than ``gap``: a track that
                plays zeros has not ended, and synthetic voices pause with them.
            keep: Whether the speech itself is kept, for :meth:`speech`.
        """
        self._gap = gap
        self._silence = silence
        self._keep = keep
        self._kept = bytearray()
        self._pending = bytearray()
        self._began: float | None = None
        self._played_until = 0.0
        self._sound_until: float | None = None

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return self._began is not None

    @property
    def sound_until(self) -> float | None:
        """When the last sample that was not zero ended, or None where there was none."""
        return self._sound_until

    @property
    def deadline(self) -> float | None:
        """When the utterance ends unless more is heard, or None where there is none."""
        if self._began is None or self._sound_until is None:
            return None
        return min(self._played_until + self._gap, self._sound_until + self._silence)

    def speech(self) -> bytes:
        """Everything that was said, without what stands between the utterances."""
        return bytes(self._kept)

    def push(self, at: float, pcm: bytes, rate: int) -> list[SpeechEdge]:
        """Hear audio.

        Args:
            at: When it begins to play.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.

        Returns:
            The edges that it makes known.
        """
        edges = self.poll(at)
        begin, end = pcm16.sounding(pcm)
        self._played_until = at + pcm16.secs(pcm, rate)
        if begin == end:
            if self.speaking:
                self._pend(pcm)
            return edges
        if not self.speaking:
            self._began = at + begin / 2 / rate
            edges.append(SpeechEdge("started_speaking", self._began))
        else:
            begin = 0
        self._sound_until = at + end / 2 / rate
        if self._keep:
            self._kept += self._pending + pcm[begin:end]
        self._pending.clear()
        self._pend(pcm[end:])
        return edges

    def poll(self, now: float) -> list[SpeechEdge]:
        """Let time pass.

        Args:
            now: The time.

        Returns:
            The end of the utterance, where it is over.
        """
        deadline = self.deadline
        return self._end() if deadline is not None and now >= deadline else []

    def stop(self, now: float) -> list[SpeechEdge]:
        """Cut the utterance off.

        Args:
            now: The time.

        Returns:
            Its end, where there was one.
        """
        if self._sound_until is not None:
            self._sound_until = min(self._sound_until, now)
        return self._end(interrupted=True)

    def _pend(self, pcm: bytes) -> None:
        if self._keep:
            self._pending += pcm

    def _end(self, interrupted: bool = False) -> list[SpeechEdge]:
        if self._began is None or self._sound_until is None:
            return []
        at = max(self._sound_until, self._began)
        edge = SpeechEdge("stopped_speaking", at, at - self._began, interrupted)
        self._began = None
        self._pending.clear()
        return [edge]
