#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""How the simulated replica behaves: its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipecat_tavus.sandbox.cameras import MAX_FRAMERATE
from pipecat_tavus.sandbox.face import MIN_HEIGHT, MIN_WIDTH
from pipecat_tavus.sandbox.picture import MAX_HEIGHT, MAX_WIDTH

EventForm = Literal["old", "new", "both", "none"]
RoleName = Literal["replica", "pal"]


@dataclass(frozen=True)
class ReplicaSettings:
    """How the simulated replica behaves.

    Parameters:
        join_delay: Seconds from the conversation's creation to its joining; ``math.inf`` for
            one that never comes.
        rendering_delay: Seconds between the bot's audio and its own. It looks that far ahead.
        user_id: Its user id in the room; by default one that holds ``tavus-replica``, by
            which it is recognised.
        gap: Seconds without audio on the track that end an utterance. Its end is told at the
            end of its sound where ``gap`` is not more than ``rendering_delay``.
        playable_delay: Seconds from its joining until its microphone and camera, which are
            ``loading`` until then, are ``playable``. Nothing that it says before is heard.
        events: The form of the speaking events: ``old`` is
            ``conversation.replica.started_speaking``, ``new`` is
            ``conversation.started_speaking`` with a ``role``.
        role_name: Its role, in the new form and in utterances.
        disorder: Whether each event is sent twice and neighbouring ones are swapped, where
            they are not far from each other; ``seq`` tells the true order.
        transcript: What it is held to be saying in its next utterances, one text for each;
            a single text is for the first. None where no utterances are told. What it speaks
            from text has that text.
        word_secs: Seconds of sound that a word takes.
        face_size: Width and height of its camera's pictures, in pixels, 32x24 to 1280x720.
            There is no camera where the conversation is ``audio_only``.
        framerate: Its camera's pictures per second, at most 60.
    """

    join_delay: float = 0.3
    rendering_delay: float = 0.2
    user_id: str | None = None
    gap: float = 0.2
    playable_delay: float = 0.0
    events: EventForm = "old"
    role_name: RoleName = "replica"
    disorder: bool = False
    transcript: str | Sequence[str] | None = None
    word_secs: float = 0.3
    face_size: tuple[int, int] = (320, 240)
    framerate: float = 25.0

    def __post_init__(self) -> None:
        """Refuse a face that could not be shown."""
        width, height = self.face_size
        if not (MIN_WIDTH <= width <= MAX_WIDTH and MIN_HEIGHT <= height <= MAX_HEIGHT):
            raise ValueError(f"no face is of {width}x{height}: 32x24 to 1280x720 are")
        if not 0 < self.framerate <= MAX_FRAMERATE:
            raise ValueError(f"framerate is more than 0, at most 60, not {self.framerate}")

    @property
    def transcripts(self) -> list[str]:
        """The transcripts of its next utterances, in their order."""
        if self.transcript is None:
            return []
        return [self.transcript] if isinstance(self.transcript, str) else list(self.transcript)
