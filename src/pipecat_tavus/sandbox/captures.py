#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a bot captures, on its way to the bot's callbacks, which may take their time."""

import asyncio
from dataclasses import dataclass

from loguru import logger

from pipecat_tavus.room.seam import AudioCallback, VideoCallback
from pipecat_tavus.sandbox.ear import Ear
from pipecat_tavus.sandbox.picture import Picture

_MAX_SOUND_WAITING = 1500


@dataclass(frozen=True)
class SandboxVideo:
    """A captured picture, with the names of Daily's ``VideoFrame``.

    Parameters:
        buffer: The pixels.
        width: In pixels.
        height: In pixels.
        color_format: Always ``RGB``.
    """

    buffer: bytes
    width: int
    height: int
    color_format: str = "RGB"


@dataclass
class _Heard:
    """A source that the bot hears."""

    participant_id: str
    source: str
    callback: AudioCallback
    ear: Ear


class AudioCaptures:
    """The sources that a bot hears. It starts no task: somebody must run :meth:`run`."""

    def __init__(self) -> None:
        """Initialize with none."""
        self._heard: dict[int, _Heard] = {}
        # None ends run().
        self._waiting: asyncio.Queue[tuple[_Heard, bytes, int] | None] = asyncio.Queue()

    def add(
        self, track: int, participant_id: str, source: str, callback: AudioCallback, ear: Ear
    ) -> None:
        """Hear one more.

        Args:
            track: The number of its track.
            participant_id: Whom.
            source: What of them.
            callback: Gets the audio.
            ear: Brings the audio into the form that was asked for.
        """
        self._heard[track] = _Heard(participant_id, source, callback, ear)

    def take(self, track: int, pcm: bytes, rate: int) -> None:
        """Take what came on a track.

        Args:
            track: Its number.
            pcm: Mono PCM16.
            rate: Its sample rate in Hz.
        """
        heard = self._heard.get(track)
        if heard is None:
            return
        if self._waiting.qsize() >= _MAX_SOUND_WAITING:
            self._waiting.get_nowait()
        self._waiting.put_nowait((heard, pcm, rate))

    async def run(self) -> None:
        """Give sound to who captures it, until stopped."""
        while (waiting := await self._waiting.get()) is not None:
            heard, pcm, rate = waiting
            try:
                for audio in await heard.ear.hear(pcm, rate):
                    await heard.callback(heard.participant_id, audio, heard.source)
            except Exception as e:
                logger.exception(f"A callback for the audio of a participant failed: {e}")

    def stop(self) -> None:
        """Hear nobody any more."""
        self._heard.clear()
        self._waiting.put_nowait(None)


@dataclass
class _Seen:
    """A source that the bot sees."""

    participant_id: str
    source: str
    callback: VideoCallback
    newest: Picture | None = None


class VideoCaptures:
    """The sources that a bot sees. It starts no task: somebody must run :meth:`run`.

    Of each only the newest picture waits: one that the bot has no time for is lost.
    """

    def __init__(self) -> None:
        """Initialize with none."""
        self._seen: dict[int, _Seen] = {}
        # None ends run().
        self._waiting: asyncio.Queue[_Seen | None] = asyncio.Queue()

    def add(self, track: int, participant_id: str, source: str, callback: VideoCallback) -> None:
        """See one more.

        Args:
            track: The number of its track.
            participant_id: Whom.
            source: What of them.
            callback: Gets the pictures as :class:`SandboxVideo`.
        """
        self._seen[track] = _Seen(participant_id, source, callback)

    def remove(self, track: int) -> None:
        """See one less.

        Args:
            track: The number of its track.
        """
        self._seen.pop(track, None)

    def take(self, track: int, picture: Picture) -> None:
        """Take what came on a track.

        Args:
            track: Its number.
            picture: What came.
        """
        seen = self._seen.get(track)
        if seen is None:
            return
        if seen.newest is None:
            self._waiting.put_nowait(seen)
        seen.newest = picture

    async def run(self) -> None:
        """Give pictures to who captures them, until stopped."""
        while (seen := await self._waiting.get()) is not None:
            picture, seen.newest = seen.newest, None
            assert picture is not None  # take() has seen to it.
            try:
                video = SandboxVideo(*picture)
                await seen.callback(seen.participant_id, video, seen.source)
            except Exception as e:
                logger.exception(f"A callback for the video of a participant failed: {e}")

    def stop(self) -> None:
        """See nobody any more."""
        self._seen.clear()
        self._waiting.put_nowait(None)
