#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Speech to text with no network: PocketSphinx, in a process of its own."""

import asyncio
import json
import struct
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.audio.utils import create_file_resampler
from pipecat.frames.frames import ErrorFrame, Frame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from .sphinx_process import SAMPLE_RATE

START_TIMEOUT = 10.0
STOP_TIMEOUT = 2.0


class RecognizerError(Exception):
    """The recognizer could not be started, or failed."""


class Recognizer:
    """PocketSphinx in a child process; started again after it failed."""

    def __init__(self, *, timeout: float):
        """Initialize the recognizer. Starts nothing yet.

        Args:
            timeout: Limit for recognizing one utterance, in seconds.
        """
        self._timeout = timeout
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until the model is loaded. Harmless when running.

        Raises:
            RecognizerError: It did not start, in words that say why.
        """
        if self._process is not None:
            return
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("sphinx_process.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await self._answer(START_TIMEOUT)

    async def recognize(self, pcm: bytes) -> str:
        """Recognize one utterance.

        Args:
            pcm: Mono PCM16 at 16 kHz.

        Returns:
            The words, or an empty string where none were heard.

        Raises:
            RecognizerError: Nothing was recognized in time, or the process failed.
        """
        await self.start()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(struct.pack("<I", len(pcm)) + pcm)
        return (await self._answer(self._timeout))["text"]

    async def stop(self) -> None:
        """End the process. Harmless when repeated."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except BaseException:
            process.kill()
            await process.wait()
            raise

    async def _answer(self, timeout: float) -> dict[str, Any]:
        """Read one line. Whatever goes wrong, no answer is left over for the next question."""
        assert self._process is not None and self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout)
            answer = json.loads(line) if line else {"error": "the recognizer's process died"}
            if "error" in answer:
                raise RecognizerError(answer["error"])
            return answer
        except BaseException as e:
            process, self._process = self._process, None
            if process.returncode is None:
                process.kill()
            await process.wait()
            if isinstance(e, TimeoutError):
                raise RecognizerError(f"no answer within {timeout:g} s") from e
            raise


class PocketSphinxSTTService(SegmentedSTTService):
    """Recognizes English with PocketSphinx and the language model in its wheel.

    Takes what the voice activity detector cuts out, one segment at a time. The process that
    does it is started in ``setup()``, so it is ready before the first word.
    """

    def __init__(self, *, timeout: float = 15.0, **kwargs: Any):
        """Initialize the service.

        Args:
            timeout: Limit for recognizing one segment, in seconds.
            **kwargs: Arguments of the base class.
        """
        # From the end of speech to the transcript, measured: 0.8 s for three seconds of it,
        # twice that on a busy machine with two cores.
        kwargs.setdefault("ttfs_p99_latency", 2.0)
        super().__init__(
            settings=STTSettings(model="en-us", language=Language.EN),
            **kwargs,
        )
        self._recognizer = Recognizer(timeout=timeout)
        self._resampler = create_file_resampler()

    @property
    def wants_wav_segments(self) -> bool:
        """No: raw PCM."""
        return False

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: yes."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set up the service and start the recognizer.

        Args:
            setup: The pipeline's setup.

        Raises:
            RecognizerError: The recognizer did not start.
        """
        await super().setup(setup)
        await self._recognizer.start()

    async def cleanup(self) -> None:
        """End the recognizer."""
        await super().cleanup()
        await self._recognizer.stop()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Recognize one segment.

        Args:
            audio: Mono PCM16 at the pipeline's rate.

        Yields:
            A transcription, or an error. Nothing where no words were heard.
        """
        await self.start_processing_metrics()
        try:
            pcm = await self._resampler.resample(audio, self.sample_rate, SAMPLE_RATE)
            text = await self._recognizer.recognize(pcm)
        except Exception as e:
            yield ErrorFrame(error=f"{self}: speech was not recognized: {e}", exception=e)
            return
        finally:
            await self.stop_processing_metrics()
        logger.debug(f"{self}: heard [{text}]")
        if text:
            yield TranscriptionFrame(text, self._user_id, time_now_iso8601(), Language.EN)
