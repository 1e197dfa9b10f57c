#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice that speaks ``conversation.echo`` messages: pure, the time is handed in."""

from collections import deque
from dataclasses import dataclass, field

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.voice import Began, Ended, Happening, Sound

CHUNK_WAIT_SECS = 5.0
"""Without another chunk for so long, an utterance that is not done has ended."""


class RefusedChunk(Exception):
    """A chunk of an utterance that cannot be taken; the text says why."""


@dataclass
class _Saying:
    """One utterance: what of it has come and is not yet played."""

    inference_id: str
    rate: int
    due: float
    came_at: float
    text: str | None = None
    done: bool = False
    data: bytearray = field(default_factory=bytearray)
    silent_tail: int = 0
    played_until: float | None = None
    began_at: float | None = None
    sound_until: float = 0.0
    is_told: bool = False

    def take(self, pcm: bytes, now: float, delay: float) -> None:
        """Buffer a chunk; what comes after the buffer ran empty is rendered anew."""
        if not self.data and self.played_until is not None:
            self.due = self.played_until if now <= self.played_until else now + delay
        begin, end = pcm16.sounding(pcm)
        self.silent_tail = len(pcm) - end + (self.silent_tail if begin == end else 0)
        self.data += pcm
        self.came_at = now

    def pull(self) -> Sound:
        size = pcm16.frame_bytes(self.rate)
        sound = Sound(self.due, bytes(self.data[:size]), self.rate)
        del self.data[:size]
        self.due += pcm16.secs(sound.pcm, self.rate)
        self.played_until = self.due
        begin, end = pcm16.sounding(sound.pcm)
        if begin != end:
            if self.began_at is None:
                self.began_at = sound.at + begin / 2 / self.rate
            self.sound_until = sound.at + end / 2 / self.rate
        return sound

    @property
    def is_silent_from(self) -> float | None:
        """When it falls silent for good, where that is known."""
        if self.began_at is None or self.is_told or not self.done:
            return None
        return self.sound_until if len(self.data) <= self.silent_tail else None

    @property
    def over_at(self) -> float | None:
        """When nothing is left of it, where that is known."""
        if self.data:
            return None
        end = self.came_at if self.done else self.came_at + CHUNK_WAIT_SECS
        return max(end, self.due)

    def end(self, at: float, *, interrupted: bool = False) -> list[Happening]:
        if self.began_at is None or self.is_told:
            return []
        self.is_told = True
        until = min(at, self.sound_until) if interrupted else self.sound_until
        secs = max(0.0, until - self.began_at)
        return [Ended(at, self.inference_id, secs, interrupted)]


class EchoVoice:
    """Speaks the utterances that ``conversation.echo`` messages bring, one after the other.

    Chunks may come faster than they are played: they wait.
    """

    def __init__(self, delay: float):
        """Initialize a silent voice.

        Args:
            delay: Seconds between the coming of an utterance's first chunk and its playing.
        """
        self._delay = delay
        self._sayings: deque[_Saying] = deque()
        self._over: dict[str, str] = {}

    @property
    def speaking(self) -> bool:
        """Whether an utterance sounds."""
        head = self._sayings[0] if self._sayings else None
        return head is not None and head.began_at is not None and not head.is_told

    @property
    def due(self) -> float | None:
        """When something happens next, or None where nothing does by itself."""
        if not self._sayings:
            return None
        head = self._sayings[0]
        times = (head.due if head.data else None, head.is_silent_from, head.over_at)
        return min((at for at in times if at is not None), default=None)

    def push(
        self,
        inference_id: str,
        pcm: bytes,
        rate: int,
        now: float,
        *,
        done: bool,
        text: str | None = None,
    ) -> None:
        """Take a chunk of an utterance.

        Args:
            inference_id: Which utterance.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
            now: When it came.
            done: Whether it is the last chunk.
            text: What is said in it, where that is known.

        Raises:
            RefusedChunk: The utterance is over, or had another sample rate.
        """
        if inference_id in self._over:
            raise RefusedChunk(f"the utterance {inference_id} {self._over[inference_id]}")
        saying = next((s for s in self._sayings if s.inference_id == inference_id), None)
        if saying is None:
            saying = _Saying(inference_id, rate, now + self._delay, now)
            self._sayings.append(saying)
        elif saying.rate != rate:
            raise RefusedChunk(
                f"the utterance {inference_id} has a sample_rate of {saying.rate}, not {rate}"
            )
        saying.take(pcm, now, self._delay)
        if text is not None:
            saying.text = text if saying.text is None else f"{saying.text} {text}"
        if done:
            saying.done = True
            self._over[inference_id] = "is done"

    def step(self, now: float) -> list[Happening]:
        """Let time pass.

        Args:
            now: The time.

        Returns:
            What has happened, in its order.
        """
        happened: list[Happening] = []
        while self._sayings:
            head = self._sayings[0]
            silent_from, over_at = head.is_silent_from, head.over_at
            if silent_from is not None and silent_from <= now:
                happened += head.end(silent_from)
            elif head.data and head.due <= now:
                was_silent = head.began_at is None
                sound = head.pull()
                if was_silent and head.began_at is not None:
                    happened.append(Began(head.began_at, head.inference_id, head.text))
                happened.append(sound)
            elif over_at is not None and over_at <= now:
                happened += head.end(head.sound_until)
                self._next(over_at)
            else:
                break
        return happened

    def interrupt(self, now: float) -> list[Happening]:
        """Drop all utterances; nothing more is taken of them.

        Args:
            now: The time.

        Returns:
            The end of the utterance, where one sounded.
        """
        happened = self._sayings[0].end(now, interrupted=True) if self._sayings else []
        for saying in self._sayings:
            self._over[saying.inference_id] = "was interrupted"
        self._sayings.clear()
        return happened

    def _next(self, now: float) -> None:
        over = self._sayings.popleft()
        self._over.setdefault(over.inference_id, f"had no chunk for {CHUNK_WAIT_SECS:g} s")
        if self._sayings:
            self._sayings[0].due = max(self._sayings[0].due, now)
