#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""When audio is played: pure schedules, to which the time is handed in."""

from collections import deque
from dataclasses import dataclass, field


class Playhead:
    """An absolute schedule for pieces of audio that are played after each other.

    A piece that comes a little late is scheduled where the one before it ended, as if it
    had been in time: so somebody who writes without a pause writes in real time, and no
    lateness adds up. One that comes later than that begins when it comes.
    """

    def __init__(self, tolerance: float = 0.04):
        """Initialize the schedule.

        Args:
            tolerance: How late a piece may come and still follow without a gap, in seconds.
        """
        self._tolerance = tolerance
        self._end: float | None = None

    def follows(self, now: float) -> bool:
        """Whether a piece that comes now begins where the last one ended."""
        return self._end is not None and now - self._end <= self._tolerance

    def next(self, now: float) -> float:
        """When a piece that comes now would begin, in seconds of the clock handed in."""
        if self._end is None or not self.follows(now):
            return now
        return self._end

    def book(self, now: float, secs: float) -> float:
        """Schedule a piece.

        Args:
            now: When it comes.
            secs: How long it is.

        Returns:
            When it begins.
        """
        start = self.next(now)
        self._end = start + secs
        return start

    def clear(self) -> None:
        """Forget what was scheduled."""
        self._end = None


@dataclass
class _Stretch:
    start: float
    rate: int
    data: bytearray = field(default_factory=bytearray)
    taken: int = 0

    @property
    def due(self) -> float:
        return self.start + self.taken / 2 / self.rate


class PlayoutBuffer:
    """What a replica has received and not yet played: every sample once, in order.

    Each sample is due a fixed time after it should have come. So a pause of the speaker
    is a pause of the replica, while the network's jitter is not heard.
    """

    def __init__(self, delay: float = 0.0, tolerance: float = 0.06):
        """Initialize an empty buffer.

        Args:
            delay: Seconds between the coming of a sample and its playing.
            tolerance: How late a piece may come and still follow without a gap, in seconds.
        """
        self._delay = delay
        self._arrivals = Playhead(tolerance)
        self._stretches: deque[_Stretch] = deque()

    def __len__(self) -> int:
        """How many bytes wait."""
        return sum(len(stretch.data) for stretch in self._stretches)

    @property
    def due(self) -> float | None:
        """When the next sample is to be played, or None where there is none."""
        return self._stretches[0].due if self._stretches else None

    @property
    def rate(self) -> int:
        """The sample rate of the next sample in Hz, or 0 where there is none."""
        return self._stretches[0].rate if self._stretches else 0

    def push(self, pcm: bytes, rate: int, now: float) -> float:
        """Take audio.

        Args:
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
            now: When it came.

        Returns:
            When its first sample is due.
        """
        if not pcm:
            return now + self._delay
        follows = self._arrivals.follows(now)
        start = self._arrivals.book(now, len(pcm) / 2 / rate) + self._delay
        last = self._stretches[-1] if self._stretches else None
        if last is None or not follows or last.rate != rate:
            last = _Stretch(start, rate)
            self._stretches.append(last)
        last.data += pcm
        return start

    def pull(self, n: int) -> bytes:
        """Give the next audio.

        Args:
            n: How many bytes at most, an even number.

        Returns:
            Mono PCM16 at :attr:`rate` without a gap in it; less than ``n`` bytes before a
            gap and at the end, and empty where nothing is left.
        """
        if not self._stretches:
            return b""
        first = self._stretches[0]
        pcm = bytes(first.data[:n])
        del first.data[:n]
        first.taken += len(pcm)
        if not first.data:
            self._stretches.popleft()
        return pcm

    def clear(self) -> int:
        """Drop everything.

        Returns:
            How many bytes were dropped.
        """
        dropped = len(self)
        self._stretches.clear()
        self._arrivals.clear()
        return dropped
