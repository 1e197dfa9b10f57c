#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Text to speech with no network: eSpeak NG, in a thread."""

import asyncio
import ctypes
import re
import threading
import time
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any, NamedTuple

from pipecat.audio.utils import create_file_resampler
from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

CHUNK_SECS = 0.1

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE = 1
_OK = 0
_EVENT_LIST_TERMINATED = 0
_EVENT_WORD = 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1 on
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # in milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Spoken(NamedTuple):
    """A text as speech.

    Parameters:
        pcm: Mono PCM16 at :attr:`Espeak.sample_rate`.
        words: Its words with their punctuation, each with the second when it begins.
    """

    pcm: bytes
    words: list[tuple[str, float]]


class EspeakError(Exception):
    """eSpeak could not be loaded, or did not speak."""


class Espeak:
    """The shared library. It has one state for the whole process, hence :func:`espeak`."""

    def __init__(self) -> None:
        """Load the library and its data.

        Raises:
            EspeakError: It could not be loaded.
        """
        try:
            import espeakng_loader

            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError, RuntimeError) as e:
            raise EspeakError(f"eSpeak could not be loaded: {e}") from e
        self.sample_rate: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, data.encode(), _INITIALIZE_DONT_EXIT
        )
        if self.sample_rate <= 0:
            raise EspeakError(f"eSpeak did not accept its data in {data}")
        self._lock = threading.Lock()
        self._pcm = bytearray()
        self._starts: dict[int, float] = {}
        self._deadline = 0.0
        # Kept in an attribute: the library holds a bare pointer to it.
        self._callback = _SynthCallback(self._on_audio)
        self._library.espeak_SetSynthCallback(self._callback)

    def _on_audio(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        for event in events or ():
            if event.type == _EVENT_LIST_TERMINATED:
                break
            if event.type == _EVENT_WORD:
                self._starts[event.text_position - 1] = event.audio_position / 1000
        return int(time.monotonic() > self._deadline)  # 1 stops the synthesis.

    def speak(self, text: str, *, voice: str, words_per_minute: int, timeout: float) -> Spoken:
        """Synthesize. Blocks, at about 500 times the speed of speech.

        Args:
            text: What to say.
            voice: The voice's name, such as ``en`` or ``en-us``.
            words_per_minute: How fast, 80 to 450.
            timeout: Limit in seconds.

        Returns:
            The speech.

        Raises:
            EspeakError: There is no such voice, or no speech came of it in time.
        """
        with self._lock:
            # An unknown voice would otherwise silently be spoken with the last one.
            if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
                raise EspeakError(f"eSpeak has no voice {voice!r}")
            self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
            self._pcm, self._starts = bytearray(), {}
            self._deadline = time.monotonic() + timeout
            encoded = text.encode()
            status = self._library.espeak_Synth(
                encoded, len(encoded) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
            )
            if status != _OK:
                raise EspeakError(f"eSpeak did not speak (status {status})")
            if time.monotonic() > self._deadline:
                raise EspeakError(f"eSpeak did not finish within {timeout:g} s")
            return Spoken(bytes(self._pcm), self._words(text))

    def _words(self, text: str) -> list[tuple[str, float]]:
        words: list[tuple[str, float]] = []
        begins = 0.0
        for word in re.finditer(r"\S+", text):
            # What eSpeak takes for no word of its own comes with the one before.
            begins = min(
                (at for n, at in self._starts.items() if n in range(*word.span())), default=begins
            )
            words.append((word[0], begins))
        return words


@cache
def espeak() -> Espeak:
    """The one eSpeak of this process, loaded at the first call."""
    return Espeak()


class EspeakTTSService(TTSService):
    """Speaks with eSpeak NG. A robot's voice, but an instant one.

    eSpeak NG is licensed under the GPL 3: fine for trying things out, to be replaced in what
    you ship.
    """

    def __init__(
        self,
        *,
        voice: str = "en",
        words_per_minute: int = 185,
        timeout: float = 10.0,
        **kwargs: Any,
    ):
        """Initialize the service.

        Args:
            voice: eSpeak's name of the voice.
            words_per_minute: How fast it speaks, 80 to 450.
            timeout: Limit for synthesizing one sentence, in seconds.
            **kwargs: Arguments of the base class.
        """
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            push_text_frames=False,  # each word at its time instead
            settings=TTSSettings(model=None, voice=voice, language=None),
            **kwargs,
        )
        self._words_per_minute = words_per_minute
        self._timeout = timeout
        self._resampler = create_file_resampler()
        self._turn, self._spoken_secs = "", 0.0

    def can_generate_metrics(self) -> bool:
        """Whether the service measures itself: yes."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Set up the service and load eSpeak.

        Args:
            setup: The pipeline's setup.

        Raises:
            EspeakError: eSpeak could not be loaded.
        """
        await super().setup(setup)
        await asyncio.to_thread(espeak)

    async def on_audio_context_completed(self, context_id: str) -> None:
        """Time what comes next of this turn, after a long pause, from its own beginning.

        Args:
            context_id: The turn.
        """
        self._turn = ""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Say one sentence.

        Args:
            text: The sentence.
            context_id: Which turn it belongs to.

        Yields:
            Its audio at the pipeline's rate, or an error. Its words are timed beside it.
        """
        try:
            await self.start_tts_usage_metrics(text)
            voice = espeak()
            spoken = await asyncio.to_thread(
                voice.speak,
                text,
                voice=str(self._settings.voice),
                words_per_minute=self._words_per_minute,
                timeout=self._timeout,
            )
            pcm = await self._resampler.resample(spoken.pcm, voice.sample_rate, self.sample_rate)
        except Exception as e:
            yield ErrorFrame(error=f"{self}: [{text}] was not spoken: {e}", exception=e)
            return
        finally:
            await self.stop_ttfb_metrics()
        if context_id != self._turn:
            self._turn, self._spoken_secs = context_id, 0.0
        times = [(word, self._spoken_secs + at) for word, at in spoken.words]
        await self.add_word_timestamps(times, context_id)
        self._spoken_secs += len(pcm) / 2 / self.sample_rate
        chunk = int(self.sample_rate * CHUNK_SECS) * 2
        for start in range(0, len(pcm), chunk):
            yield TTSAudioRawFrame(
                pcm[start : start + chunk], self.sample_rate, 1, context_id=context_id
            )
