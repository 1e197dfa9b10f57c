#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A track that a bot plays on, paced as Daily's native track is."""

import asyncio
import time

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.playout import Playhead
from pipecat_tavus.sandbox.room_socket import RoomSocket

_PIECE_SECS = 0.04


class BotTrack:
    """Plays what is written, one write after the other, in real time.

    Parameters:
        number: Its number in the protocol.
    """

    def __init__(self, number: int):
        """Initialize a silent track.

        Args:
            number: Its number in the protocol.
        """
        self.number = number
        self._playhead = Playhead()
        self._lock = asyncio.Lock()
        self._drops = 0

    async def play(self, socket: RoomSocket, pcm: bytes, rate: int) -> bool:
        """Play audio after what is being played, and return when it has been played.

        It is sent in pieces, each as its playing begins, so that a cancelled call has not
        delivered the future.

        Args:
            socket: The connection to the room.
            pcm: Mono PCM16; half a sample at its end is dropped.
            rate: Its sample rate in Hz.

        Returns:
            Whether there was audio, and a connection until its end, and nothing was dropped.
        """
        drops = self._drops
        pcm = pcm[: len(pcm) // 2 * 2]
        size = max(1, round(rate * _PIECE_SECS)) * 2
        async with self._lock:
            for offset in range(0, len(pcm), size):
                piece = pcm[offset : offset + size]
                if not socket.is_open:
                    return False
                await _sleep_until(self._playhead.next(time.monotonic()))
                if drops != self._drops:
                    return False
                self._playhead.book(time.monotonic(), pcm16.secs(piece, rate))
                if not await socket.send_audio(self.number, piece, rate):
                    return False
            await _sleep_until(self._playhead.next(time.monotonic()))
        return bool(pcm)

    def drop(self) -> None:
        """Send nothing more of what is being played."""
        self._drops += 1


async def _sleep_until(at: float) -> None:
    wait = at - time.monotonic()
    if wait > 0:
        await asyncio.sleep(wait)
