#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A bot for the sandbox's tests: the real room client and a listener that keeps everything."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from bots import until
from pipecat.clocks.system_clock import SystemClock
from pipecat.frames.frames import OutputAudioRawFrame, OutputTransportMessageFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.daily.transport import (
    DailyOutputTransportMessageFrame,
    DailyParams,
)
from pipecat.utils.asyncio.task_manager import TaskManager

from pipecat_tavus.room.seam import RoomConfig
from pipecat_tavus.sandbox import ReplicaSettings, SandboxPerson, TavusSandbox
from pipecat_tavus.sandbox.room_client import SandboxRoom

RATE = 24000


@dataclass
class Listener:
    """Keeps what the room tells."""

    told: list[tuple[str, Any]] = field(default_factory=list)
    messages: list[tuple[Any, str]] = field(default_factory=list)
    on_event: Callable[[str], Any] | None = None

    def whats(self) -> list[str]:
        return [what for what, _ in self.told]

    def names(self, what: str) -> list[str]:
        return [data["info"]["userName"] for w, data in self.told if w == what]

    def events(self) -> list[str]:
        return [m["event_type"] for m, _ in self.messages if "event_type" in m]

    async def _keep(self, what: str, data: Any) -> None:
        self.told.append((what, data))
        if self.on_event:
            await self.on_event(what)

    async def on_joined(self, data: Mapping[str, Any]) -> None:
        await self._keep("joined", data)

    async def on_participant_joined(self, participant: Mapping[str, Any]) -> None:
        await self._keep("participant_joined", participant)

    async def on_participant_updated(self, participant: Mapping[str, Any]) -> None:
        await self._keep("participant_updated", participant)

    async def on_participant_left(self, participant: Mapping[str, Any], reason: str) -> None:
        await self._keep("participant_left", participant)

    async def on_app_message(self, message: Any, sender: str) -> None:
        self.messages.append((message, sender))
        await self._keep("app_message", message)

    async def on_room_error(self, message: str) -> None:
        await self._keep("room_error", message)

    async def on_room_closed(self, reason: str) -> None:
        await self._keep("room_closed", reason)


@dataclass
class Bot:
    """A bot in a room."""

    room: SandboxRoom
    listener: Listener
    heard: bytearray = field(default_factory=bytearray)
    pieces: list[Any] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.listener.told[0][1]["participants"]["local"]["id"]

    async def hear(self, participant_id: str, **options: Any) -> None:
        async def keep(participant_id: str, audio: Any, source: str) -> None:
            self.heard += audio.audio_frames
            self.pieces.append(audio)

        await self.room.capture_participant_audio(participant_id, keep, **options)

    async def meet_replica(self) -> str:
        """Wait for the replica; gives its id."""

        def replicas() -> list[str]:
            return [
                data["id"]
                for what, data in self.listener.told
                if what == "participant_joined" and data["info"]["isOwner"]
            ]

        return (await until(replicas))[0]

    async def speak(self, pcm: bytes, *, chunk_ms: int = 40, destination: str = "stream") -> bool:
        """Write as Pipecat does: one chunk after the other."""
        size = RATE * chunk_ms // 1000 * 2
        taken = True
        for at in range(0, len(pcm), size):
            taken = await self.room.write_audio_frame(audio(pcm[at : at + size], destination))
        return taken

    async def send(self, message: Any, to: str | None = None) -> None:
        if to is None:
            await self.room.send_message(OutputTransportMessageFrame(message=message))
        else:
            await self.room.send_message(
                DailyOutputTransportMessageFrame(message=message, participant_id=to)
            )


def noise(secs: float, *, rate: int = RATE, seed: int = 1) -> bytes:
    """Speech as far as the sandbox is concerned: no sample is zero."""
    return Random(seed).randbytes(round(secs * rate) * 2).replace(b"\0", b"\1")


def interaction(conversation_id: str, event_type: str, properties: Any = None) -> dict[str, Any]:
    """A message to Tavus."""
    message: dict[str, Any] = {
        "message_type": "conversation",
        "event_type": event_type,
        "conversation_id": conversation_id,
    }
    return message if properties is None else {**message, "properties": properties}


def echo(
    conversation_id: str, pcm: bytes, inference_id: str, *, rate: int = RATE, done: bool = False
) -> dict[str, Any]:
    """A chunk of an utterance, as Pipecat sends it to Tavus."""
    properties = {
        "modality": "audio",
        "audio": base64.b64encode(pcm).decode(),
        "sample_rate": rate,
        "inference_id": inference_id,
        "done": done,
    }
    return interaction(conversation_id, "conversation.echo", properties)


def audio(pcm: bytes, destination: str | None = "stream") -> OutputAudioRawFrame:
    frame = OutputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1)
    frame.transport_destination = destination
    return frame


def setup() -> FrameProcessorSetup:
    loop = asyncio.get_running_loop()
    return FrameProcessorSetup(
        clock=SystemClock(),
        task_manager=TaskManager(loop=loop),
        pipeline_worker=None,
        audio_in_sample_rate=16000,
        audio_out_sample_rate=RATE,
    )


def bot_for(url: str, *, token: str | None = None, join_timeout: float = 8.0, **params: Any) -> Bot:
    params = {"audio_in_enabled": True, "audio_out_enabled": True} | params
    params.setdefault("microphone_out_enabled", False)
    listener = Listener()
    config = RoomConfig(
        url=url,
        token=token,
        bot_name="Bot",
        params=DailyParams(**params),
        listener=listener,
        join_timeout=join_timeout,
    )
    return Bot(SandboxRoom(config), listener)


@asynccontextmanager
async def joined(url: str, **options: Any) -> AsyncIterator[Bot]:
    bot = bot_for(url, **options)
    await bot.room.setup(setup())
    await bot.room.join()
    try:
        yield bot
    finally:
        await bot.room.leave()
        await bot.room.cleanup()


class Api:
    """Plain HTTP against the sandbox."""

    def __init__(self, sandbox: TavusSandbox, session: aiohttp.ClientSession):
        self.sandbox = sandbox
        self.session = session
        self.key = sandbox.api_key

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Gives the status and the JSON or text of the answer."""
        async with self.session.request(
            method,
            self.sandbox.api_url + path,
            json=body,
            headers={"x-api-key": self.key},
            **options,
        ) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def create(self, **body: Any) -> dict[str, Any]:
        status, answer = await self(
            "POST", "/conversations", {"persona_id": "pipecat-stream", "replica_id": "r1", **body}
        )
        assert status == 200, answer
        return answer


@asynccontextmanager
async def sandbox_and_api(**options: Any) -> AsyncIterator[tuple[TavusSandbox, Api]]:
    async with TavusSandbox(**options) as sandbox, aiohttp.ClientSession() as session:
        yield sandbox, Api(sandbox, session)


@asynccontextmanager
async def call(
    replica: ReplicaSettings | None = None, persona_id: str = "pipecat0", **options: Any
) -> AsyncIterator[tuple[TavusSandbox, Bot, SandboxPerson, str]]:
    """The sandbox, a bot and a person who are in a room with the replica, and whose room it is."""
    replica = replica or ReplicaSettings(join_delay=0.0, rendering_delay=0.1)
    async with sandbox_and_api(replica=replica, **options) as (sandbox, api):
        made = await api.create(persona_id=persona_id)
        id = made["conversation_id"]
        async with joined(made["conversation_url"]) as bot:
            await bot.meet_replica()
            yield sandbox, bot, await sandbox.join_person(id), id


async def send_utterance(
    bot: Bot, conversation_id: str, pcm: bytes, inference_id: str, **options: Any
) -> None:
    """Send 100 ms chunks, the last of which is done unless ``done=False``, with a ``pause``."""
    size = RATE // 10 * 2
    for at in range(0, len(pcm), size):
        last = at + size >= len(pcm) and options.get("done", True)
        await bot.send(echo(conversation_id, pcm[at : at + size], inference_id, done=last))
        await asyncio.sleep(options.get("pause", 0.0))
