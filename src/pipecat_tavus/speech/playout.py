#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#
"""What belongs to moments of speech, until the person hears them.

Audio, words and the end of speech wait here for their moment. Pure: it reads no clock, and
what waits is anything.
"""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

from pipecat_tavus.speech.speech import Speech, Stretch

T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    item: T
    at: float
    stretch: Stretch | None
    secs: float = 0.0
    closes: bool = False


class Cut(NamedTuple, Generic[T]):
    """What an interruption leaves.

    Parameters:
        dropped: What belongs to speech that the person will not hear.
        partial: The item whose audio was being played, and how many seconds of it were.
    """

    dropped: list[T]
    partial: tuple[T, float] | None


class Playout(Generic[T]):
    """What waits until the person hears the speech that it belongs to.

    All times are seconds of one clock.
    """

    def __init__(self, speech: Speech):
        """Initialize it with nothing to wait for.

        Args:
            speech: The speech, as it is handed over.
        """
        self._speech = speech
        self._line: deque[_Waiting[T]] = deque()
        self._timed: deque[tuple[T, float]] = deque()
        # What is being said was requested then, and this is its first stretch.
        self._requested = 0.0
        self._first: Stretch | None = None

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._line or self._timed)

    def request(self, now: float) -> None:
        """Speech came to be handed over, perhaps only later: its words are timed from here.

        Args:
            now: The time.
        """
        if self._first is None:
            self._requested, self._first = now, self._speech.pending(now)

    def put(
        self, now: float, item: T, *, secs: float = 0.0, opens: bool = False, closes: bool = False
    ) -> None:
        """Let something wait until the audio handed over so far was heard.

        Args:
            now: The time.
            item: What waits.
            secs: How long its own audio is, which was handed over last.
            opens: Whether it belongs to speech that is about to be handed over.
            closes: Whether it is the end of speech, of which the replica tells as well.
        """
        if opens:
            stretch = self._speech.pending(now)
        else:
            # Audio was handed over, even if more speech is about to be.
            stretch = self._speech.begun if secs else self._speech.last
        at = now if stretch is None or stretch.start is None else stretch.end
        self._line.append(_Waiting(item, at, stretch, secs, closes))

    def put_timed(self, item: T, at: float) -> None:
        """Let something wait for a moment that is timed from when speech was requested.

        Timed items leave in the order in which they came: the first word of an utterance may
        have the very time of the last one before it.

        Args:
            item: What waits.
            at: When it would be heard if the request had been heard at once.
        """
        self._timed.append((item, at))

    def pop(self, now: float) -> T | None:
        """Give the next item whose moment has come, or None.

        Args:
            now: The time.

        Returns:
            The item.
        """
        if not self:
            self._speech.forget()
            return None
        self._speech.settle(now)
        line, timed = self._line_due(), self._timed_due()
        if min(line, timed) > now:
            return None
        if timed < line:
            return self._timed.popleft()[0]
        entry = self._line.popleft()
        if entry.closes and not any(other.secs for other in self._line):
            self._first = None
        return entry.item

    def next_at(self) -> float | None:
        """When something is next to be looked at, or None where nothing waits."""
        soonest = min(self._speech.next_at(), self._line_due(), self._timed_due())
        return soonest if self and soonest < float("inf") else None

    def cut(self, now: float) -> Cut[T]:
        """Speech is interrupted: forget what the person will not hear.

        Args:
            now: The time. Take what is due by :meth:`pop` first.

        Returns:
            What is left.
        """
        partial = None
        for item, at, stretch, secs, _ in self._line:
            heard = now - stretch.hears(at - secs) if stretch else 0.0
            if 0 < heard < secs:
                partial = (item, heard)
        self._speech.cut(now)
        dropped = [entry.item for entry in self._line] + [item for item, _ in self._timed]
        self._line.clear()
        self._timed.clear()
        self._first = None
        return Cut(dropped, partial)

    def _line_due(self) -> float:
        if not self._line:
            return float("inf")
        _, at, stretch, _, closes = self._line[0]
        if stretch is None:
            return at
        return stretch.hears(at) + (stretch.patience if closes else 0.0)

    def _timed_due(self) -> float:
        if not self._timed:
            return float("inf")
        _, at = self._timed[0]
        if self._first and self._first.start is not None:
            at += max(0.0, self._first.start - self._requested)
        stretch = self._speech.at(at)
        return at if stretch is None else stretch.hears(at)
