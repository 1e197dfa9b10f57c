#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#
"""Speech as it is handed over, and how much later the person hears it.

Speech is handed over ahead of its time, or on time, and the replica speaks it a little
later: how much is learnt from what the replica says of its speaking. Pure: it reads no
clock. *Hand-over time* is when audio would be heard if the replica spoke it at once.
"""

from dataclasses import dataclass

_PAUSE = 0.3
"""Seconds without speech from which on the replica may take a new breath, and says anew
that it starts: longer than what TTS services leave between two sentences."""

_JITTER = 0.04
"""Seconds that audio may come late and is still heard without a gap."""

_FIRST_PATIENCE = 1.5
"""For how many seconds the first "started speaking" of a conversation is waited for."""

_PATIENCE = 0.5
"""How many seconds more than expected the replica may take to start, or to stop."""

_UNBEGUN = 1.0
"""Seconds after which nothing waits any more for speech that was never handed over."""

_EARLY = 0.3
"""How many seconds before its sound a start may come, for what is not told to the sample."""

_LATE = 5.0
"""Seconds after its sound from which on a start is of something else, such as what the
replica says on its own: who believed it would wait as long for all that follows."""

_STALE = 0.5
"""Seconds after an interruption in which a start may still be of what was interrupted."""


@dataclass(eq=False)
class Stretch:
    """Speech handed over without a pause.

    Parameters:
        opened: When something came last that belongs to it, before it was handed over.
        id: The inference id, where it was handed over with one.
        start: When it was handed over, or None where that is still to come.
        end: Where its audio ends, if it is played from ``start`` on.
        sound: Where its first sound is, from which on the replica speaks.
        shift: How much later than that the person hears it, or None while unknown.
        follows: The first of those that it continues without a pause, whose shift it has.
        confirmed: Whether the replica said that it speaks it.
        started_at: When the replica said that it starts.
        stopped_at: When the replica said that it stopped.
        paused: Whether the replica stopped long before the end, as it does at a silence.
        continued: Whether more follows without a pause, so that the replica says no stop.
    """

    opened: float
    id: str | None = None
    start: float | None = None
    end: float = 0.0
    sound: float | None = None
    shift: float | None = None
    follows: "Stretch | None" = None
    confirmed: bool = False
    started_at: float | None = None
    stopped_at: float | None = None
    paused: bool = False
    continued: bool = False

    def heard_after(self) -> float | None:
        """How much later than handed over the person hears it, or None while unknown."""
        if self.shift is None and self.follows:
            return self.follows.heard_after()
        return self.shift

    def is_confirmed(self) -> bool:
        """Whether the replica said that it speaks it."""
        return self.confirmed or (self.follows is not None and self.follows.is_confirmed())

    def hears(self, at: float) -> float:
        """When something is heard: ``inf`` while unknown.

        Args:
            at: Its hand-over time.

        Returns:
            The time.
        """
        shift = self.heard_after()
        if self.start is None:
            return max(at, self.opened + (_UNBEGUN if shift is None else shift))
        if shift is None:
            return float("inf")
        due = max(at, self.start) + shift
        return due if self.stopped_at is None else min(due, self.stopped_at)

    @property
    def speaks_at(self) -> float:
        """Where its first sound is, or would be, in hand-over time."""
        start = self.opened if self.start is None else self.start
        return start if self.sound is None else self.sound

    def may_start(self, now: float) -> bool:
        """Whether the replica may say now that it starts to speak it.

        Args:
            now: The time.

        Returns:
            Whether it may: once, about when its sound is due, and where no start of what it
            continues is still to come.
        """
        if self.start is None or self.started_at is not None or self.stopped_at is not None:
            return False
        if self.follows and not self.follows.is_confirmed():
            return False
        return -_EARLY <= now - self.speaks_at <= _LATE

    @property
    def patience(self) -> float:
        """How many seconds the replica may take to say that it stopped."""
        told = self.stopped_at is not None or self.paused or self.continued
        return _PATIENCE if self.is_confirmed() and not told else 0.0


class Speech:
    """All stretches of speech that somebody may still hear.

    Parameters:
        has_replica: Whether there is a replica, whose word is waited for.
    """

    def __init__(self, *, follows_replica: bool = True):
        """Initialize it with nothing said.

        Args:
            follows_replica: Whether the replica's own speaking events count; otherwise speech
                counts as heard when it was handed over, in real time.
        """
        self.has_replica = True
        self._follows = follows_replica
        # How long the replica took the last time, and whether it never says anything.
        self._lag: float | None = None if follows_replica else 0.0
        self._silent = not follows_replica
        self._stretches: list[Stretch] = []
        self._cut_at = float("-inf")

    @property
    def last(self) -> Stretch | None:
        """The last stretch, handed over or about to be."""
        return self._stretches[-1] if self._stretches else None

    @property
    def begun(self) -> Stretch | None:
        """The stretch that was handed over last, whatever is about to be."""
        return next((s for s in reversed(self._stretches) if s.start is not None), None)

    @property
    def end(self) -> float | None:
        """Where the audio handed over last ends, in hand-over time, or None."""
        return self.begun.end if self.begun else None

    @property
    def is_confirmed(self) -> bool:
        """Whether the replica is speaking what was handed over, as it says."""
        return any(s.is_confirmed() and s.stopped_at is None for s in self._stretches)

    def at(self, at: float) -> Stretch | None:
        """The stretch that a moment belongs to, or None where nothing was said.

        What is handed over ahead of its time is stretches ahead of what is heard.

        Args:
            at: The moment, in hand-over time.

        Returns:
            The first one that is not over by then; else the last, which may be about to be
            handed over.
        """
        begun = (s for s in self._stretches if s.start is not None)
        return next((s for s in begun if at <= s.end + _JITTER), self.last)

    def pending(self, now: float) -> Stretch:
        """The stretch that is about to be handed over.

        Args:
            now: The time.

        Returns:
            It.
        """
        last = self.last
        if last is None or last.start is not None:
            last = Stretch(now)
            self._stretches.append(last)
        last.opened = now
        last.shift = 0.0 if self._silent or not self.has_replica else None
        return last

    def hand_over(self, now: float, pcm: bytes, rate: int, id: str | None = None) -> float:
        """Audio is handed over.

        Args:
            now: The time.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
            id: Its inference id, where the replica is told of one.

        Returns:
            Its beginning in hand-over time: now, or the end of the audio before.
        """
        stretch = self.last
        if stretch and stretch.start is not None and self._goes_on(stretch, now, id):
            start = stretch.end if now - stretch.end <= _JITTER else now
        else:
            stretch = self.pending(now)
            start = self._begin(stretch, now, id)
        stretch.end = start + len(pcm) / 2 / rate
        if stretch.sound is None and (sound := pcm.lstrip(b"\0")):
            stretch.sound = start + (len(pcm) - len(sound)) // 2 / rate
        return start

    def _goes_on(self, stretch: Stretch, now: float, id: str | None) -> bool:
        return stretch.id == id and stretch.stopped_at is None and now - stretch.end <= _PAUSE

    def _begin(self, stretch: Stretch, now: float, id: str | None) -> float:
        before = self._stretches[-2] if len(self._stretches) > 1 else None
        stretch.start = max(now, before.end) if before else now
        stretch.id = id
        if stretch.shift is None and before and self._goes_on(before, now, id):
            before.continued = True
            stretch.follows = before.follows or before
        return stretch.start

    def replica_started(self, now: float, id: str | None = None) -> float | None:
        """The replica says that it starts to speak.

        Args:
            now: The time.
            id: The inference id that it names.

        Returns:
            How many seconds after the hand-over it starts, or None where it speaks
            something else than was handed over.
        """
        if not self._follows:
            return None
        stretch = self._which_starts(now, id)
        if stretch is None:
            return None
        for earlier in self._stretches[: self._stretches.index(stretch)]:
            if not earlier.is_confirmed():
                # Its own start was lost.
                earlier.confirmed, earlier.shift = True, earlier.shift or 0.0
        self._silent = False
        stretch.shift = self._lag = max(0.0, now - stretch.speaks_at)
        stretch.confirmed, stretch.follows, stretch.started_at = True, None, now
        return stretch.shift

    def replica_stopped(self, now: float, id: str | None = None) -> None:
        """The replica says that it has stopped, having said what there was.

        Args:
            now: The time.
            id: The inference id that it names.
        """
        named = any(id is not None and stretch.id == id for stretch in self._stretches)
        for stretch in self._stretches:
            shift = stretch.heard_after() if stretch.is_confirmed() else None
            if shift is None or stretch.start is None or (named and stretch.id != id):
                continue
            if stretch.start + shift <= now and stretch.stopped_at is None:
                stretch.paused = stretch.end + shift > now + _PATIENCE
                stretch.stopped_at = None if stretch.paused else now

    def settle(self, now: float) -> None:
        """Wait no longer for what the replica should have said by now.

        Args:
            now: The time.
        """
        for stretch, until in self._unsettled():
            if stretch.heard_after() is None and now >= until:
                self._silent = self._silent or self._lag is None
                stretch.shift = self._lag or 0.0

    def next_at(self) -> float:
        """When there is next something to :meth:`settle`, or ``inf``."""
        return min((until for _, until in self._unsettled()), default=float("inf"))

    def forget(self) -> None:
        """Forget what was heard, as everything was."""
        del self._stretches[:-2]

    def cut(self, now: float) -> None:
        """It is interrupted: the rest is not heard.

        Args:
            now: The time.
        """
        self._stretches.clear()
        self._cut_at = now

    def is_stale(self, now: float) -> bool:
        """Whether a start that belongs to nothing belongs to what was just interrupted.

        Args:
            now: The time.

        Returns:
            Whether it does.
        """
        return now - self._cut_at < _STALE

    def _unsettled(self) -> list[tuple[Stretch, float]]:
        # What was never handed over is given up without being asked for.
        patience = _FIRST_PATIENCE if self._lag is None else self._lag + _PATIENCE
        return [
            (s, s.start + patience)
            for s in self._stretches
            if s.start is not None and s.heard_after() is None
        ]

    def _which_starts(self, now: float, id: str | None) -> Stretch | None:
        named = [s for s in self._stretches if id is not None and s.id == id]
        expected = [s for s in named or self._stretches if s.may_start(now)]
        if named:
            return expected[0] if expected else None
        if self._lag is None:
            # It may take long for the first time: what waits is spoken in its order.
            expected = [s for s in expected if s.heard_after() is None][:1] or expected
        lag = self._lag or 0.0
        best = min(expected, key=lambda s: abs(s.speaks_at + lag - now), default=None)
        if best and self.is_stale(now) and now - best.speaks_at < lag / 2:
            return None
        return best
