#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice that speaks a bot's track: pure, the time is handed in."""

from collections import deque
from collections.abc import Callable

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.playout import PlayoutBuffer
from pipecat_tavus.sandbox.speech import SpeechEdge, SpeechMeter
from pipecat_tavus.sandbox.voice import Began, Ended, Happening, Sound


class TrackVoice:
    """Speaks a track, which only its pauses divide into utterances.

    What has come is known for as long as the rendering delay before it is played: so the end
    of an utterance is mostly known when it is reached.
    """

    def __init__(self, delay: float, gap: float, new_id: Callable[[], str]):
        """Initialize a silent voice.

        Args:
            delay: Seconds between the coming of a sample and its playing.
            gap: Seconds without audio that end an utterance.
            new_id: Gives the id of a new utterance.
        """
        self._delay = delay
        self._gap = gap
        self._new_id = new_id
        self._buffer = PlayoutBuffer(delay)
        # It hears audio when it comes, at the time when it will play: it runs ahead.
        self._meter = SpeechMeter(gap=gap)
        self._edges: deque[SpeechEdge] = deque()
        self._began: Began | None = None

    @property
    def speaking(self) -> bool:
        """Whether an utterance sounds."""
        return self._began is not None

    @property
    def due(self) -> float | None:
        """When something happens next, or None where nothing does by itself."""
        known, sound_at = self._meter.deadline, self._buffer.due
        times = [sound_at, None if known is None else known - self._delay]
        if self._edges and (self._edges[0].what == "stopped_speaking" or sound_at is None):
            times.append(self._edges[0].at)
        return min((at for at in times if at is not None), default=None)

    def push(self, pcm: bytes, rate: int, now: float) -> None:
        """Take audio of the track.

        Args:
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
            now: When it came.
        """
        at = self._buffer.push(pcm, rate, now)
        for piece in pcm16.pieces(pcm, pcm16.frame_bytes(rate)):
            self._edges += self._meter.push(at, piece, rate)
            at += pcm16.secs(piece, rate)

    def step(self, now: float) -> list[Happening]:
        """Let time pass.

        Args:
            now: The time.

        Returns:
            What has happened, in its order.
        """
        known = self._meter.deadline
        if known is not None and known - self._delay <= now:
            self._edges += self._meter.poll(known)
        happened: list[Happening] = []
        while True:
            sound_at = self._buffer.due
            if self._edges and self._is_due(self._edges[0], sound_at, now):
                happened.append(self._turn(self._edges.popleft()))
            elif sound_at is not None and sound_at <= now:
                rate = self._buffer.rate
                pcm = self._buffer.pull(pcm16.frame_bytes(rate))
                happened.append(Sound(sound_at, pcm, rate))
            else:
                return happened

    def interrupt(self, now: float) -> list[Happening]:
        """Drop what is not yet said.

        Args:
            now: The time.

        Returns:
            The end of the utterance, where one sounded.
        """
        sound_until = self._meter.sound_until
        self._buffer.clear()
        self._edges.clear()
        self._meter = SpeechMeter(gap=self._gap)
        began, self._began = self._began, None
        if began is None or sound_until is None:
            return []
        secs = max(0.0, min(now, sound_until) - began.at)
        return [Ended(now, began.inference_id, secs, interrupted=True)]

    def _is_due(self, edge: SpeechEdge, sound_at: float | None, now: float) -> bool:
        """A beginning comes with the frame that it is in, an end before the frame behind it."""
        if edge.what == "stopped_speaking":
            return edge.at <= now
        if sound_at is None:
            return True
        return sound_at <= now and edge.at < sound_at + pcm16.FRAME_SECS

    def _turn(self, edge: SpeechEdge) -> Happening:
        if edge.what == "started_speaking" or self._began is None:
            self._began = Began(edge.at, self._new_id())
            return self._began
        began, self._began = self._began, None
        return Ended(edge.at, began.inference_id, edge.duration)
