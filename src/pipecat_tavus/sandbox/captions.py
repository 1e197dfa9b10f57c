#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Which words of an utterance have been said, by how much of its sound was played: pure."""

from typing import NamedTuple


class Words(NamedTuple):
    """What has been said so far.

    Parameters:
        number: The how manieth telling of it, from 0 on.
        speech: The words.
    """

    number: int
    speech: str


class Captions:
    """The words of one utterance, each of which takes the same time."""

    def __init__(self, text: str, word_secs: float):
        """Initialize the captions of an utterance that begins.

        Args:
            text: All that will be said.
            word_secs: How long a word takes, in seconds of sound.
        """
        self._text = text.split()
        self._word_secs = word_secs
        self._played = 0.0
        self._said = 0
        self._told = 0

    def extend(self, text: str) -> None:
        """More will be said.

        Args:
            text: What.
        """
        self._text += text.split()

    def play(self, secs: float) -> Words | None:
        """Hear some of the sound.

        Args:
            secs: How much, in seconds.

        Returns:
            The words so far, where there are more than before.
        """
        self._played += secs
        # Sums of float frames fall short of a word's end by a hair.
        said = min(len(self._text), int(self._played / self._word_secs + 1e-6))
        if said == self._said:
            return None
        self._said = said
        return self._tell()

    def end(self, *, interrupted: bool) -> Words:
        """The utterance is over.

        Args:
            interrupted: Whether it was cut off; else all has been said.

        Returns:
            The words.
        """
        if not interrupted:
            self._said = len(self._text)
        return self._tell()

    def _tell(self) -> Words:
        self._told += 1
        return Words(self._told - 1, " ".join(self._text[: self._said]))
