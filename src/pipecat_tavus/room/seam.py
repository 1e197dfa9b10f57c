#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the client needs of a room: the seam between Daily and the sandbox.

``TavusTransportClient`` is given a :class:`RoomFactory` and knows nothing else of the
room. :class:`~pipecat_tavus.room.daily_room.DailyRoom` and the sandbox's room client are the
two sides of it, and a test may write a third.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Protocol

from pipecat.frames.frames import (
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.daily.transport import DailyParams
from yarl import URL

AudioCallback = Callable[[str, Any, str], Awaitable[None]]
"""``(participant_id, audio, audio_source)``; ``audio`` has ``audio_frames`` (PCM16 bytes),
``sample_rate`` (Hz) and ``num_channels``, as Daily's ``AudioData``."""

VideoCallback = Callable[[str, Any, str], Awaitable[None]]
"""``(participant_id, frame, video_source)``; ``frame`` has ``buffer``, ``width``, ``height``
and ``color_format``, as Daily's ``VideoFrame``."""


class RoomListener(Protocol):
    """What a room tells. No method raises, and none is called before ``join()`` is."""

    async def on_joined(self, data: Mapping[str, Any]) -> None:
        """The bot is in the room.

        Args:
            data: As Daily's join answer: ``participants`` with the bot as ``local`` and
                everybody else by id.
        """
        ...

    async def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        """Somebody joined, or was there already. ``participant`` is as Daily gives it."""
        ...

    async def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """Somebody's name, id or media changed."""
        ...

    async def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        """Somebody left."""
        ...

    async def on_app_message(self, message: Any, sender: str) -> None:
        """An app message came, from anybody in the room."""
        ...

    async def on_room_error(self, message: str) -> None:
        """The room reports trouble that it survives."""
        ...

    async def on_connection(self, *, interrupted: bool) -> None:
        """The room's signalling broke, and messages are lost, or is back. Told at each change."""
        ...

    async def on_room_closed(self, reason: str) -> None:
        """The bot is no longer in the room and did not leave it. Told once."""
        ...


class RoomClient(Protocol):
    """One bot's place in one room."""

    @property
    def in_sample_rate(self) -> int:
        """Sample rate of captured audio in Hz; 0 before ``setup()``."""
        ...

    @property
    def out_sample_rate(self) -> int:
        """Sample rate of written audio in Hz; 0 before ``setup()``."""
        ...

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Take the task manager and sample rates. Opens nothing."""
        ...

    async def join(self) -> None:
        """Join the room.

        Raises:
            TavusRoomJoinError: The room could not be joined.
        """
        ...

    async def leave(self) -> None:
        """Leave the room. Harmless when not joined."""
        ...

    async def cleanup(self) -> None:
        """Release everything. Harmless when repeated."""
        ...

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an app message to everybody, or to the frame's ``participant_id`` if it has one.

        Raises:
            TavusRoomSendError: The message was not sent.
        """
        ...

    async def register_audio_destination(self, destination: str, auto_silence: bool = True) -> None:
        """Publish a custom audio track.

        Args:
            destination: The track's name.
            auto_silence: Whether the track is silent, rather than waiting, between writes.

        Raises:
            TavusRoomSendError: The track could not be published.
        """
        ...

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on the track named by the frame's ``transport_destination``.

        It leaves the bot as it is played, in pieces of 40 ms at most. Returns when it has been
        played but for its last piece, or all of it, so that whoever writes without a pause
        writes in real time. What a cancelled call has not begun to play is never heard.

        Returns:
            Whether the audio was taken.
        """
        ...

    def drop_audio(self, destination: str) -> None:
        """Play no more of what is being written on a track: it was not taken."""
        ...

    async def capture_participant_audio(
        self,
        participant_id: str,
        callback: AudioCallback,
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
    ) -> None:
        """Hear a participant: ``callback`` gets mono PCM16 at ``sample_rate`` (Hz)."""
        ...

    async def capture_participant_video(
        self,
        participant_id: str,
        callback: VideoCallback,
        framerate: int | None = 30,
        video_source: str = "camera",
        color_format: str = "RGB",
    ) -> None:
        """See a participant."""
        ...

    async def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is received of whom, in Daily's words.

        Raises:
            TavusRoomError: The room refused.
        """
        ...


@dataclass(frozen=True)
class RoomConfig:
    """What a room client is made from.

    Parameters:
        url: The room's URL, which is never logged with a query.
        token: The meeting token of a private room, or None. Never logged.
        bot_name: The bot's name in the room.
        params: The transport's parameters.
        listener: Who is told what happens in the room.
        join_timeout: Limit for joining, in seconds.
    """

    url: str = field(repr=False)
    token: str | None = field(repr=False)
    bot_name: str
    params: DailyParams
    listener: RoomListener
    join_timeout: float = 8.0


RoomFactory = Callable[[RoomConfig], RoomClient]


def open_room(config: RoomConfig) -> RoomClient:
    """The default :class:`RoomFactory`: Daily, or the sandbox for a plain-http loopback URL.

    Args:
        config: Which room, as whom, and who listens.

    Returns:
        A room client, not yet set up.
    """
    # Imported where it is chosen: neither side needs the other.
    if is_sandbox(config.url):
        from pipecat_tavus.sandbox.room_client import SandboxRoom

        return SandboxRoom(config)
    from pipecat_tavus.room.daily_room import DailyRoom

    return DailyRoom(config)


def is_sandbox(url: str) -> bool:
    """Whether a room's URL is one of a sandbox on this machine: plain http and loopback.

    Args:
        url: The room's URL.

    Returns:
        Whether it is.
    """
    parsed = URL(url)
    if parsed.scheme != "http" or not parsed.host:
        return False
    if parsed.host == "localhost":
        return True
    try:
        return ip_address(parsed.host).is_loopback
    except ValueError:
        return False
