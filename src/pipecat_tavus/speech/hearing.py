#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The replica's voice as it comes back to the bot, and its word for it, brought in step."""

import math
import time
from collections import deque
from collections.abc import Callable

from pipecat_tavus.events.events import (
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
)
from pipecat_tavus.speech.presenter import Presenter

TAIL_SECS = 0.5
"""For how many seconds silence behind a sound goes on: from 0.35 s of it Pipecat's output
transports know that the bot has stopped speaking."""

_SILENT = 0.1
"""Seconds without a sound after which the replica is silent, if it says so itself."""

_NOTHING = 0.2
"""The same where nothing came, be it silence: what came may be only late."""

_PAUSE = 0.3
"""Seconds without a sound after which it is silent, whatever it says: longer than between
most words."""

_SHUT = 1.5
"""For how many seconds at most the rest of what was interrupted is waited out: what was not
begun yet for no longer than ``_PAUSE``."""


class Hearing:
    """Hears the replica: what of its voice goes on, and when its word for it is true.

    The room's messages and its sound take different ways. What the replica says of its
    speaking is held back until its sound is here, or no longer is. Where it says nothing,
    the sound alone counts.

    What it still says of an utterance that was interrupted does not go on.
    """

    def __init__(self, presenter: Presenter, clock: Callable[[], float] = time.monotonic):
        """Initialize it with nothing heard.

        Args:
            presenter: Who is told what the replica says of its speaking, in step.
            clock: Tells the time in seconds.
        """
        self._presenter = presenter
        self._clock = clock
        self._held = deque[StartedSpeakingEvent | StoppedSpeakingEvent]()
        # Whether the replica tells of its speaking, once that is known.
        self._tells: bool | None = None
        self._begun_untold: float | None = None
        # The last sound that came, and the last one that went on.
        self._came_at = self._passed_at = -math.inf
        self._silence = 0.0
        # Since when nothing goes on, at most until when, and whether the replica said meanwhile
        # that it stopped.
        self._shut_at: float | None = None
        self._shut_until = 0.0
        self._has_stopped = False

    @property
    def quiet_secs(self) -> float:
        """For how many seconds nothing was heard; ``inf`` where nothing ever was."""
        return self._clock() - self._passed_at

    @property
    def is_silent(self) -> bool:
        """Whether the replica is silent, and not just between two words."""
        return self.quiet_secs >= _PAUSE

    def take(self, sounds: bool, secs: float) -> bool:
        """A piece of the replica's voice came.

        Args:
            sounds: Whether it is more than silence.
            secs: How long it is.

        Returns:
            Whether it goes on.
        """
        now = self._clock()
        if not sounds:
            self._silence += secs
            return self._shut_at is None and self.quiet_secs < TAIL_SECS
        since, self._came_at = self._came_at, now
        silence, self._silence = self._silence, 0.0
        if self._shut_at is not None:
            pause = now - max(since, self._shut_at)
            over = self._has_stopped and (silence >= _SILENT or pause >= _NOTHING)
            if not over and pause < _PAUSE and now < self._shut_until:
                return False
            self._shut_at = None
        if self.is_silent:
            self._begun_untold = now
        self._passed_at = now
        self.look()
        return True

    def interrupt(self) -> None:
        """What the replica says is interrupted: the rest of it does not go on."""
        now = self._clock()
        speaks = now - self._came_at < _PAUSE
        self._shut_at, self._shut_until = now, now + (_SHUT if speaks else _PAUSE)
        self._has_stopped = False
        self._silence = 0.0
        self._passed_at = -math.inf
        self._begun_untold = None
        self._held.clear()

    def look(self) -> None:
        """Tell what has come true: to be called every now and then while something is heard."""
        while self._held and self._is_true(self._held[0]):
            self._tell(self._held.popleft())
        begun = self._begun_untold
        if begun is not None and not self._tells:
            # It may be only late to tell, for the first time.
            if self._tells is False or self._clock() - begun >= _PAUSE:
                self._tells = False
                self._tell(StartedSpeakingEvent(role="replica"), begun)

    def on_speaking(self, event: StartedSpeakingEvent | StoppedSpeakingEvent) -> None:
        """The replica says that it has started or stopped speaking.

        Args:
            event: What Tavus says.
        """
        if event.role != "replica":
            return
        self._tells = True
        if isinstance(event, StartedSpeakingEvent):
            if self._held and isinstance(self._held[0], StoppedSpeakingEvent):
                self._tell(self._held[0])
            # What began before, and was not heard to this moment, will not be.
            self._held.clear()
        elif self._shut_at is not None:
            self._has_stopped = True
        self._held.append(event)
        self.look()

    def on_streaming_utterance(self, event: StreamingUtteranceEvent) -> None:
        """More was really spoken.

        Args:
            event: What Tavus says.
        """
        self._presenter.on_streaming_utterance(event)

    def on_left(self) -> None:
        """The bot has left the room: nothing is heard any more."""
        self._passed_at = -math.inf
        self._presenter.on_left()

    def _is_true(self, event: StartedSpeakingEvent | StoppedSpeakingEvent) -> bool:
        if isinstance(event, StartedSpeakingEvent):
            return self.quiet_secs < _SILENT
        return event.interrupted or self.quiet_secs >= _SILENT

    def _tell(
        self, event: StartedSpeakingEvent | StoppedSpeakingEvent, at: float | None = None
    ) -> None:
        self._begun_untold = None
        self._presenter.on_speaking(event, at)
