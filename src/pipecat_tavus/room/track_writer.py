#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Writes on a track of Daily's, in real time, whatever the event loop is busy with."""

import asyncio
import threading
from collections import deque

from loguru import logger
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.transports.daily.transport import DailyAudioTrack

_PIECE_10MS = 4
"""How much is handed over at a time: what comes too late for a :meth:`TrackWriter.drop`."""

PIECE_SECS = _PIECE_10MS / 100


class TrackWriter:
    """Hands audio over in pieces, each when the one before it has been played.

    Daily's own thread does that: bots that share an event loop do not make each other
    stutter, and it wakes up less often. Measured with daily-python 0.36: a
    write from within the completion of another follows it without a gap.
    """

    def __init__(self, track: DailyAudioTrack):
        """Initialize the writer.

        Args:
            track: The track.
        """
        self._source = track.source
        # Guards what follows: the event loop and Daily's thread both change it.
        self._lock = threading.Lock()
        self._is_playing = False
        # The last piece of a write comes with its future.
        self._waiting = deque[tuple[bytes, asyncio.Future[bool] | None]]()

    @property
    def is_playing(self) -> bool:
        """Whether a piece is being played."""
        return self._is_playing

    async def write(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio behind what is being played.

        Returns when its last piece is being played, so that the next write follows without a
        gap. What a cancelled write has not begun to play is never heard.

        Args:
            frame: The audio, at the track's rate.

        Returns:
            Whether all of it was taken.

        Raises:
            Exception: What Daily raised.
        """
        audio = frame.audio
        size = frame.sample_rate // 100 * _PIECE_10MS * frame.num_channels * 2
        pieces = [audio[at : at + size] for at in range(0, len(audio), size)]
        if not pieces:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.extend((piece, None) for piece in pieces[:-1])
            self._waiting.append((pieces[-1], done))
            begins, self._is_playing = not self._is_playing, True
        if begins:
            self._go_on(1)
        try:
            return await done
        except asyncio.CancelledError:
            self.drop()
            raise

    def drop(self) -> None:
        """Hand over nothing more of what is being written: it counts as not taken."""
        self._drop(False)

    def _drop(self, outcome: bool | Exception) -> None:
        with self._lock:
            dropped = [done for _, done in self._waiting if done]
            self._waiting.clear()
        for done in dropped:
            _settle(done, outcome)

    def _go_on(self, taken: int) -> None:
        """Hand the next piece over: the one before it has been played, or was refused."""
        if not taken:
            self.drop()
        with self._lock:
            self._is_playing = bool(self._waiting)
            if not self._waiting:
                return
            piece, done = self._waiting.popleft()
        try:
            self._source.write_frames(piece, completion=self._go_on)
        except Exception as e:
            # On Daily's thread nobody would catch it: it is raised to whoever writes.
            if done:
                _settle(done, e)
            self._drop(e)
            self._go_on(0)
        else:
            if done:
                _settle(done, True)


def _settle(done: asyncio.Future[bool], outcome: bool | Exception) -> None:
    def settle() -> None:
        if done.done():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    try:
        done.get_loop().call_soon_threadsafe(settle)
    except RuntimeError:
        logger.trace("audio was played after the event loop was closed")
