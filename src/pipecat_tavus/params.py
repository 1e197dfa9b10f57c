#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the application sets, and whom the client tells."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from pipecat.transports.daily.transport import DailyParams
from pydantic import BaseModel, Field, field_validator

from pipecat_tavus.errors import TavusError
from pipecat_tavus.events.events import TavusEvent
from pipecat_tavus.rest.models import MAX_CALL_DURATION_SECS, Conversation


class TavusParams(DailyParams):
    """Parameters of the Tavus transport, besides those of Pipecat's Daily transport.

    The waits of a start add up to less than the 20 s that a Pipecat worker gives its
    processors to set up, so that it is we who say what took too long.

    Parameters:
        audio_in_enabled: Whether the clients are heard.
        audio_out_enabled: Whether the bot's speech goes to the replica.
        audio_out_10ms_chunks: How much speech takes the way through Pipecat at a time; it is
            handed over in pieces of 40 ms all the same. Twice Pipecat's default, which halves
            what that way costs.
        microphone_out_enabled: Whether the bot has a microphone of its own; its speech goes
            to the replica on a custom track instead.
        request_timeout: Limit for each REST call in seconds, its retries included.
        join_timeout: Limit for joining the room in seconds.
        wait_for_slot: For how many seconds to wait where the account has as many active
            conversations as it may. Off (0) by default. Raise the worker's
            ``setup_timeout_secs`` as well, or create the conversation beforehand.
        max_call_duration: Tavus ends the conversation after so many seconds, whatever
            happens; at most 3600.
        participant_left_timeout: Tavus ends it so many seconds after the last participant
            left, such as a bot whose host lost power, behind a person who gave up.
        participant_absent_timeout: Tavus ends it if nobody joined for so many seconds.
        replica_left: What follows when the replica is gone while people stay: ``wait`` for
            it to come back, or ``end`` the conversation.
        replica_timeout: For how many seconds speech is held back while the replica is not
            there, or its track not playable. Then it flows all the same, and ``on_error``
            is told. 0 holds nothing back.
        replica_speaking_events: Whether the bot counts as speaking when the replica says that
            it does, as long as it says so. Otherwise it does when speech is handed over.
        audio_delivery: How speech goes to the replica: on the ``track`` named ``stream``, as
            ``echo`` messages, or (None) as the persona wants it: ``echo`` for ``pipecat0``,
            else ``track``.
        echo_lead_secs: How far echo messages may be ahead of what is played: what an
            interruption throws away. 0 for real time, ``inf`` for as fast as possible.
        echo_chunk_ms: How much audio an echo message carries, in milliseconds.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_10ms_chunks: int = 8
    microphone_out_enabled: bool = False
    request_timeout: float = Field(default=7.0, gt=0)
    join_timeout: float = Field(default=8.0, gt=0)
    wait_for_slot: float = Field(default=0.0, ge=0)
    max_call_duration: int | None = Field(default=MAX_CALL_DURATION_SECS, ge=1)
    participant_left_timeout: int | None = Field(default=30, ge=0)
    participant_absent_timeout: int | None = Field(default=120, ge=0)
    replica_left: Literal["wait", "end"] = "wait"
    replica_timeout: float = Field(default=15.0, ge=0)
    replica_speaking_events: bool = True
    audio_delivery: Literal["track", "echo"] | None = None
    echo_lead_secs: float = Field(default=2.0, ge=0)
    echo_chunk_ms: int = Field(default=100, ge=20, le=1000)

    @property
    def limits(self) -> dict[str, int | None]:
        """After how long Tavus ends a conversation by itself, as its ``properties`` say it."""
        return {
            "max_call_duration": self.max_call_duration,
            "participant_left_timeout": self.participant_left_timeout,
            "participant_absent_timeout": self.participant_absent_timeout,
        }

    @field_validator("audio_in_user_tracks")
    @classmethod
    def _tracks_stay_apart(cls, value: bool) -> bool:
        if not value:
            raise ValueError("must stay on: the room's mix carries the replica's own voice")
        return value


ParticipantCallback = Callable[[Mapping[str, Any]], Awaitable[None]]
ParticipantLeftCallback = Callable[[Mapping[str, Any], str], Awaitable[None]]


class TavusCallbacks(BaseModel):
    """Whom the client tells what happens. None blocks the room's events for long.

    Parameters:
        on_joined: The bot joined the room; gets Daily's data.
        on_participant_joined: Somebody joined, replica or client; gets the participant.
        on_participant_left: Somebody left, replica or client; gets participant and reason.
        on_participant_updated: Somebody, replica or client, changed, such as the name or what
            the camera sends; gets the participant.
        on_client_connected: A client, not the replica, is in the room.
        on_client_disconnected: A client left, or proved to be the replica.
        on_replica_joined: The replica is in the room.
        on_replica_left: The replica left; gets participant and reason.
        on_conversation_created: A conversation was created, and is billed from now on.
        on_connection_interrupted: The room's signalling broke: messages are lost, audio goes on.
        on_connection_restored: It is back.
        on_app_message: An app message came; gets the message, of any JSON type, and the
            sender's participant id. Tavus's own come here as well.
        on_event: Tavus tells something; gets the event, repeats left out. A client's word
            is never taken for Tavus's.
        on_client_message: An app message came that is none of Tavus's; gets the message and
            the sender's participant id. It was told to ``on_app_message`` before.
        on_error: Something failed; gets the error, and whether it is raised to a caller as
            well, who then reports it.
    """

    on_joined: ParticipantCallback | None = None
    on_participant_joined: ParticipantCallback | None = None
    on_participant_left: ParticipantLeftCallback | None = None
    on_participant_updated: ParticipantCallback | None = None
    on_client_connected: ParticipantCallback | None = None
    on_client_disconnected: ParticipantLeftCallback | None = None
    on_replica_joined: ParticipantCallback | None = None
    on_replica_left: ParticipantLeftCallback | None = None
    on_conversation_created: Callable[[Conversation], Awaitable[None]] | None = None
    on_connection_interrupted: Callable[[], Awaitable[None]] | None = None
    on_connection_restored: Callable[[], Awaitable[None]] | None = None
    on_app_message: Callable[[Any, str], Awaitable[None]] | None = None
    on_event: Callable[[TavusEvent], Awaitable[None]] | None = None
    on_client_message: Callable[[Any, str], Awaitable[None]] | None = None
    on_error: Callable[[TavusError, bool], Awaitable[None]] | None = None
