#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The transport: what a bot imports."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from pipecat_tavus.configuring import configure_client
from pipecat_tavus.daily_transport import DailyTransport
from pipecat_tavus.errors import TavusRoomError
from pipecat_tavus.handlers import ConversationHandlers
from pipecat_tavus.input import TavusInputTransport
from pipecat_tavus.output import TavusOutputTransport
from pipecat_tavus.params import TavusParams
from pipecat_tavus.processor import TavusProcessor
from pipecat_tavus.rest.choosing import DEFAULT_PERSONA
from pipecat_tavus.rest.models import Conversation, ConversationOptions
from pipecat_tavus.room.seam import RoomFactory, open_room
from pipecat_tavus.video_in import VideoIn, check_vision


class TavusTransport(ConversationHandlers, DailyTransport):
    """A Tavus conversation as a Pipecat transport.

    The bot joins the room where the replica and the clients are. It hears the clients, and
    the replica speaks what the bot says.

    What the worst case costs: a conversation whose bot is killed is ended by the next bot of
    this account on this machine. Where there is none, as when the host is lost, Tavus ends
    it ``participant_left_timeout`` (30 s) after the last person has left too, and in any
    case after ``max_call_duration`` (60 minutes).

    Event handlers available:

    - on_conversation_created(transport, conversation): Tavus created the conversation;
      ``conversation.url`` is what a front end needs
    - on_connected(transport, data): The bot joined the room
    - on_replica_joined(transport, participant): The replica is in the room
    - on_replica_left(transport, participant, reason): The replica left
    - on_client_connected(transport, participant): A client is in the room
    - on_client_disconnected(transport, participant): A client left
    - on_connection_interrupted(transport): The room's signalling broke; messages are lost
    - on_connection_restored(transport): It is back
    - on_app_message(transport, message, sender): An app message came, Tavus's own included
    - on_event(transport, event): Tavus tells something; any ``TavusEvent``, each once. One
      that is ``late`` tells of the past, and reaches no handler for speaking
    - on_replica_started_speaking(transport, event): The replica has started to speak
    - on_replica_stopped_speaking(transport, event): It has stopped
    - on_utterance(transport, event): What the replica or a user says, whole; an
      :class:`~pipecat_tavus.UtteranceEvent`
    - on_tool_call(transport, event): The persona's LLM or its perception calls a tool
    - on_shutdown(transport, event): Tavus ends the conversation
    - on_error(transport, error): Something failed; a :class:`~pipecat_tavus.TavusError`

    Each of Tavus's events goes downstream as a :class:`~pipecat_tavus.TavusEventFrame`, and each
    app message of anybody else that is a JSON object as a ``DailyInputTransportMessageFrame``.

    Example::

        transport = TavusTransport(bot_name="Ada")

        @transport.event_handler("on_conversation_created")
        async def on_conversation_created(transport, conversation):
            print(conversation.url)
    """

    def __init__(
        self,
        bot_name: str,
        session: aiohttp.ClientSession | None = None,
        api_key: str | None = None,
        replica_id: str | None = None,
        persona_id: str | None = DEFAULT_PERSONA,
        params: TavusParams | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
        *,
        face_id: str | None = None,
        pal_id: str | None = None,
        conversation_options: ConversationOptions | None = None,
        conversation: Conversation | Mapping[str, Any] | None = None,
        conversation_url: str | None = None,
        meeting_token: str | None = None,
        own: bool = False,
        room_factory: RoomFactory = open_room,
    ):
        """Initialize the transport; nothing is opened.

        Args:
            bot_name: The bot's name in the room.
            session: The session for REST calls; the transport opens its own if None.
            api_key: The Tavus API key, else ``TAVUS_API_KEY``.
            replica_id: The replica, else ``TAVUS_REPLICA_ID``.
            persona_id: The persona, else ``TAVUS_PERSONA_ID``. The default speaks the bot's own
                TTS voice; None leaves it to the replica.
            params: The parameters.
            input_name: Name of the input processor.
            output_name: Name of the output processor.
            face_id: The replica by its newer name, else ``TAVUS_FACE_ID``.
            pal_id: The persona by its newer name, else ``TAVUS_PAL_ID``.
            conversation_options: All else that the conversation is created with, such as
                ``require_auth``. Its ``properties`` go before the limits in ``params``.
            conversation: One that somebody else created, to join instead of a new one: a
                :class:`~pipecat_tavus.Conversation`, or Tavus's JSON. It is left, and not ended,
                at the end. The API key may be missing.
            conversation_url: The URL of its room, instead; it may have the token, as ``?t=``.
            meeting_token: Its meeting token, where its room is private.
            own: Whether this transport ends it all the same, as if it had created it; from
                now on, even if it never joins.
            room_factory: Makes the room from its configuration; by default Daily's, or the
                sandbox's for a conversation of the sandbox.

        Raises:
            TavusConfigError: A value was refused, such as an empty key.
        """
        super().__init__(input_name=input_name, output_name=output_name)
        self._params = params or TavusParams()
        check_vision(self._params)
        self._client = configure_client(
            bot_name=bot_name,
            callbacks=self._callbacks(),
            params=self._params,
            api_key=api_key,
            session=session,
            replica_id=replica_id,
            persona_id=persona_id,
            face_id=face_id,
            pal_id=pal_id,
            conversation_options=conversation_options,
            conversation=conversation,
            conversation_url=conversation_url,
            meeting_token=meeting_token,
            own=own,
            room_factory=room_factory,
        )
        self._input: TavusInputTransport | None = None
        self._output: TavusOutputTransport | None = None
        self._register_events()

    def input(self) -> TavusInputTransport:
        """The input processor."""
        if not self._input:
            self._input = TavusInputTransport(self._client, self._params, name=self._input_name)
        return self._input

    def output(self) -> TavusOutputTransport:
        """The output processor."""
        if not self._output:
            self._output = TavusOutputTransport(self._client, self._params, name=self._output_name)
        return self._output

    async def capture_replica_video(
        self, framerate: int | None = 30, color_format: str = "RGB"
    ) -> None:
        """See the replica's face, now or when it comes, and whenever it comes again.

        Its pictures come as ``UserImageRawFrame`` with its participant id.

        Args:
            framerate: Frames per second to pass on; None for all that come.
            color_format: Such as ``RGB``.

        Raises:
            TavusConfigError: Video is not enabled, or a value is refused.
            TavusRoomError: The replica is there, and the room refused.
        """
        await self._video_in().capture_replica(framerate, color_format)

    def _processors(self) -> list[TavusProcessor]:
        return [it for it in (self._input, self._output) if it]

    async def _on_client_connected(self, participant: Mapping[str, Any]) -> None:
        if self._input:
            # First: a handler that captures a source itself takes precedence.
            self._input.video.expect(participant)
        await super()._on_client_connected(participant)
        if self._input:
            try:
                await self._input.start_capturing_audio(participant)
            except TavusRoomError as e:
                await self._on_error(e, False)
            await self._input.video.start(participant, lambda e: self._on_error(e, False))

    async def _on_client_disconnected(self, participant: Mapping[str, Any], reason: str) -> None:
        if self._input:
            self._input.stop_capturing_audio(participant)
        await self._sees(VideoIn.gone, participant)
        await super()._on_client_disconnected(participant, reason)

    async def _on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        await self._sees(VideoIn.updated, participant)

    async def _on_replica_joined(self, participant: Mapping[str, Any]) -> None:
        await super()._on_replica_joined(participant)
        await self._sees(VideoIn.replica_came, participant)

    async def _on_replica_left(self, participant: Mapping[str, Any], reason: str) -> None:
        await self._sees(VideoIn.gone, participant)
        await super()._on_replica_left(participant, reason)

    async def _sees(
        self,
        happens: Callable[[VideoIn, Mapping[str, Any]], Awaitable[None]],
        participant: Mapping[str, Any],
    ) -> None:
        if self._input:
            try:
                await happens(self._input.video, participant)
            except TavusRoomError as e:
                await self._on_error(e, False)
