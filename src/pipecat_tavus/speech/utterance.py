#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""One utterance, cut into chunks: a beginning, and exactly one end. Pure."""

from dataclasses import dataclass, field

_CLOSING_MS = 40
"""How long the silence is that ends an utterance of whole chunks, as Pipecat sends it."""


@dataclass
class Utterance:
    """What the bot says between two silences, for ``conversation.echo`` messages.

    Parameters:
        id: Its inference id.
        sample_rate: In Hz.
        chunk_ms: How long a chunk is.
    """

    id: str
    sample_rate: int
    chunk_ms: int
    _rest: bytearray = field(default_factory=bytearray)

    @property
    def chunk_secs(self) -> float:
        """How long a chunk is, in seconds."""
        return self.chunk_ms / 1000

    def feed(self, pcm: bytes) -> list[bytes]:
        """Take audio.

        Args:
            pcm: Mono PCM16.

        Returns:
            The chunks that are whole with it.
        """
        self._rest += pcm
        size = self._bytes(self.chunk_ms)
        whole = len(self._rest) // size * size
        chunks = [bytes(self._rest[at : at + size]) for at in range(0, whole, size)]
        del self._rest[:whole]
        return chunks

    def end(self) -> bytes:
        """Take what is left, as the last chunk.

        Returns:
            Mono PCM16, silent where all has been taken: the last chunk is never empty.
        """
        rest, self._rest = bytes(self._rest), bytearray()
        return rest or bytes(self._bytes(_CLOSING_MS))

    def _bytes(self, ms: int) -> int:
        return self.sample_rate * ms // 1000 * 2
