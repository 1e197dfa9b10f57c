#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation and the bot's place in its room, as several processors share them."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp
from pipecat.metrics.metrics import MetricsData
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.shared import acquires, releases

from pipecat_tavus.background import in_background
from pipecat_tavus.conversation.life import ConversationLife
from pipecat_tavus.conversation.origin import origin
from pipecat_tavus.errors import TavusConfigError, TavusError
from pipecat_tavus.events.speech_listener import SpeechListener
from pipecat_tavus.metrics import ConversationCreateMetricsData, RoomJoinMetricsData
from pipecat_tavus.params import TavusCallbacks, TavusParams
from pipecat_tavus.rest.api import TavusApi
from pipecat_tavus.rest.choosing import DEFAULT_PERSONA, choose_options
from pipecat_tavus.rest.models import Conversation, ConversationOptions
from pipecat_tavus.rest.naming import PersonaName
from pipecat_tavus.room.room_access import RoomAccess
from pipecat_tavus.room.room_events import RoomEvents
from pipecat_tavus.room.seam import RoomConfig, RoomFactory, open_room
from pipecat_tavus.speech.delivery import AudioDelivery, delivery_for

if TYPE_CHECKING:
    from pipecat.pipeline.worker import PipelineWorker

_GUARD_INTERVAL = 4.0
"""Seconds between two looks at whether the pipeline is over."""


class TavusTransportClient(RoomAccess):
    """A Tavus conversation, and the bot's place in its room.

    Several processors may share a client: each calls ``setup()``, ``join()``, ``stop()`` and
    ``cleanup()``, and each of these happens once: the first sets up and joins, the last
    leaves and ends the conversation. Whatever goes wrong in between, the conversation is
    ended: when ``cleanup()`` has returned, Tavus bills no more, or ``on_error`` was told of
    the conversation that could not be ended. Build your own processors on it.
    """

    def __init__(
        self,
        *,
        bot_name: str,
        callbacks: TavusCallbacks,
        api_key: str,
        replica_id: str | None,
        persona_id: str | None = DEFAULT_PERSONA,
        face_id: str | None = None,
        pal_id: str | None = None,
        environment: Mapping[str, str] | None = None,
        conversation_options: ConversationOptions | None = None,
        params: TavusParams | None = None,
        session: aiohttp.ClientSession | None = None,
        room_factory: RoomFactory = open_room,
        hears_replica: bool = False,
        conversation: Conversation | None = None,
        own: bool = False,
    ):
        """Initialize the client; nothing is opened.

        Args:
            bot_name: The bot's name in the room.
            callbacks: Whom to tell what happens.
            api_key: The Tavus API key.
            replica_id: The replica.
            persona_id: The persona. The default speaks what comes on the track ``stream``.
            face_id: The replica by its newer name.
            pal_id: The persona by its newer name.
            environment: What names the replica and the persona where nothing else does; such
                as ``os.environ``, or None.
            conversation_options: All else that the conversation is created with.
            params: The parameters.
            session: The session for REST calls; the client opens its own if None.
            room_factory: Makes the room from its configuration.
            hears_replica: Whether the replica's microphone may be received. It is unsubscribed
                otherwise: where people are in the room, they hear it there.
            conversation: One that somebody else created, to join instead of a new one. The
                API key may be empty then, unless it is ``own``.
            own: Whether that one is ended by this client.

        Raises:
            TavusConfigError: A value was refused.
        """
        self._bot_name = bot_name
        self._params = params or TavusParams()
        self._options = choose_options(
            conversation_options,
            conversation,
            replica_id=replica_id,
            face_id=face_id,
            persona_id=persona_id,
            pal_id=pal_id,
            limits=self._params.limits,
            environment=environment,
            # The replica, the bot, and a person, unless people are elsewhere.
            places=2 if hears_replica else 3,
        )
        self.audio_delivery: AudioDelivery = delivery_for(self._params, self._options.persona)
        """How the bot's speech goes to the replica."""
        api = None
        if api_key.strip() or own or not conversation:
            api = TavusApi(api_key, session, timeout=self._params.request_timeout)
        self._join_secs: float | None = None
        self._room_factory = room_factory
        self._worker: PipelineWorker | None = None
        self._guarding: asyncio.Task[None] | None = None
        self._events = RoomEvents(
            callbacks,
            mute=None if hears_replica else self._unsubscribe_microphone,
            over=lambda: self._life.begin_end(),
            ends_with_replica=self._params.replica_left == "end",
            # The development room is another conversation's, each time.
            conversation_id=lambda: None if api and api.development else self.conversation_id,
        )
        self._naming = None
        if api and self._options.persona:
            self._naming = PersonaName(api, self._options.persona, self._events.persona_is)
        begin, reap = origin(api, self._options, conversation, own=own)
        self._life = ConversationLife(
            begin,
            reap=reap,
            release=api.close if api else None,
            wait_for_slot=self._params.wait_for_slot,
            created=lambda it: self._events.tell(callbacks.on_conversation_created, it),
            left=self._left,
            failed=self._events.failed,
        )

    @property
    def replica_ready(self) -> bool:
        """Whether the replica is in the room, and what it says is heard."""
        return self._events.replica_ready

    async def wait_for_replica(self) -> bool:
        """Wait until the replica is in the room, and what it says is heard.

        Returns:
            True; or False where the conversation is over.
        """
        while not self.is_over and not self.replica_ready:
            waits = [
                in_background(self._events.wait_for_replica(), "tavus::replica"),
                in_background(self._life.wait_over(), "tavus::over"),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waits:
                    task.cancel()
        return not self.is_over

    def add_speech_listener(self, listener: SpeechListener) -> None:
        """Be told when the replica and users speak, and what, before the application is.

        Args:
            listener: Who is told from now on.
        """
        self._events.add_speech_listener(listener)

    async def create_conversation(self) -> Conversation:
        """Create the conversation, or return the one that there is.

        Returns:
            The conversation, whose URL a front end can show before the bot joins.

        Raises:
            TavusApiError: Tavus did not create it.
            TavusError: The conversation is over.
        """
        return await self._life.create()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Create the conversation, unless there is one, and set its room up.

        Args:
            setup: The setup of the processor.

        Raises:
            TavusError: It could not be created or set up. The conversation is being ended.
        """
        self._worker = getattr(setup, "pipeline_worker", None)
        await self._set_up(setup)

    @acquires("client")
    async def _set_up(self, setup: FrameProcessorSetup) -> None:
        try:
            # First: a loop that shuts down may do so while the conversation is created.
            self._guarding = in_background(self._guard(), "tavus::guard")
            conversation = await self._life.create()
            self._life.room = self._room_factory(
                RoomConfig(
                    url=conversation.url,
                    token=conversation.token,
                    bot_name=self._bot_name,
                    params=self._params,
                    listener=self._events,
                    join_timeout=self._params.join_timeout,
                )
            )
            await self._life.room.setup(setup)
        except BaseException as e:
            await self._give_up(e)
            raise

    @acquires("conversation")
    async def join(self) -> None:
        """Join the room.

        Raises:
            TavusRoomJoinError: The room could not be joined. The conversation is being ended.
        """
        try:
            if self._naming:
                self._naming.ask()
            begun = time.monotonic()
            await self._open_room().join()
            self._join_secs = time.monotonic() - begun
        except BaseException as e:
            await self._give_up(e)
            raise

    @releases("conversation")
    async def stop(self) -> None:
        """Leave the room, then end the conversation, once the last processor has stopped."""
        await self._life.close()

    async def cleanup(self) -> None:
        """Release everything, once the last processor does; wait for an end under way."""
        try:
            await self._release()
        finally:
            await self._life.wait_closed()

    async def close(self) -> None:
        """Leave the room and end the conversation now, whoever else shares the client.

        Harmless when repeated; it goes on to its end though the caller is cancelled.
        """
        await self._life.close()

    @releases("client")
    async def _release(self) -> None:
        await self._life.close()

    async def publish(self, track: str, auto_silence: bool = True) -> None:
        """Publish a track that the bot cannot do without.

        Args:
            track: Its name.
            auto_silence: Whether the track is silent, rather than waiting, between writes.

        Raises:
            TavusRoomSendError: It could not be published. The conversation is being ended.
        """
        try:
            await self.register_audio_destination(track, auto_silence)
        except BaseException as e:
            await self._give_up(e)
            raise

    def take_metrics(self, processor: str) -> list[MetricsData]:
        """What was measured of the start, given once.

        Args:
            processor: The name of the processor that reports it.

        Returns:
            How long it took to create the conversation, if it was, and to join its room.
        """
        if self._join_secs is None:
            return []
        join_secs, self._join_secs = self._join_secs, None
        data: list[MetricsData] = [RoomJoinMetricsData(processor=processor, value=join_secs)]
        if (create_secs := self._life.create_secs) is not None:
            data.insert(0, ConversationCreateMetricsData(processor=processor, value=create_secs))
        return data

    async def report(self, error: TavusError) -> None:
        """Tell ``on_error`` of a failure that is raised to nobody.

        Args:
            error: What failed.
        """
        await self._events.failed(error)

    async def _give_up(self, error: BaseException) -> None:
        # The end is not waited for: whoever set us up is told at once what went wrong.
        self._life.start_closing()
        if isinstance(error, TavusError):
            await self._events.failed(error, raised=True)

    async def _left(self) -> None:
        if self._naming:
            self._naming.give_up()
        await self._events.everybody_left("the bot left")

    async def _guard(self) -> None:
        """End the conversation of a pipeline that is over and has not cleaned up.

        Measured with Pipecat 1.11 and 1.14: a worker whose task is cancelled again while it
        winds down leaves its processors as they are.
        """
        looks = 0
        try:
            # One that has only just finished may be cleaning up, or be followed by another.
            while looks < 2 and not await self._life.wait_for_end(_GUARD_INTERVAL):
                over = self._worker is not None and self._worker.has_finished()
                looks = looks + 1 if over else 0
        except asyncio.CancelledError:
            # By a loop that shuts down, which waits for whom it cancels, and for nobody else.
            await self._life.close()
            raise
        self._life.start_closing()

    async def get_persona_name(self) -> str:
        """The persona's name, which its replica may bear in the room; asked for once.

        Returns:
            The name.

        Raises:
            TavusApiError: It could not be looked up.
            TavusConfigError: There is no persona, or no API key, to look it up with.
        """
        if self._naming is None:
            raise TavusConfigError("The persona is unknown, or the API key is")
        return await self._naming.get()

    async def _unsubscribe_microphone(self, participant_id: str) -> None:
        settings = {participant_id: {"media": {"microphone": "unsubscribed"}}}
        await self.update_subscriptions(participant_settings=settings)
