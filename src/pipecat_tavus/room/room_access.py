#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What processors do in the room of a conversation: speak, hear, see, send."""

from collections.abc import Callable, Mapping
from typing import Any

from pipecat.frames.frames import (
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)

from pipecat_tavus.conversation.life import ConversationLife
from pipecat_tavus.errors import TavusRoomError, TavusRoomSendError
from pipecat_tavus.events.interaction_calls import InteractionCalls
from pipecat_tavus.rest.models import Conversation
from pipecat_tavus.room.room_events import RoomEvents
from pipecat_tavus.room.seam import AudioCallback, RoomClient, VideoCallback


class RoomAccess(InteractionCalls):
    """The room of a conversation, from its join to its end."""

    _life: ConversationLife
    _events: RoomEvents

    @property
    def conversation(self) -> Conversation | None:
        """The conversation, from when it is created; kept after its end."""
        return self._life.conversation

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id, from when it is created."""
        return self.conversation.id if self.conversation else None

    @property
    def is_over(self) -> bool:
        """Whether the conversation's end has begun."""
        return self._life.is_over

    @property
    def in_sample_rate(self) -> int:
        """Sample rate of captured audio in Hz; 0 before ``setup()``."""
        return self._life.room.in_sample_rate if self._life.room else 0

    @property
    def out_sample_rate(self) -> int:
        """Sample rate of the bot's speech in Hz; 0 before ``setup()``."""
        return self._life.room.out_sample_rate if self._life.room else 0

    def participants(self) -> Mapping[str, Any]:
        """Everybody in the room but the bot, by participant id, as Daily gives them."""
        return self._events.participants

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an app message to the room.

        Args:
            frame: The message, for everybody or for its ``participant_id``.

        Raises:
            TavusRoomSendError: It was not sent.
        """
        await self._open_room(TavusRoomSendError).send_message(frame)

    async def send_interrupt_message(self) -> None:
        """Tell the replica to stop speaking and to drop what it has buffered.

        Raises:
            TavusRoomSendError: It was not sent.
        """
        await self.interrupt()

    async def send_interaction(self, build: Callable[[str], dict[str, Any]]) -> None:
        """Send a message to Tavus.

        Args:
            build: Makes the message for the conversation's id.

        Raises:
            TavusConfigError: A value was refused.
            TavusRoomSendError: It was not sent.
        """
        # Built in any case: a wrong value is told before a room that is not open.
        message = build(self.conversation_id or "")
        await self.send_message(OutputTransportMessageUrgentFrame(message=message))

    async def register_audio_destination(self, destination: str, auto_silence: bool = True) -> None:
        """Publish a custom audio track.

        Args:
            destination: The track's name; Tavus listens to ``stream``.
            auto_silence: Whether the track is silent, rather than waiting, between writes.

        Raises:
            TavusRoomSendError: It could not be published.
        """
        await self._open_room(TavusRoomSendError).register_audio_destination(
            destination, auto_silence
        )

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play audio on the track named by the frame's ``transport_destination``.

        Args:
            frame: PCM16 at ``out_sample_rate``.

        Returns:
            Whether the audio was taken: True once it has been played, but for its last 40 ms
            perhaps; False where the room is closed, or the rest of it was dropped.
        """
        room = self._life.room
        if room is None or self._life.is_over:
            return False
        return await room.write_audio_frame(frame)

    def drop_audio(self, destination: str) -> None:
        """Play no more of what is being written on a custom track.

        Args:
            destination: The track's name.
        """
        if self._life.room:
            self._life.room.drop_audio(destination)

    async def capture_participant_audio(
        self,
        participant_id: str,
        callback: AudioCallback,
        audio_source: str = "microphone",
        sample_rate: int = 16000,
        callback_interval_ms: int = 20,
    ) -> None:
        """Hear a participant.

        Args:
            participant_id: Whom.
            callback: Gets mono PCM16, as ``(participant_id, audio, audio_source)``.
            audio_source: ``microphone``, ``screenAudio`` or a custom track's name.
            sample_rate: In Hz.
            callback_interval_ms: Length of each piece in milliseconds.

        Raises:
            TavusRoomError: There is no such participant, or the room refused.
        """
        await self._room_with(participant_id).capture_participant_audio(
            participant_id, callback, audio_source, sample_rate, callback_interval_ms
        )

    async def capture_participant_video(
        self,
        participant_id: str,
        callback: VideoCallback,
        framerate: int | None = 30,
        video_source: str = "camera",
        color_format: str = "RGB",
    ) -> None:
        """See a participant.

        Args:
            participant_id: Whom.
            callback: Gets the frames, as ``(participant_id, frame, video_source)``.
            framerate: In frames per second.
            video_source: ``camera``, ``screenVideo`` or a custom track's name.
            color_format: Such as ``RGB``.

        Raises:
            TavusRoomError: There is no such participant, or the room refused.
        """
        await self._room_with(participant_id).capture_participant_video(
            participant_id, callback, framerate, video_source, color_format
        )

    async def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is received of whom, in Daily's words.

        Args:
            participant_settings: By participant id.
            profile_settings: By profile.

        Raises:
            TavusRoomError: The room refused.
        """
        await self._open_room().update_subscriptions(participant_settings, profile_settings)

    def _room_with(self, participant_id: str) -> RoomClient:
        room = self._open_room()
        # Measured with daily-python 0.36: for an id that is none, capturing video aborts the
        # process, and capturing audio does nothing, without a word.
        if participant_id not in self.participants():
            raise TavusRoomError(f"There is no participant {participant_id!r} to capture")
        return room

    def _open_room(self, error: type[TavusRoomError] = TavusRoomError) -> RoomClient:
        room = self._life.room
        if room is None or self._life.is_over:
            raise error("The bot is not in the room" + (" any more" if room else " yet"))
        return room
