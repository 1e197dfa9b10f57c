#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Who is told of speech before the application is: what follows the replica's own events."""

from typing import Protocol

from pipecat_tavus.events.events import (
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
)


class SpeechListener(Protocol):
    """What :meth:`TavusTransportClient.add_speech_listener` takes.

    It is called at once, in the order of arrival, with what is new: neither with repeats nor
    with what came late. Its methods neither block nor raise.
    """

    def on_speaking(self, event: StartedSpeakingEvent | StoppedSpeakingEvent) -> None:
        """The replica or a user has started or stopped speaking."""
        ...

    def on_streaming_utterance(self, event: StreamingUtteranceEvent) -> None:
        """More was really spoken, by the replica or a user."""
        ...

    def on_left(self) -> None:
        """The bot has left the room, or was put out of it: nothing is heard any more."""
        ...
