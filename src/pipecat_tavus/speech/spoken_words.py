#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The words that the replica has spoken beyond those that the context has got. Pure."""

import re

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


class SpokenWords:
    """What was said of one reply: by the bot's own text, and by the replica's word for it.

    Text of a whole sentence reaches the context when its audio is over. The replica tells
    of the words as it speaks them (``conversation.utterance.streaming``), so an
    interrupted sentence is known as far as it was spoken.
    """

    def __init__(self):
        """Initialize it with nothing said."""
        self._released = 0
        self._parts: list[str] = []

    def released(self, text: str) -> None:
        """Text went to the context.

        Args:
            text: The text.
        """
        self._released += len(_WORD.findall(text))

    def heard(self, speech: str) -> None:
        """The replica has spoken so far.

        Args:
            speech: All that it has spoken, or all since a part that it told of before.
        """
        last = _words(self._parts[-1]) if self._parts else []
        words = _words(speech)
        if words[: len(last)] == last:
            # With what was told before, whose punctuation may be another by now.
            self._parts[-1:] = [speech.strip()]
        elif last[: len(words)] != words:
            self._parts.append(speech.strip())

    def rest(self) -> str:
        """What was spoken and is not in the context yet, or an empty text."""
        text = " ".join(self._parts)
        words = list(_WORD.finditer(text))
        if len(words) <= self._released:
            return ""
        return text[words[self._released].start() :].strip()

    def clear(self) -> None:
        """Another reply begins."""
        self._released = 0
        self._parts.clear()


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
