#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The events of the replica: their forms, their numbers, their disorder."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_tavus.sandbox import ReplicaSettings
from pipecat_tavus.sandbox.announcer import Announcer

END = {"duration": 1.0, "interrupted": False}


class Told:
    """An announcer, what it has sent, and the clock that it reads."""

    def __init__(self, **settings):
        self.now = 100.0
        self.sent = []
        numbers = count(1)
        self.announcer = Announcer(
            "c1",
            ReplicaSettings(**settings),
            next_seq=lambda: next(numbers),
            clock=lambda: self.now,
            unix_clock=lambda: 5.0,
            send=self.sent.append,
            transcript=[],
        )

    @property
    def kinds(self):
        return [(e["event_type"], e.get("properties")) for e in self.sent]

    @property
    def seqs(self):
        return [e["seq"] for e in self.sent]


OLD = [
    ("conversation.replica.started_speaking", None),
    ("conversation.replica.stopped_speaking", END),
    ("conversation.user.started_speaking", None),
]
NEW = [
    ("conversation.started_speaking", {"role": "replica"}),
    ("conversation.stopped_speaking", {"role": "replica", **END}),
    ("conversation.started_speaking", {"role": "user"}),
]


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ("old", OLD),
        ("new", NEW),
        ("both", [event for pair in zip(OLD, NEW, strict=True) for event in pair]),
        ("none", []),
    ],
)
def test_speaking_is_told_in_the_form_that_is_asked_for(form, kinds):
    told = Told(events=form)
    told.announcer.speaking("replica", "started_speaking", {}, "i1")
    told.announcer.speaking("replica", "stopped_speaking", END, "i1")
    told.announcer.speaking("user", "started_speaking", {})
    assert told.kinds == kinds
    assert told.seqs == list(range(1, len(kinds) + 1))


def test_an_event_has_tavuss_envelope():
    told = Told()
    told.announcer.speaking("replica", "started_speaking", {}, "i1")
    told.announcer.system("system.replica_joined")
    assert told.sent == [
        {
            "message_type": "conversation",
            "event_type": "conversation.replica.started_speaking",
            "conversation_id": "c1",
            "seq": 1,
            "timestamp": 5.0,
            "inference_id": "i1",
        },
        {
            "message_type": "system",
            "event_type": "system.replica_joined",
            "conversation_id": "c1",
            "seq": 2,
            "timestamp": 5.0,
        },
    ]


def test_the_replica_can_be_a_pal_and_the_user_stays_the_user():
    told = Told(events="new", role_name="pal")
    told.announcer.speaking("replica", "started_speaking", {}, "i1")
    told.announcer.speaking("user", "started_speaking", {})
    told.announcer.utterance("replica", "Hi", "i1")
    told.announcer.words(0, "Hi", "i1", final=False, interrupted=False)
    assert [e["properties"]["role"] for e in told.sent] == ["pal", "user", "pal", "pal"]


def test_other_events_are_told_whole():
    told = Told()
    told.announcer.other("conversation.tool_call", {"name": "x"}, "i1")
    told.announcer.other("system.replica_present", {"attempt": 1})
    assert told.kinds == [
        ("conversation.tool_call", {"name": "x"}),
        ("system.replica_present", {"attempt": 1}),
    ]
    assert [e["message_type"] for e in told.sent] == ["conversation", "system"]


def test_in_disorder_neighbours_are_swapped_and_told_twice():
    told = Told(disorder=True, events="both")
    told.announcer.speaking("replica", "started_speaking", {}, "i1")
    assert told.seqs == [2, 1, 2, 1]
    assert told.announcer.due is None


def test_in_disorder_an_event_without_a_neighbour_does_not_wait_long():
    told = Told(disorder=True)
    told.announcer.system("system.replica_joined")
    told.announcer.step(told.now)
    assert told.sent == []
    assert 100.0 < told.announcer.due < 100.5
    told.announcer.step(told.announcer.due)
    assert told.seqs == [1, 1]
    told.announcer.system("system.shutdown")
    told.announcer.flush()
    told.announcer.flush()
    assert told.seqs == [1, 1, 2, 2]


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=20))
def test_in_disorder_every_event_is_told_twice_with_its_number(waits):
    told = Told(disorder=True)
    for wait in waits:
        told.announcer.system("system.replica_present")
        if wait and told.announcer.due is not None:
            told.now = told.announcer.due
            told.announcer.step(told.now)
    told.announcer.flush()
    assert sorted(told.seqs) == sorted([*range(1, len(waits) + 1)] * 2)
