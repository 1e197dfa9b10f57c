"""A bot, a replica and a person, for both ways of the bot's speech."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from bots import Bot, tone, until
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from pipecat_tavus import TavusParams, TavusTransport
from pipecat_tavus.sandbox import ReplicaSettings, SandboxPerson, TavusSandbox

RATE = 24000
WORD = 0.3
"""Seconds that a word takes."""
PERSONAS = {"track": "pipecat-stream", "echo": "pipecat0"}
both_deliveries = pytest.mark.parametrize("delivery", PERSONAS)


class Speaker(TTSService):
    """Speaks each word for `WORD` seconds, all at once, with the words' times or without."""

    def __init__(self, *, timed: bool):
        super().__init__(
            sample_rate=RATE,
            push_text_frames=not timed,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self._timed = timed

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        words = text.split()
        if self._timed:
            times = [(word, n * WORD) for n, word in enumerate(words)]
            await self.add_word_timestamps(times, context_id)
        for n in range(len(words)):
            yield TTSAudioRawFrame(tone(WORD, RATE, seed=n + 1), RATE, 1, context_id=context_id)


def said(context: LLMContext) -> list[str]:
    return [m["content"] for m in context.messages if m["role"] == "assistant"]


@dataclass
class Scene:
    """Who is there.

    Parameters:
        sandbox: Tavus.
        bot: The bot.
        person: The person.
        id: The conversation.
    """

    sandbox: TavusSandbox
    bot: Bot
    person: SandboxPerson
    id: str

    def told(self, kind) -> list[float]:
        """When the pipeline was told, in the person's time."""
        joined = next(e for e in self.sandbox.room(self.id).events if e.kind == "person").at
        return [at - joined for at, frame in self.bot.spoken.frames if isinstance(frame, kind)]

    def heard(self, what: str) -> list[float]:
        """When the replica's voice started or stopped for the person."""
        return [n.at for n in self.person.notes if n.who == "replica" and n.what == what]

    def messages(self, event_type: str) -> list[dict]:
        """What the bot sent."""
        sent = [m.message for m in self.sandbox.room(self.id).messages]
        return [m for m in sent if m.get("event_type") == event_type]

    async def spoken(self, count: int = 1) -> None:
        """Wait until the bot has stopped speaking so many times."""
        await until(lambda: len(self.told(BotStoppedSpeakingFrame)) >= count, 30)

    async def speaks(self, count: int = 1) -> None:
        await until(lambda: len(self.told(BotStartedSpeakingFrame)) >= count)


@asynccontextmanager
async def scene(monkeypatch, delivery="track", *, replica=None, params=None, metrics=False, **bot):
    """A bot and a person in a room, and the replica as its settings have it."""
    settings = {"join_delay": 0.05, "rendering_delay": 0.25, **(replica or {})}
    async with TavusSandbox(replica=ReplicaSettings(**settings)) as sandbox:
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        transport = TavusTransport(
            bot_name="Ada",
            persona_id=PERSONAS[delivery],
            params=TavusParams(**{"audio_out_end_silence_secs": 0, **(params or {})}),
        )
        pipeline = PipelineParams(enable_metrics=metrics)
        async with Bot(transport, params=pipeline, **bot) as it:
            await it.event("on_connected")
            person = await sandbox.join_person(transport.conversation.id)
            await it.started()
            if "join_delay" not in (replica or {}):
                await it.event("on_replica_joined")
            stage = Scene(sandbox, it, person, transport.conversation.id)
            yield stage
            assert sandbox.refusals(stage.id) == []
