"""The inbox: repeats go, late ones are known as such, and it does not grow."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_tavus.events.events import (
    ShutdownEvent,
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    StreamingUtteranceEvent,
    ToolCallEvent,
    UnknownEvent,
    UtteranceEvent,
)
from pipecat_tavus.events.inbox import SEQS_REMEMBERED, STATES_REMEMBERED, Inbox


def started(seq=None, role="replica", **more):
    return StartedSpeakingEvent(role=role, seq=seq, **more)


def stopped(seq=None, role="replica", **more):
    return StoppedSpeakingEvent(role=role, seq=seq, **more)


def spoken(seq=None, speech="a", *, role="replica", inference_id="i1", **more):
    return StreamingUtteranceEvent(
        role=role, seq=seq, speech=speech, inference_id=inference_id, **more
    )


def taken(*events):
    """What became of each: `new`, `late`, or None."""
    inbox = Inbox()
    news = [inbox.take(event) for event in events]
    return [it and ("late" if it.late else "new") for it in news]


def test_a_repeat_is_dropped_whatever_came_between():
    assert taken(started(1), stopped(2), started(1), stopped(2)) == ["new", "new", None, None]
    assert taken(ToolCallEvent(name="x", seq=1), UnknownEvent(event_type="x", seq=1)) == [
        "new",
        None,
    ]


def test_what_has_no_number_always_passes():
    events = [started(), started(), stopped(), stopped(), UnknownEvent(event_type="x")] * 2
    assert taken(*events) == ["new"] * 10


def test_the_event_itself_comes_out():
    inbox, event = Inbox(), started(1)
    assert inbox.take(event) is event


@pytest.mark.parametrize(
    "events",
    [
        (stopped(2), started(1)),
        (stopped(2, role="user"), started(1, role="user")),
        (spoken(2, "a b"), spoken(1, "a")),
        (ShutdownEvent(seq=2), ShutdownEvent(seq=1)),
        (stopped(5), stopped(), started(1)),
        (started(5), stopped(), started(6, inference_id="b"), stopped(4)),
    ],
)
def test_what_is_older_than_the_newest_of_its_kind_is_late(events):
    *before, last = taken(*events)
    assert before == ["new"] * len(before)
    assert last == "late"


@pytest.mark.parametrize(
    "events",
    [
        (stopped(2), started(1, role="user")),
        (spoken(2), spoken(1, inference_id="i2")),
        (spoken(2), spoken(1, role="user")),
        (stopped(2), spoken(1)),
        (ToolCallEvent(name="x", seq=2), ToolCallEvent(name="x", seq=1)),
        (
            UtteranceEvent(role="user", speech="b", seq=2),
            UtteranceEvent(role="user", speech="a", seq=1),
        ),
    ],
)
def test_what_is_about_something_else_is_not_late(events):
    assert taken(*events) == ["new", "new"]


def test_a_late_event_says_so_and_is_otherwise_what_it_was():
    inbox, event = Inbox(), started(1, raw={"a": 1}, inference_id="i1")
    inbox.take(stopped(2))
    news = inbox.take(event)
    assert news == event.model_copy(update={"late": True})


def test_words_without_a_number_are_in_the_order_of_their_index():
    assert taken(spoken(content_index=1), spoken(content_index=0), spoken(content_index=2)) == [
        "new",
        "late",
        "new",
    ]
    # Of no utterance in particular, they may be of two.
    alone = {"inference_id": None}
    assert taken(spoken(content_index=1, **alone), spoken(content_index=0, **alone)) == [
        "new",
        "new",
    ]
    assert taken(spoken(content_index=1), spoken()) == ["new", "new"]


def test_the_same_told_in_another_form_is_a_repeat_though_its_number_is_new():
    # The old form, the new one for `pal`, and the new one for `replica`.
    assert taken(started(1, inference_id="i"), started(2), started(3, inference_id="i")) == [
        "new",
        None,
        None,
    ]
    assert taken(started(1), stopped(2, duration=1.0), stopped(3), started(4)) == [
        "new",
        "new",
        None,
        "new",
    ]
    assert taken(spoken(1, "a", content_index=0), spoken(2, "a", content_index=0)) == ["new", None]
    said = {"role": "replica", "speech": "Hi", "inference_id": "i"}
    assert taken(UtteranceEvent(**said, seq=1), UtteranceEvent(**said, seq=2)) == ["new", None]


def test_the_number_of_another_form_counts_all_the_same():
    assert taken(started(1), started(9), stopped(5)) == ["new", None, "late"]


def test_what_is_alike_but_not_the_same_is_no_repeat():
    assert taken(started(1, inference_id="i"), started(2, inference_id="j")) == ["new", "new"]
    assert taken(spoken(1, "a"), spoken(2, "a b"), spoken(3, "a b", final=True)) == ["new"] * 3
    alone = {"inference_id": None}
    assert taken(spoken(1, "a", **alone), spoken(2, "a", **alone)) == ["new", "new"]
    said = {"role": "user", "speech": "Yes"}
    assert taken(UtteranceEvent(**said, seq=1), UtteranceEvent(**said, seq=2)) == ["new", "new"]
    assert taken(ToolCallEvent(name="x", seq=1), ToolCallEvent(name="x", seq=2)) == ["new", "new"]
    assert taken(ShutdownEvent(seq=1), ShutdownEvent(seq=2)) == ["new", "new"]


def test_its_memory_is_bounded():
    inbox = Inbox()
    many = SEQS_REMEMBERED + STATES_REMEMBERED + 100
    for seq in range(many):
        assert inbox.take(spoken(seq, inference_id=str(seq)))
    assert len(inbox._seqs) == SEQS_REMEMBERED
    assert len(inbox._states) == STATES_REMEMBERED
    for seq in range(many - SEQS_REMEMBERED, many):
        assert inbox.take(spoken(seq, inference_id=str(seq))) is None


def test_what_is_told_of_stays_known():
    inbox = Inbox()
    inbox.take(started(0))
    for seq in range(1, STATES_REMEMBERED * 3):
        inbox.take(spoken(seq * 2, inference_id=str(seq)))
        inbox.take(stopped(seq * 2 + 1) if seq % 2 else started(seq * 2 + 1))
    assert inbox.take(started(-1)).late


EVENTS = st.lists(
    st.sampled_from([started, stopped]).flatmap(
        lambda make: st.builds(make, role=st.sampled_from(["replica", "user"]))
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.data())
def test_in_any_order_and_however_often_the_last_word_is_the_newest(events, data):
    numbered = [event.model_copy(update={"seq": n}) for n, event in enumerate(events)]
    arriving = data.draw(st.permutations(numbered + numbered))
    inbox, speaking, told = Inbox(), {}, []
    for event in arriving:
        news = inbox.take(event)
        if news:
            told.append(news.seq)
            if not news.late:
                speaking[news.role] = type(news)
    assert len(told) == len(set(told))
    for role in {event.role for event in numbered}:
        last = [event for event in numbered if event.role == role][-1]
        assert speaking[role] is type(last)
