#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What one participant said and when: a pure timeline that becomes a recording."""

from dataclasses import dataclass, field

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.playout import Playhead


@dataclass
class _Passage:
    start: float
    rate: int
    data: bytearray = field(default_factory=bytearray)


class Timeline:
    """Audio at its place in time; silence takes no room."""

    def __init__(self, start: float):
        """Initialize an empty timeline.

        Args:
            start: When it begins, in seconds of the clock handed in.
        """
        self._start = start
        self._playhead = Playhead(0.06)
        self._passages: list[_Passage] = []

    def add(self, at: float, pcm: bytes, rate: int) -> None:
        """Put audio where it belongs.

        Args:
            at: When it plays.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
        """
        follows = self._playhead.follows(at)
        start = self._playhead.book(at, pcm16.secs(pcm, rate))
        last = self._passages[-1] if self._passages else None
        if last is None or not follows or last.rate != rate:
            last = _Passage(start - self._start, rate)
            self._passages.append(last)
        last.data += pcm

    def render(self, until: float, default_rate: int) -> tuple[bytes, int]:
        """Make the recording.

        Args:
            until: Where it ends.
            default_rate: Its sample rate in Hz where nothing was said.

        Returns:
            Mono PCM16 from the start on with silence filled in, and its sample rate: that of
            the first audio, to which the rest is brought if it has another.
        """
        rate = self._passages[0].rate if self._passages else default_rate
        samples = max(0, round((until - self._start) * rate))
        recording = bytearray(2 * samples)
        for passage in self._passages:
            pcm = pcm16.stretch(bytes(passage.data), passage.rate, rate)
            begin = 2 * max(0, round(passage.start * rate))
            pcm = pcm[: max(0, len(recording) - begin)]
            recording[begin : begin + len(pcm)] = pcm
        return bytes(recording), rate
