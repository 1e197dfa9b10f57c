#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The process that recognizes speech: PCM16 in on stdin, one JSON line out for each utterance.

Run by :class:`~offline.hearing.PocketSphinxSTTService`, never imported by it: PocketSphinx
holds Python's global lock while it decodes (measured: 0.3 to 0.8 s for a short sentence), so
in the bot's own process it would stop the bot's sound, even in a thread.

An utterance is its length in bytes (4 bytes, little-endian), then mono PCM16 at 16 kHz. The
first line out says ``ready`` or why not. The end of stdin ends the process, so that it cannot
outlive the bot.
"""

import json
import signal
import struct
import sys
from typing import Any

SAMPLE_RATE = 16000


def _tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def _decode(decoder: Any, pcm: bytes) -> str:
    decoder.start_utt()
    # As one full utterance, its level is normalized over all of it. By default it would be
    # carried over from what was said before, and so would what is understood.
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


def main() -> int:
    """Decode until stdin ends.

    Returns:
        The exit status.
    """
    # Ctrl-C goes to the whole terminal; the bot decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from pocketsphinx import Decoder

        decoder = Decoder(samprate=SAMPLE_RATE, cmn="batch", loglevel="FATAL")
    except Exception as e:
        _tell(error=f"{type(e).__name__}: {e}")
        return 1
    _tell(ready=True)

    while length := sys.stdin.buffer.read(4):
        pcm = sys.stdin.buffer.read(struct.unpack("<I", length)[0])
        try:
            text = _decode(decoder, pcm)
        except Exception as e:
            _tell(error=f"{type(e).__name__}: {e}")
            return 1
        _tell(text=text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
