#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the application is told of a conversation: by its event handlers, and in its pipeline."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipecat.frames.frames import BotConnectedFrame, ClientConnectedFrame, Frame
from pipecat.utils.base_object import BaseObject

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusError, TavusRoomClosedError
from pipecat_tavus.events.events import (
    PerceptionToolCallEvent,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    TavusEvent,
    ToolCallEvent,
    UtteranceEvent,
)
from pipecat_tavus.events.interaction_calls import InteractionCalls
from pipecat_tavus.frames import TavusEventFrame
from pipecat_tavus.params import TavusCallbacks
from pipecat_tavus.processor import TavusProcessor
from pipecat_tavus.rest.models import Conversation

EVENTS = (
    "on_conversation_created",
    "on_connected",
    "on_replica_joined",
    "on_replica_left",
    "on_client_connected",
    "on_client_disconnected",
    "on_connection_interrupted",
    "on_connection_restored",
    "on_app_message",
    "on_event",
    "on_replica_started_speaking",
    "on_replica_stopped_speaking",
    "on_utterance",
    "on_tool_call",
    "on_shutdown",
    "on_error",
)
"""The event handlers that an application may set."""


class ConversationHandlers(InteractionCalls, BaseObject):
    """The application's side of a conversation: its attributes, calls and event handlers.

    It comes before Pipecat's base in the bases of a class, which calls :meth:`_register_events`
    and builds the client with :meth:`_callbacks`.
    """

    _client: TavusTransportClient

    @property
    def conversation(self) -> Conversation | None:
        """The conversation, with its id, URL and token, from when it is created."""
        return self._client.conversation

    async def create_conversation(self) -> Conversation:
        """Create the conversation before the pipeline runs, or return the one that there is.

        Tavus bills from here on: run the pipeline, or :meth:`close` it. Where this is cancelled,
        as by a time limit, the conversation is ended, and the transport can be used no more.

        Returns:
            The conversation.

        Raises:
            TavusApiError: Tavus did not create it.
            TavusError: The conversation is over.
        """
        return await self._client.create_conversation()

    async def close(self) -> None:
        """Leave the room and end the conversation now. A pipeline does so by itself."""
        await self._client.close()

    async def send_interaction(self, build: Callable[[str], dict[str, Any]]) -> None:
        """Send a message to Tavus.

        Args:
            build: Makes the message for the conversation's id; one of the functions of
                ``pipecat_tavus.events.interactions``.

        Raises:
            TavusConfigError: A value was refused.
            TavusRoomSendError: It was not sent.
        """
        await self._client.send_interaction(build)

    @abstractmethod
    def _processors(self) -> Sequence[TavusProcessor]:
        """The processors that there are, in the pipeline's order: they tell it what happens."""

    def _register_events(self) -> None:
        for event in EVENTS:
            # A processor has an on_error of Pipecat's.
            if event not in self._event_handlers:
                self._register_event_handler(event)

    def _callbacks(self) -> TavusCallbacks:
        return TavusCallbacks(
            on_joined=self._on_joined,
            on_client_connected=self._on_client_connected,
            on_client_disconnected=self._on_client_disconnected,
            on_participant_updated=self._on_participant_updated,
            on_replica_joined=self._on_replica_joined,
            on_replica_left=self._on_replica_left,
            on_conversation_created=self._on_conversation_created,
            on_connection_interrupted=self._on_connection_interrupted,
            on_connection_restored=self._on_connection_restored,
            on_app_message=self._on_app_message,
            on_event=self._on_event,
            on_client_message=self._on_client_message,
            on_error=self._on_error,
        )

    async def _announce(self, frame: Frame) -> None:
        # Whoever gets it before the StartFrame keeps it until then.
        for processor in self._processors()[:1]:
            await processor.push_frame(frame)

    async def _on_conversation_created(self, conversation: Conversation) -> None:
        await self._call_event_handler("on_conversation_created", conversation)

    async def _on_joined(self, data: Mapping[str, Any]) -> None:
        await self._call_event_handler("on_connected", data)
        await self._announce(BotConnectedFrame())

    async def _on_client_connected(self, participant: Mapping[str, Any]) -> None:
        await self._call_event_handler("on_client_connected", participant)
        await self._announce(ClientConnectedFrame())

    async def _on_client_disconnected(self, participant: Mapping[str, Any], reason: str) -> None:
        await self._call_event_handler("on_client_disconnected", participant)

    async def _on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        """For who follows what participants send; there is no handler for it."""

    async def _on_replica_joined(self, participant: Mapping[str, Any]) -> None:
        await self._call_event_handler("on_replica_joined", participant)

    async def _on_replica_left(self, participant: Mapping[str, Any], reason: str) -> None:
        await self._call_event_handler("on_replica_left", participant, reason)

    async def _on_connection_interrupted(self) -> None:
        await self._call_event_handler("on_connection_interrupted")

    async def _on_connection_restored(self) -> None:
        await self._call_event_handler("on_connection_restored")

    async def _on_app_message(self, message: Any, sender: str) -> None:
        await self._call_event_handler("on_app_message", message, sender)

    async def _on_event(self, event: TavusEvent) -> None:
        await self._call_event_handler("on_event", event)
        if handler := _handler_of(event):
            await self._call_event_handler(handler, event)
        await self._announce(TavusEventFrame(event))

    async def _on_client_message(self, message: Any, sender: str) -> None:
        # Anything else makes Pipecat's RTVIProcessor fail, which tells everybody so.
        if isinstance(message, Mapping):
            for processor in self._processors()[:1]:
                await processor.push_app_message(message, sender)

    async def _on_error(self, error: TavusError, raised: bool) -> None:
        await self._call_event_handler("on_error", error)
        await self._push_error(error, raised)

    async def _push_error(self, error: TavusError, raised: bool) -> None:
        # An error that setup() raises is pushed by the pipeline. Otherwise the output does:
        # one that is unusable lets go of what it has queued.
        for processor in self._processors()[-1:]:
            if not raised:
                await processor.push_error(
                    str(error),
                    exception=error,
                    force_treat_as_permanent=isinstance(error, TavusRoomClosedError),
                )


def _handler_of(event: TavusEvent) -> str | None:
    """The handler of one kind of event, beside ``on_event``."""
    match event:
        case StartedSpeakingEvent(role="replica", late=False):
            return "on_replica_started_speaking"
        case StoppedSpeakingEvent(role="replica", late=False):
            return "on_replica_stopped_speaking"
        case UtteranceEvent():
            return "on_utterance"
        case ToolCallEvent() | PerceptionToolCallEvent():
            return "on_tool_call"
        case ShutdownEvent():
            return "on_shutdown"
        case _:
            return None
