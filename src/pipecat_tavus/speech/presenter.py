#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the pipeline is told of the bot's speech: when the person hears it, not before.

Frames that belong to speech wait in a :class:`~pipecat_tavus.speech.playout.Playout`; here they
leave it, on their way up or down the pipeline.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    DataFrame,
    EndFrame,
    Frame,
    OutputAudioRawFrame,
    SystemFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from pipecat_tavus.events.events import (
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
)
from pipecat_tavus.frames import SpokenTextFrame
from pipecat_tavus.speech.delivery import copy_audio
from pipecat_tavus.speech.playout import Cut, Playout
from pipecat_tavus.speech.speech import Speech
from pipecat_tavus.speech.spoken_words import SpokenWords

_SPEAKING = (BotStartedSpeakingFrame, BotStoppedSpeakingFrame, BotSpeakingFrame)
_DOWN, _UP = FrameDirection.DOWNSTREAM, FrameDirection.UPSTREAM

Push = Callable[[Frame, FrameDirection], Awaitable[None]]


class Moment(NamedTuple):
    """A frame that waits for its moment, and where it goes then."""

    frame: Frame
    direction: FrameDirection


class Presenter:
    """Pushes frames of the bot's speech when their moment has come.

    Parameters:
        is_over: Whether the bot has left the room.
    """

    def __init__(
        self,
        speech: Speech,
        push: Push,
        clock: Callable[[], int],
        measured: Callable[[float], None],
    ):
        """Initialize the presenter.

        Args:
            speech: The speech, as it is handed over.
            push: Pushes a frame on.
            clock: The pipeline's clock, in nanoseconds.
            measured: Told in how many seconds the replica began to speak.
        """
        self._speech = speech
        self._playout = Playout[Moment](speech)
        self._push = push
        self._clock = clock
        self._measured = measured
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        # What sets it at the next moment, and when that is.
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        self._own: list[Moment] = []
        self._speaks_on_its_own = False
        # The directions in which the pipeline was told that the bot speaks.
        self._told: set[FrameDirection] = set()
        self._spoken = SpokenWords()
        self.is_over = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be heard."""
        return not self._playout

    def request(self) -> None:
        """Speech came to be handed over, perhaps only later."""
        self._playout.request(time.monotonic())

    @staticmethod
    def presents(frame: Frame, direction: FrameDirection) -> bool:
        """Whether a frame that the output pushes belongs to the bot's speech.

        Args:
            frame: The frame.
            direction: Where it goes.

        Returns:
            Whether it does.
        """
        if frame.transport_destination is not None:
            return False
        if isinstance(frame, SystemFrame):
            return isinstance(frame, _SPEAKING)
        return direction is _DOWN and not isinstance(frame, EndFrame)

    async def show(self, frame: Frame, direction: FrameDirection) -> None:
        """Push a frame when what came before it was heard, perhaps at once.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        now, moment = time.monotonic(), Moment(frame, direction)
        if self.is_over:
            await self._tell(moment)
        elif frame.pts and not isinstance(frame, TTSStoppedFrame):
            # It comes at its time at the earliest, and late behind speech that was held.
            self._playout.put_timed(moment, now + (frame.pts - self._clock()) / 1e9)
        else:
            self._playout.put(
                now,
                moment,
                opens=isinstance(frame, BotStartedSpeakingFrame),
                closes=isinstance(frame, BotStoppedSpeakingFrame),
            )
        await self._release()
        self._set_timer()

    def take(self, frame: OutputAudioRawFrame) -> None:
        """Push speech that was handed over when it was heard.

        Args:
            frame: The speech.
        """
        secs = frame.num_frames / frame.sample_rate
        self._playout.put(time.monotonic(), Moment(frame, _DOWN), secs=secs)
        self._set_timer()

    async def run(self) -> None:
        """Push what waits, until the bot has left the room: nothing is heard from then on."""
        while not self.is_over:
            await self._release()
            await self._next_moment()
        await self.interrupted(await self.interrupt())

    async def drain(self) -> None:
        """Push what waits until everything was heard, or the bot has left."""
        await self._release()
        while self._playout and not self.is_over:
            await self._next_moment()
            await self._release()

    async def _next_moment(self) -> None:
        if not self.is_over:
            self._set_timer()
            await self._changed.wait()
            self._changed.clear()

    def _set_timer(self) -> None:
        """Wake whoever waits for the next moment, and nobody before."""
        at = self._playout.next_at()
        if at is None or at >= self._wakes_at:
            return
        if self._timer:
            self._timer.cancel()
        self._wakes_at = at
        wait = max(0.0, at - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._wake)

    def _wake(self) -> None:
        self._wakes_at = math.inf
        self._changed.set()

    def on_speaking(
        self, event: StartedSpeakingEvent | StoppedSpeakingEvent, at: float | None = None
    ) -> None:
        """The replica, or the user, started or stopped to speak.

        Args:
            event: What Tavus says.
            at: When it did (``time.monotonic()``), if not now.
        """
        if event.role != "replica":
            return
        now = time.monotonic() if at is None else at
        if isinstance(event, StartedSpeakingEvent):
            latency = self._speech.replica_started(now, event.inference_id)
            if latency is not None:
                self._measured(latency)
            elif not self._playout and not self._speech.is_stale(now):
                self._speaks_on_its_own = True
                self._announce_speaking(BotStartedSpeakingFrame)
        else:
            lost = event.interrupted and self._speech.is_confirmed
            if lost:
                self._lose(now)
            self._speech.replica_stopped(now, event.inference_id)
            if lost or self._speaks_on_its_own:
                self._speaks_on_its_own = False
                self._announce_speaking(BotStoppedSpeakingFrame)
        self._changed.set()

    def on_streaming_utterance(self, event: StreamingUtteranceEvent) -> None:
        """The replica says how much it has spoken.

        Args:
            event: What Tavus says.
        """
        if event.role == "replica":
            self._spoken.heard(event.speech)

    def on_left(self) -> None:
        """The bot has left the room."""
        self.is_over = True
        self._changed.set()

    async def interrupt(self) -> Cut[Moment]:
        """Forget what the person will not hear, and tell what was heard until now.

        Returns:
            What is left.
        """
        await self._release()
        cut = self._playout.cut(time.monotonic())
        if heard := _heard(cut):
            await self._tell(Moment(heard, _DOWN))
        if self._told and (rest := self._spoken.rest()):
            await self._push(SpokenTextFrame(rest, "word"), _DOWN)
        self._spoken.clear()
        return cut

    async def interrupted(self, cut: Cut[Moment]) -> None:
        """The interruption went its way: what comes behind it.

        Args:
            cut: What :meth:`interrupt` left.
        """
        for frame, direction in cut.dropped:
            # The end of speech that had begun is true now.
            if isinstance(frame, BotStoppedSpeakingFrame) or not frame.interruptible:
                await self._tell(Moment(frame, direction))

    def announce(self, frame: Frame) -> None:
        """Push a frame downstream as soon as possible, from outside a task.

        Args:
            frame: The frame.
        """
        self._own.append(Moment(frame, _DOWN))
        self._changed.set()

    def _lose(self, now: float) -> None:
        """The replica was interrupted by somebody else: the rest is not heard."""
        while (moment := self._playout.pop(now)) is not None:
            self._own.append(moment)
        cut = self._playout.cut(now)
        if heard := _heard(cut):
            self._own.append(Moment(heard, _DOWN))
        # Nobody else in the pipeline is interrupted: all but what was not said goes its way.
        self._own += [
            moment
            for moment in cut.dropped
            if not (isinstance(moment.frame, DataFrame) and moment.frame.interruptible)
        ]

    def _announce_speaking(
        self, kind: type[BotStartedSpeakingFrame] | type[BotStoppedSpeakingFrame]
    ) -> None:
        down, up = kind(), kind()
        down.broadcast_sibling_id, up.broadcast_sibling_id = up.id, down.id
        self._own += [Moment(down, _DOWN), Moment(up, _UP)]

    async def _release(self) -> None:
        async with self._lock:
            while self._own:
                await self._tell(self._own.pop(0))
            while (moment := self._playout.pop(time.monotonic())) is not None:
                await self._tell(moment)

    async def _tell(self, moment: Moment) -> None:
        frame, direction = moment
        if isinstance(frame, BotStartedSpeakingFrame):
            if direction in self._told:
                return
            self._told.add(direction)
        elif isinstance(frame, _SPEAKING) and direction not in self._told:
            return
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._told.discard(direction)
            self._spoken.clear()
        elif isinstance(frame, TTSTextFrame) and frame.append_to_context:
            self._spoken.released(frame.text)
        elif isinstance(frame, OutputAudioRawFrame):
            # It was heard: no interruption makes that undone.
            frame.interruptible = False
        await self._push(frame, direction)


def _heard(cut: Cut[Moment]) -> OutputAudioRawFrame | None:
    if cut.partial is None:
        return None
    (frame, _), secs = cut.partial
    assert isinstance(frame, OutputAudioRawFrame)
    audio = frame.audio[: int(secs * frame.sample_rate) * frame.num_channels * 2]
    return copy_audio(frame, audio) if audio else None
