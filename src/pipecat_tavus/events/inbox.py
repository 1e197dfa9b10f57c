#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Which of Tavus's events is news, and which a repeat or late.

Source: Tavus's interactions protocol. ``seq`` grows with each event, and messages can arrive
out of order. The same event is told in several forms, each with a ``seq`` of its own: the
speaking events with and without the role in their type, and those of the replica twice, with
the roles ``pal`` and ``replica``.
"""

from collections.abc import Hashable
from typing import NamedTuple, TypeVar

from pipecat_tavus.events.events import (
    EventBase,
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    UtteranceEvent,
)

Event = TypeVar("Event", bound=EventBase)

SEQS_REMEMBERED = 1024
"""So many of the events taken last are known again."""

STATES_REMEMBERED = 64
"""Of so many things, such as utterances, it is known what is the newest."""


class _State(NamedTuple):
    """What is known of one thing: the highest number, and what was told last."""

    seq: int | None
    newest: EventBase


class Inbox:
    """Takes events as they come. Its memory is bounded.

    An event without ``seq`` is always news.
    """

    def __init__(self) -> None:
        """Initialize an inbox that has taken nothing."""
        self._seqs: dict[int, None] = {}
        self._states: dict[Hashable, _State] = {}

    def take(self, event: Event) -> Event | None:
        """Take an event.

        Args:
            event: The event.

        Returns:
            The event, ``late`` if a newer one about the same thing was taken before; None
            where it is a repeat.
        """
        if event.seq is not None:
            if event.seq in self._seqs:
                return None
            self._seqs[event.seq] = None
            if len(self._seqs) > SEQS_REMEMBERED:
                del self._seqs[next(iter(self._seqs))]
        about = _about(event)
        if about is None:
            return event
        state = self._states.get(about)
        if state and _is_twin(event, state.newest):
            self._states[about] = _State(_later(event.seq, state.seq), state.newest)
            return None
        if state and _is_before(event, state):
            return event.model_copy(update={"late": True})
        # At the end, so that what is forgotten is what nothing was told of for longest.
        self._states.pop(about, None)
        self._states[about] = _State(_later(event.seq, state.seq if state else None), event)
        if len(self._states) > STATES_REMEMBERED:
            del self._states[next(iter(self._states))]
        return event


def _about(event: EventBase) -> Hashable | None:
    """The thing that an event is about, if it is one that changes."""
    match event:
        case StartedSpeakingEvent() | StoppedSpeakingEvent():
            return "speaking", event.role
        case StreamingUtteranceEvent():
            return "spoken", event.role, event.inference_id
        case UtteranceEvent():
            return "said", event.role
        case ShutdownEvent():
            return "shutdown"
        case _:
            return None


def _is_twin(event: EventBase, newest: EventBase) -> bool:
    """Whether an event says in another form what was told last."""
    if event.seq is None or newest.seq is None:
        return False
    one, other = event.inference_id, newest.inference_id
    match event, newest:
        case (StartedSpeakingEvent(), StartedSpeakingEvent()) | (
            StoppedSpeakingEvent(),
            StoppedSpeakingEvent(),
        ):
            # Nobody starts twice. Not each form has the id.
            return one == other or one is None or other is None
        case StreamingUtteranceEvent(), StreamingUtteranceEvent():
            same = (event.content_index, event.speech, event.final) == (
                newest.content_index,
                newest.speech,
                newest.final,
            )
            return same and one is not None
        case UtteranceEvent(), UtteranceEvent():
            return one is not None and one == other and event.speech == newest.speech
        case _:
            return False


def _is_before(event: EventBase, state: _State) -> bool:
    """Whether an event was sent before the newest about the same thing."""
    if isinstance(event, UtteranceEvent):
        # Each stands for itself.
        return False
    if event.seq is not None and state.seq is not None:
        return event.seq < state.seq
    match event, state.newest:
        case (
            StreamingUtteranceEvent(inference_id=str(), content_index=int(index)),
            StreamingUtteranceEvent(content_index=int(newest)),
        ):
            # Counted from 0 in each utterance, "to maintain correct ordering".
            return index < newest
        case _:
            return False


def _later(one: int | None, other: int | None) -> int | None:
    return max((seq for seq in (one, other) if seq is not None), default=None)
