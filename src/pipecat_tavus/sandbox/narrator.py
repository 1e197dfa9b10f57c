#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Tells of the replica's speech while it is heard: where it begins and ends, and its words."""

from collections.abc import Sequence

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.announcer import Announcer
from pipecat_tavus.sandbox.captions import Captions, Words
from pipecat_tavus.sandbox.voice import Began, Ended, Happening, Sound


class Narrator:
    """Turns what happens to the replica's voice into events."""

    def __init__(self, announcer: Announcer, transcripts: Sequence[str], word_secs: float):
        """Initialize a narrator of a silent voice.

        Args:
            announcer: Sends the events.
            transcripts: The texts of the next utterances whose text is not known.
            word_secs: How long a word takes, in seconds of sound.
        """
        self._announcer = announcer
        self._transcripts = list(transcripts)
        self._word_secs = word_secs
        self._captions: Captions | None = None
        self._inference_id = ""

    def expect(self, texts: Sequence[str]) -> None:
        """Hear the texts of utterances to come.

        Args:
            texts: One for each, behind those that are waiting.
        """
        self._transcripts += texts

    def more(self, text: str, inference_id: str) -> None:
        """Hear that more will be said in an utterance.

        Args:
            text: What.
            inference_id: Which; nothing follows where it does not sound yet.
        """
        if self._captions and self._inference_id == inference_id:
            self._captions.extend(text)

    def tell(self, happening: Happening) -> None:
        """Tell of something.

        Args:
            happening: What happens.
        """
        match happening:
            case Began():
                self._begin(happening)
            case Sound() as sound:
                if self._captions:
                    self._tell_words(self._captions.play(pcm16.secs(sound.pcm, sound.rate)))
            case Ended():
                self._end(happening)

    def _begin(self, began: Began) -> None:
        self._inference_id = began.inference_id
        text = began.text
        if text is None and self._transcripts:
            text = self._transcripts.pop(0)
        self._captions = Captions(text, self._word_secs) if text else None
        self._announcer.speaking("replica", "started_speaking", {}, began.inference_id)

    def _end(self, ended: Ended) -> None:
        words = None
        if self._captions:
            words = self._captions.end(interrupted=ended.interrupted)
            self._tell_words(words, final=True, interrupted=ended.interrupted)
        self._captions = None
        details = {"duration": round(ended.duration, 3), "interrupted": ended.interrupted}
        self._announcer.speaking("replica", "stopped_speaking", details, ended.inference_id)
        if words and words.speech:
            self._announcer.utterance("replica", words.speech, ended.inference_id)

    def _tell_words(
        self, words: Words | None, *, final: bool = False, interrupted: bool = False
    ) -> None:
        if words:
            self._announcer.words(
                words.number,
                words.speech,
                self._inference_id,
                final=final,
                interrupted=interrupted,
            )
