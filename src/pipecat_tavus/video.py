#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The video service: a replica for a bot that talks to people by another transport."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import aiohttp
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    MixerControlFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    SpriteFrame,
    StartFrame,
    SystemFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import (
    FrameCallback,
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.utils.errors import ErrorCategory

from pipecat_tavus.configuring import configure_client
from pipecat_tavus.errors import TavusError, TavusRoomError
from pipecat_tavus.handlers import ConversationHandlers
from pipecat_tavus.params import TavusParams
from pipecat_tavus.processor import TavusProcessor
from pipecat_tavus.rest.choosing import DEFAULT_PERSONA
from pipecat_tavus.rest.models import Conversation, ConversationOptions
from pipecat_tavus.room.seam import RoomFactory, open_room
from pipecat_tavus.voice import Passenger, Voice

_LIFE = (StartFrame, EndFrame, CancelFrame, InterruptionFrame)
_SPEECH = (TTSAudioRawFrame, TTSStoppedFrame, TextFrame)
_AT_ONCE = (OutputImageRawFrame, SpriteFrame, MixerControlFrame)


class TavusVideoService(ConversationHandlers, FrameProcessor):
    """A Tavus replica in the middle of a pipeline, for people who are at another transport.

    It stands between the TTS service and the output of any Pipecat transport::

        Pipeline([transport.input(), stt, user_aggregator, llm, tts,
                  TavusVideoService(), transport.output(), assistant_aggregator])

    The bot's speech goes to the replica in a Tavus conversation of its own, and what the
    replica says comes back: ``SpeechOutputAudioRawFrame`` and ``OutputImageRawFrame`` go
    downstream instead of ``TTSAudioRawFrame``, and the words with their sound. Where the
    replica has no camera (``audio_only``), there are no images. Set the other transport's
    ``video_out_enabled``, ``video_out_is_live`` and the size of its video.

    It holds to what :class:`~pipecat_tavus.TavusTransport` does: speech waits for the replica,
    and is heard to its end before the pipeline ends; an interruption drops what was not
    heard, here and there; the conversation is ended whatever happens. It has the same
    event handlers, whose first argument is the service, but for ``on_error``, which is
    Pipecat's own of each processor: ``on_error(service, error_frame)``, with the
    :class:`~pipecat_tavus.TavusError` as ``error_frame.exception``. Its clients are whoever
    else is in Tavus's room.

    With ``enable_metrics`` it reports the time to first byte: from the first audio of an
    utterance to the replica's first sound.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        replica_id: str | None = None,
        persona_id: str | None = DEFAULT_PERSONA,
        session: aiohttp.ClientSession | None = None,
        params: TavusParams | None = None,
        bot_name: str = "Pipecat",
        face_id: str | None = None,
        pal_id: str | None = None,
        conversation_options: ConversationOptions | None = None,
        conversation: Conversation | Mapping[str, Any] | None = None,
        conversation_url: str | None = None,
        meeting_token: str | None = None,
        own: bool = False,
        room_factory: RoomFactory = open_room,
        **kwargs: Any,
    ):
        """Initialize the service; nothing is opened.

        Args:
            api_key: The Tavus API key, else ``TAVUS_API_KEY``.
            replica_id: The replica, else ``TAVUS_REPLICA_ID``.
            persona_id: The persona. The default speaks the bot's own TTS voice.
            session: The session for REST calls; the service opens its own if None.
            params: The parameters of the conversation and its speech. What they say of people
                who are heard or seen does not matter here.
            bot_name: The bot's name in Tavus's room.
            face_id: The replica by its newer name, else ``TAVUS_FACE_ID``.
            pal_id: The persona by its newer name, else ``TAVUS_PAL_ID``.
            conversation_options: All else that the conversation is created with, such as
                ``audio_only``. Its ``properties`` go before the limits in ``params``.
            conversation: One that somebody else created, to join instead of a new one; it is
                left, and not ended, at the end.
            conversation_url: The URL of its room, instead.
            meeting_token: Its meeting token, where its room is private.
            own: Whether this service ends it all the same.
            room_factory: Makes the room from its configuration; by default Daily's, or the
                sandbox's for a conversation of the sandbox.
            **kwargs: Passed to the base class, such as ``name``.

        Raises:
            TavusConfigError: A value was refused, such as an empty key.
        """
        super().__init__(**kwargs)
        # Whoever is to be heard and seen on Daily must be enabled to. The replica's word
        # counts with its sound, so it is always followed.
        self._params = (params or TavusParams()).model_copy(
            update={
                "audio_in_enabled": True,
                "video_in_enabled": True,
                "replica_speaking_events": True,
            }
        )
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
            hears_replica=True,
        )
        self._voice = Voice(self, self._client, self._params)
        self._sample_rate = 0
        self._replica_id: str | None = None
        self._ready = asyncio.Event()
        # When the first audio came of an utterance that is not heard yet.
        self._asked_at: float | None = None
        self._is_asking = False
        self._register_events()

    def can_generate_metrics(self) -> bool:
        """Whether there are metrics."""
        return True

    async def setup(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, setup: FrameProcessorSetup
    ) -> None:
        """Create the conversation, join its room, and prepare the delivery.

        Args:
            setup: The pipeline's setup.

        Raises:
            TavusError: One of these failed.
        """
        await super().setup(setup)
        self._sample_rate = setup.audio_out_sample_rate
        await self._voice.setup(setup)

    async def cleanup(self) -> None:
        """Release everything; the conversation is ended by then."""
        try:
            await super().cleanup()
        finally:
            await self._voice.cleanup()

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Queue a frame, and note that the transport behind is ready.

        Args:
            frame: The frame.
            direction: Where it goes.
            callback: Called when it was processed.
        """
        if isinstance(frame, OutputTransportReadyFrame):
            # Here, as it is processed only behind the speech that waits for it.
            self._ready.set()
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame: speech goes to the replica, all else goes on, in its place.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        if isinstance(frame, InterruptionFrame):
            self._voice.shut_up()
            self._asked_at, self._is_asking = None, False
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame) and frame.transport_destination is None:
            self._ask()
            await self._wait_for_transport()
        elif isinstance(frame, TTSStoppedFrame):
            self._is_asking = False
        if isinstance(frame, _LIFE) or not _goes_on_at_once(frame, direction):
            speaks = isinstance(frame, _LIFE + _SPEECH)
            await self._voice.process_frame(frame if speaks else Passenger(frame), direction)
        else:
            await self.push_frame(frame, direction)

    def _processors(self) -> list[TavusProcessor]:
        return [self._voice]

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, TavusError):
            return exception.category
        return super()._classify_error(exception)

    async def _on_error(self, error: TavusError, raised: bool) -> None:
        await self._push_error(error, raised)

    async def _on_replica_joined(self, participant: Mapping[str, Any]) -> None:
        await super()._on_replica_joined(participant)
        replica_id = self._replica_id = participant["id"]
        for capture in (
            partial(
                self._client.capture_participant_audio,
                callback=self._on_replica_audio,
                sample_rate=self._sample_rate,
            ),
            partial(self._client.capture_participant_video, callback=self._on_replica_video),
        ):
            try:
                await capture(replica_id)
            except TavusRoomError as e:
                await self._on_error(e, False)

    async def _on_replica_video(self, participant_id: str, video: Any, source: str) -> None:
        if participant_id == self._replica_id and self._ready.is_set():
            frame = OutputImageRawFrame(
                video.buffer, (video.width, video.height), video.color_format
            )
            frame.transport_source = source
            await self.push_frame(frame)

    async def _on_replica_audio(self, participant_id: str, audio: Any, source: str) -> None:
        if participant_id != self._replica_id or not self._ready.is_set():
            return
        if await self._voice.hear(audio, source) and self._asked_at is not None:
            asked_at, self._asked_at = self._asked_at, None
            await self.start_ttfb_metrics(start_time=asked_at)
            await self.stop_ttfb_metrics()

    def _ask(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            # Behind what is being said, the first sound would tell nothing.
            asked = self._asked_at is not None and not self._voice.is_idle
            if self._voice.is_silent and not asked:
                self._asked_at = time.time()

    async def _wait_for_transport(self) -> None:
        """Hold speech back until there is somebody to hear it."""
        if not self._ready.is_set():
            logger.debug("{}: speech waits for the transport behind", self)
            try:
                async with asyncio.timeout(self._params.replica_timeout):
                    await self._ready.wait()
            except TimeoutError:
                # It may be one that never tells.
                self._ready.set()


def _goes_on_at_once(frame: Frame, direction: FrameDirection) -> bool:
    if direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame):
        return True
    if frame.transport_destination is not None:
        return True
    return isinstance(frame, _AT_ONCE) and not getattr(frame, "sync_with_audio", False)
