#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What happened in a call: printed as it happens, and judged at its end."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.tts_service import TTSService

COLORS = {"room": "90", "person": "36", "bot": "33", "replica": "35", "good": "32", "bad": "31"}
FALLS_SILENT_WITHIN = 1.0


@dataclass
class Turn:
    """One turn of the person and what became of it. Times are in seconds since the start.

    Parameters:
        said: The words that the person really said.
        began: When the first word began.
        ended: When the last word ended, or None while the person speaks.
        interrupts: Whether the replica was speaking when the person began.
        interrupted_at: When the bot stopped itself for it, or None.
        silent_at: When an interrupted replica fell silent, or None.
        understood: The words that the bot understood.
        answered: What the bot answered.
        speech: The answer's sound as the bot made it: mono PCM16.
        replied_at: When the person heard the answer begin, or None.
    """

    said: str
    began: float
    ended: float | None = None
    interrupts: bool = False
    interrupted_at: float | None = None
    silent_at: float | None = None
    understood: list[str] = field(default_factory=list)
    answered: str = ""
    speech: bytearray = field(default_factory=bytearray)
    replied_at: float | None = None

    @property
    def waited(self) -> float | None:
        """Seconds from the person's last word to the replica's first sound, or None."""
        if self.ended is None or self.replied_at is None:
            return None
        return self.replied_at - self.ended

    @property
    def talked_over(self) -> float | None:
        """Seconds for which an interrupted replica went on speaking, or None."""
        return None if self.silent_at is None else self.silent_at - self.began

    def failure(self) -> str | None:
        """What went wrong in this turn, or None."""
        understood = " ".join(self.understood)
        if understood != self.said:
            return f'"{self.said}" was understood as "{understood}"'
        if self.replied_at is None:
            return f'"{self.said}" was not answered aloud'
        if not self.interrupts:
            return None
        if self.interrupted_at is None:
            return f'"{self.said}" was said while the replica spoke, and did not interrupt it'
        if self.talked_over is None or self.talked_over > FALLS_SILENT_WITHIN:
            return (
                f'the replica did not fall silent within {FALLS_SILENT_WITHIN:g} s of "{self.said}"'
            )
        return None


class Timeline(BaseObserver):
    """Sees the bot's frames, is told what the person does and hears, and prints both."""

    def __init__(self, out: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic):
        """Initialize the timeline; time starts now.

        Args:
            out: Where to print. Plain where it is no terminal, or ``NO_COLOR`` is set.
            clock: Tells the time in seconds.
        """
        super().__init__()
        self.turns: list[Turn] = []
        self.errors: list[str] = []
        self._out = out
        self._clock = clock
        self._start = clock()
        self._colored = out.isatty() and not os.getenv("NO_COLOR")
        self._seen: set[int] = set()
        self._answer: list[str] = []
        self._replica_since: float | None = None

    def now(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def tell(self, who: str, what: str, at: float | None = None) -> None:
        """Print one line.

        Args:
            who: Who did it.
            what: What it was.
            at: When, if not now.
        """
        at = self.now() if at is None else at
        color = COLORS.get(who, "0")
        self._print(f"{at:6.2f}  {self._paint(f'{who:<8}', color)} {self._paint(what, color)}")

    def person_begins(self, said: str) -> None:
        """The first word begins.

        Args:
            said: The words that the person is going to say.
        """
        turn = Turn(said, self.now(), interrupts=self._replica_since is not None)
        self.turns.append(turn)
        over = " while the replica speaks" if turn.interrupts else ""
        self.tell("person", f'▶ begins to say "{said}"{over}', turn.began)

    def person_ends(self) -> None:
        """The last word has ended."""
        turn = self.turns[-1]
        turn.ended = self.now()
        self.tell("person", f"■ has said it ({turn.ended - turn.began:.1f} s)", turn.ended)

    def replica_begins(self, at: float) -> None:
        """The person hears the replica begin.

        Args:
            at: When.
        """
        self._replica_since = at
        waited = ""
        turn = self.turns[-1] if self.turns else None
        if turn and turn.ended is not None and turn.replied_at is None:
            turn.replied_at = at
            waited = f"; the person waited {turn.waited:.2f} s"
        self.tell("replica", f"▶ speaks{waited}", at)

    def replica_ends(self, at: float) -> None:
        """The person hears the replica stop.

        Args:
            at: When.
        """
        spoke = at - (at if self._replica_since is None else self._replica_since)
        self._replica_since = None
        turn = self.turns[-1] if self.turns else None
        cut = ""
        if turn and turn.interrupts and turn.silent_at is None and turn.replied_at is None:
            turn.silent_at = at
            cut = f", {turn.talked_over:.2f} s after the person began"
        self.tell("replica", f"■ is silent (spoke {spoke:.1f} s){cut}", at)

    async def on_push_frame(self, data: FramePushed) -> None:
        """See a frame of the bot, which every processor pushes on: only its first push counts.

        Args:
            data: The frame, and where it is.
        """
        frame = data.frame
        if data.direction is not FrameDirection.DOWNSTREAM and not isinstance(frame, ErrorFrame):
            return
        if frame.id in self._seen:
            return
        turn = self.turns[-1] if self.turns else None
        if isinstance(frame, TranscriptionFrame):
            self.tell("bot", f'understood "{frame.text}"')
            if turn:
                turn.understood.append(frame.text)
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._answer = []
        elif isinstance(frame, LLMTextFrame):
            self._answer.append(frame.text)
        elif isinstance(frame, LLMFullResponseEndFrame):
            answer = "".join(self._answer).strip()
            self.tell("bot", f'answers "{answer}"')
            if turn:
                turn.answered = answer
        elif isinstance(frame, TTSAudioRawFrame):
            # The transport cuts it into frames of its own, which are the same sound again.
            if turn and isinstance(data.source, TTSService):
                turn.speech += frame.audio
        elif isinstance(frame, InterruptionFrame):
            if turn and turn.interrupts and turn.interrupted_at is None:
                turn.interrupted_at = self.now()
                self.tell("bot", "✋ is interrupted, and stops speaking")
        elif isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
            self.tell("bad", frame.error)
        else:
            return
        self._seen.add(frame.id)

    def failures(self, expected_turns: int) -> list[str]:
        """What did not go as it should.

        Args:
            expected_turns: How many turns the person should have had.

        Returns:
            The reasons, none where all went well.
        """
        found = list(self.errors)
        if len(self.turns) != expected_turns:
            found.append(f"the person had {len(self.turns)} turns instead of {expected_turns}")
        found += [failure for turn in self.turns if (failure := turn.failure())]
        if not any(turn.interrupts for turn in self.turns):
            found.append("the person never spoke while the replica did")
        return found

    def cut_short(self, heard: bytes) -> list[str]:
        """Answers that nobody interrupted, and that were not heard to the last sample.

        Args:
            heard: All that the person heard of the replica, as mono PCM16.

        Returns:
            What they answered, as reasons of failure.
        """
        interrupted = [turn.interrupts for turn in self.turns[1:]] + [False]
        return [
            f'the answer to "{turn.said}" was not heard as the bot said it'
            for turn, cut in zip(self.turns, interrupted, strict=False)
            if not cut and _sounding(turn.speech) not in heard
        ]

    def summarize(self) -> None:
        """Print turns, waits and interruptions."""
        understood = sum(" ".join(turn.understood) == turn.said for turn in self.turns)
        answered = sum(turn.replied_at is not None for turn in self.turns)
        self.fact(
            "Turns",
            f"{len(self.turns)}: {understood} understood word for word, {answered} answered aloud",
        )
        waits = [turn.waited for turn in self.turns if turn.waited is not None]
        if waits:
            self.fact(
                "Waiting",
                f"{statistics.median(waits):.2f} s median, {max(waits):.2f} s at most, "
                "from the person's last word to the replica's first",
            )
        cuts = [turn.talked_over for turn in self.turns if turn.talked_over is not None]
        silence = ", ".join(f"{cut:.2f} s" for cut in cuts)
        self.fact(
            "Interruptions",
            f"{len(cuts)}" + (f"; the replica fell silent within {silence}" if cuts else ""),
        )

    def fact(self, name: str, value: str) -> None:
        """Print one line of the summary.

        Args:
            name: What it is about.
            value: What there is to say.
        """
        self._print(f"{self._paint(f'{name:<14}', '1')} {value}")

    def verdict(self, failures: list[str]) -> None:
        """Print the last lines.

        Args:
            failures: What did not go as it should.
        """
        for failure in failures:
            self._print(self._paint(f"Failed: {failure}", COLORS["bad"]))
        if not failures:
            self._print(self._paint("The conversation went as it should.", COLORS["good"]))

    def _paint(self, text: str, color: str) -> str:
        return f"\033[{color}m{text}\033[0m" if self._colored else text

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _sounding(pcm: bytes | bytearray) -> bytes:
    """PCM16 without the silence before its first and after its last sound."""
    samples = np.frombuffer(bytes(pcm), np.int16)
    sounding = np.flatnonzero(samples)
    return samples[sounding[0] : sounding[-1] + 1].tobytes() if len(sounding) else b""
