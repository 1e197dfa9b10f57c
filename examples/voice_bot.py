#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "pipecat-tavus",
#     "pipecat-ai[silero]>=1.12",
#     "pocketsphinx>=5.1",
#     "espeakng-loader>=0.2.4",
# ]
#
# [tool.uv.sources]
# pipecat-tavus = { path = "..", editable = true }
# ///

"""A voice bot with a face: hears a person, answers, and speaks through a Tavus replica.

With no account (a scripted person talks to it, in a Tavus played on this machine)::

    uv run examples/voice_bot.py

It speaks on the audio track ``stream``; with ``--echo`` in ``conversation.echo`` messages,
which Tavus's persona ``pipecat0`` speaks.

With an account: set ``TAVUS_API_KEY`` and ``TAVUS_REPLICA_ID``, run it, and open the URL that it
prints. It uses Deepgram, OpenAI and Cartesia where ``DEEPGRAM_API_KEY``, ``OPENAI_API_KEY``
and ``CARTESIA_API_KEY`` with ``CARTESIA_VOICE_ID`` are set, each with Pipecat's extra for it::

    uv run --with "pipecat-ai[deepgram,openai,cartesia]" examples/voice_bot.py
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from offline.answering import RuleBasedLLMService
from offline.demo import play
from offline.hearing import PocketSphinxSTTService
from offline.speaking import EspeakTTSService
from offline.stage import log_warnings
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import TavusConfigError, TavusParams, TavusTransport

INSTRUCTION = (
    "You are a friendly person in a video call. Answer in one or two short sentences, "
    "in words that can be spoken: no lists, no symbols."
)


Services = tuple[STTService, LLMService, TTSService]


def make_bot(
    transport: BaseTransport,
    services: Services,
    *,
    before: Sequence[FrameProcessor] = (),
    behind: Sequence[FrameProcessor] = (),
    observers: Sequence[BaseObserver] = (),
) -> tuple[PipelineWorker, LLMContextAggregatorPair]:
    """The bot, with what else shall stand before or behind its output, or observe it."""
    stt, llm, tts = services
    context = LLMContext()
    aggregators = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(),
            user_turn_strategies=UserTurnStrategies(
                stop=[TurnAnalyzerUserTurnStopStrategy(turn_analyzer=LocalSmartTurnAnalyzerV3())]
            ),
        ),
    )
    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),  # what the person says
                stt,
                aggregators.user(),
                llm,
                tts,
                *before,
                transport.output(),  # what the replica says
                *behind,
                aggregators.assistant(),
            ]
        ),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
        observers=list(observers),
        processor_unusable_policy=ProcessorUnusablePolicy.CANCEL,
    )

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport: BaseTransport, _participant: Any) -> None:
        context.add_message({"role": "developer", "content": "Greet the person."})
        await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: BaseTransport, _participant: Any) -> None:
        await worker.cancel()

    return worker, aggregators


async def run_bot(worker: PipelineWorker) -> None:
    """Be the bot, until the person leaves."""
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


def offline_services() -> Services:
    """Speech to text, answerer and text to speech that need no network."""
    return PocketSphinxSTTService(), RuleBasedLLMService(), EspeakTTSService()


def services() -> Services:
    """The same from the cloud, each where its key is set."""
    stt, llm, tts = offline_services()
    if key := os.getenv("DEEPGRAM_API_KEY"):
        stt = cloud("deepgram", "stt", "DeepgramSTTService")(api_key=key)
    if key := os.getenv("OPENAI_API_KEY"):
        openai = cloud("openai", "llm", "OpenAILLMService")
        llm = openai(api_key=key, settings=openai.Settings(system_instruction=INSTRUCTION))
    key, voice = os.getenv("CARTESIA_API_KEY"), os.getenv("CARTESIA_VOICE_ID")
    if key and voice:
        cartesia = cloud("cartesia", "tts", "CartesiaTTSService")
        tts = cartesia(api_key=key, settings=cartesia.Settings(voice=voice))
    elif key:
        sys.exit("CARTESIA_API_KEY is set, but not CARTESIA_VOICE_ID: which voice shall it be?")
    return stt, llm, tts


def cloud(extra: str, kind: str, name: str) -> Any:
    """One of Pipecat's services, which each have an extra of their own."""
    try:
        return getattr(import_module(f"pipecat.services.{extra}.{kind}"), name)
    except ImportError as e:
        sys.exit(
            f"The key for {name} is set, but Pipecat's extra for it is not installed ({e}). Try\n"
            f'  uv run --with "pipecat-ai[{extra}]" examples/voice_bot.py'
        )


async def run_with_tavus(transport: TavusTransport, bot: Callable[..., Awaitable[None]]) -> int:
    """Run a bot on Tavus: open the URL that it prints to talk with it."""
    failures: list[Exception] = []

    @transport.event_handler("on_conversation_created")
    async def on_conversation_created(_transport: TavusTransport, conversation: Any) -> None:
        print(f"Talk with the bot at {conversation.url}", flush=True)

    @transport.event_handler("on_error")
    async def on_error(_transport: TavusTransport, error: Exception) -> None:
        failures.append(error)

    await bot(transport, services())
    for error in failures:
        print(error, file=sys.stderr)
    return 1 if failures else 0


def command_line(description: str) -> argparse.ArgumentParser:
    """The command line that all examples have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--echo",
        dest="persona",
        action="store_const",
        const="pipecat0",
        default="pipecat-stream",
        help="speak in conversation.echo messages instead of on an audio track",
    )
    parser.add_argument("--verbose", action="store_true", help="log everything")
    return parser


def run(
    arguments: argparse.Namespace,
    bot: Callable[..., Awaitable[None]],
    play: Callable[[Callable[..., Awaitable[None]]], Awaitable[int]],
    params: TavusParams | None = None,
) -> int:
    """Run a bot on Tavus where there is a key for it, else in the sandbox.

    Args:
        arguments: The command line.
        bot: Is the bot, until the person leaves.
        play: Plays a call in the sandbox, with a bot that has its transport and services.
        params: The transport's parameters.

    Returns:
        The exit status.
    """

    def new_transport() -> TavusTransport:
        return TavusTransport(bot_name="Voice bot", persona_id=arguments.persona, params=params)

    async def choose() -> int:
        if os.getenv("TAVUS_API_KEY"):
            return await run_with_tavus(new_transport(), bot)
        return await play(lambda *more: bot(new_transport(), offline_services(), *more))

    log_warnings(verbose=arguments.verbose)
    sys.stdout.reconfigure(errors="replace")  # signs that the terminal does not have
    try:
        return asyncio.run(choose())
    except TavusConfigError as e:
        sys.exit(str(e))


def main() -> int:
    """Run from the command line.

    Returns:
        The exit status.
    """
    parser = command_line("A voice bot with a face.")
    parser.add_argument(
        "--wav",
        type=Path,
        default=Path("voice_bot.call.wav"),
        help="where the sandbox's call is recorded (default: %(default)s)",
    )
    arguments = parser.parse_args()

    async def bot(transport: TavusTransport, services: Services, *observers: BaseObserver) -> None:
        worker, _ = make_bot(transport, services, observers=observers)
        await run_bot(worker)

    return run(arguments, bot, lambda bot: play(bot, arguments.wav))


if __name__ == "__main__":
    sys.exit(main())
