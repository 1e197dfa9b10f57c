#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a scripted human says: recordings one after the other, and silence between them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.recording import Timeline
from pipecat_tavus.sandbox.speech import Edge

DEFAULT_MICROPHONE_RATE = 16000


class _Saying:
    """One recording that is being said."""

    def __init__(self, pcm: bytes, rate: int, text: str):
        self.pcm = pcm
        self.rate = rate
        self.text = text
        self.offset = 0
        self.said: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Mouth:
    """Says what it is given, frame by frame.

    Parameters:
        record: What it said and when.
    """

    def __init__(self, start: float, on_edge: Callable[[Edge, float, str], None]):
        """Initialize a silent mouth.

        Args:
            start: When its record begins (``time.monotonic()``).
            on_edge: Called with what a recording did, when, and its name.
        """
        self.record = Timeline(start)
        self._on_edge = on_edge
        self._sayings: deque[_Saying] = deque()
        self._rate = DEFAULT_MICROPHONE_RATE

    async def say(self, pcm: bytes, rate: int, text: str) -> None:
        """Say a recording after those that are being said, and return when it is said.

        Args:
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
            text: Its name.
        """
        saying = _Saying(pcm, rate, text)
        self._sayings.append(saying)
        try:
            await saying.said
        finally:
            if saying in self._sayings:
                self._sayings.remove(saying)
                if saying.offset:
                    self._on_edge("stopped_speaking", time.monotonic(), text)

    def next_frame(self, at: float) -> tuple[bytes, int]:
        """Begin the next frame.

        Args:
            at: When it begins.

        Returns:
            Mono PCM16 and its sample rate in Hz.
        """
        saying = self._sayings[0] if self._sayings else None
        if saying is None:
            return bytes(pcm16.frame_bytes(self._rate)), self._rate
        self._rate = saying.rate
        size = pcm16.frame_bytes(saying.rate)
        said = saying.pcm[saying.offset : saying.offset + size]
        if not saying.offset:
            self._on_edge("started_speaking", at, saying.text)
        self.record.add(at, said, saying.rate)
        saying.offset += size
        return said.ljust(size, b"\0"), saying.rate

    def end_frame(self, at: float) -> None:
        """The frame is over.

        Args:
            at: When it ends.
        """
        saying = self._sayings[0] if self._sayings else None
        if saying is not None and saying.offset >= len(saying.pcm):
            self._sayings.popleft()
            padding = pcm16.secs(bytes(saying.offset - len(saying.pcm)), saying.rate)
            self._on_edge("stopped_speaking", at - padding, saying.text)
            if not saying.said.done():
                saying.said.set_result(None)

    def shut(self, error: Exception) -> None:
        """Say nothing of what is left.

        Args:
            error: What is raised to who waits for it.
        """
        for saying in self._sayings:
            if not saying.said.done():
                saying.said.set_exception(error)
