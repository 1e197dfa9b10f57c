#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A scripted person at a bot's WebSocket, in the form of Pipecat's own clients."""

import asyncio
import time
import wave
from pathlib import Path
from typing import Self

from pipecat.audio.utils import is_silence
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from websockets.asyncio.client import ClientConnection, connect

AUDIO = Path(__file__).parents[1] / "audio"
RATE = 16000
PIECE_SECS = 0.02
PAUSE_SECS = 1.0
PATIENCE_SECS = 20.0


class WebsocketPerson:
    """Is heard, and hears, from when it has connected."""

    def __init__(self, url: str):
        """Initialize a person who is not there yet.

        Args:
            url: The bot's.
        """
        self._url = url
        self._serializer = ProtobufFrameSerializer()
        self._to_say = bytearray()
        self._said = asyncio.Event()
        self._hears = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Connect, as soon as there is a bot."""
        async with asyncio.timeout(PATIENCE_SECS):
            while True:
                try:
                    self._socket = await connect(self._url)
                    break
                except OSError:
                    await asyncio.sleep(0.05)
        self._tasks = [
            asyncio.create_task(task) for task in (self._speak(self._socket), self._hear())
        ]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def say(self, recording: Path) -> None:
        """Say a recording.

        Args:
            recording: A mono WAV file of 16 kHz.
        """
        with wave.open(str(recording)) as file:
            self._to_say += file.readframes(file.getnframes())
        self._said.clear()
        await self._said.wait()

    async def listen(self) -> float:
        """Wait until the bot has said something.

        Returns:
            How many seconds it took from its first to its last sound.

        Raises:
            TimeoutError: It says nothing, or does not stop.
        """
        async with asyncio.timeout(PATIENCE_SECS):
            self._hears.clear()
            await self._hears.wait()
            first = last = time.monotonic()
            silence = 0.0
            # Counted in looks, not by the clock: where the machine stands still, so does the bot.
            while silence < PAUSE_SECS:
                if self._hears.is_set():
                    last, silence = time.monotonic(), 0.0
                    self._hears.clear()
                await asyncio.sleep(PIECE_SECS)
                silence += PIECE_SECS
        return last - first

    async def _speak(self, socket: ClientConnection) -> None:
        size, due = int(RATE * PIECE_SECS) * 2, time.monotonic()
        while True:
            piece = bytes(self._to_say[:size]).ljust(size, b"\0")
            del self._to_say[:size]
            if not self._to_say:
                self._said.set()
            message = await self._serializer.serialize(OutputAudioRawFrame(piece, RATE, 1))
            await socket.send(message or b"")
            due += PIECE_SECS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _hear(self) -> None:
        async for message in self._socket:
            frame = await self._serializer.deserialize(message)
            if isinstance(frame, InputAudioRawFrame) and not is_silence(frame.audio):
                self._hears.set()
