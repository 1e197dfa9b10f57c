#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Schedules and the playout buffer."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.sandbox.playout import Playhead, PlayoutBuffer

RATE = 8000
PCM = st.binary(max_size=400).map(lambda pcm: pcm[: len(pcm) // 2 * 2])


@given(
    st.lists(
        st.tuples(st.just("push"), PCM, st.floats(0, 2), st.sampled_from([8000, 16000]))
        | st.tuples(st.just("pull"), st.integers(1, 100).map(lambda n: 2 * n)),
        max_size=40,
    )
)
def test_the_buffer_loses_and_invents_no_sample(steps):
    buffer, now, pushed, pulled = PlayoutBuffer(0.2), 0.0, b"", b""
    for what, *args in steps:
        if what == "push":
            pcm, later, rate = args
            now += later
            buffer.push(pcm, rate, now)
            pushed += pcm
        else:
            piece = buffer.pull(args[0])
            assert len(piece) <= args[0]
            pulled += piece
        assert len(buffer) == len(pushed) - len(pulled)
        assert (buffer.due is None) == (buffer.rate == 0) == (len(buffer) == 0)
    while buffer.due is not None:
        pulled += buffer.pull(160)
    assert pulled == pushed
    assert buffer.pull(160) == b""


@given(st.lists(st.tuples(PCM, st.floats(0, 1)), max_size=20))
def test_samples_are_due_one_after_the_other_and_never_before_their_delay(pushes):
    buffer, now, dues = PlayoutBuffer(0.2, tolerance=0.06), 0.0, []
    for pcm, later in pushes:
        now += later
        buffer.push(pcm, RATE, now)
        if pcm and len(buffer) == len(pcm):
            assert buffer.due >= now + 0.2 - 0.06 - 1e-9
    while (due := buffer.due) is not None:
        dues.append((due, buffer.pull(160)))
    for (due, pcm), (next_due, _) in pairwise(dues):
        assert next_due >= due + len(pcm) / 2 / RATE - 1e-9


@given(PCM, PCM)
def test_a_cleared_buffer_plays_nothing_of_before(before, after):
    buffer = PlayoutBuffer()
    buffer.push(before, RATE, 0.0)
    assert buffer.clear() == len(before)
    assert buffer.due is None
    buffer.push(after, RATE, 5.0)
    assert buffer.due == (5.0 if after else None)
    assert buffer.pull(1000) == after


def test_a_pause_of_the_speaker_is_a_pause_of_the_replica():
    buffer = PlayoutBuffer(0.2)
    buffer.push(bytes(320), RATE, 1.0)
    buffer.push(bytes(320), RATE, 2.0)
    assert buffer.due == 1.2
    assert len(buffer.pull(640)) == 320
    assert buffer.due == 2.2


def test_jitter_of_the_network_is_not_heard():
    buffer = PlayoutBuffer(0.2)
    for now in (1.0, 1.035, 1.04, 1.09):
        buffer.push(bytes(320), RATE, now)
    assert len(buffer.pull(4 * 320)) == 4 * 320


def test_a_steady_writer_never_drifts():
    playhead = Playhead(tolerance=0.04)
    starts = [playhead.book(i * 0.02 + 0.0137 * (i % 3), 0.02) for i in range(1000)]
    assert all(abs(start - i * 0.02) < 1e-6 for i, start in enumerate(starts))


def test_a_writer_who_is_ahead_is_queued_and_one_who_is_late_begins_anew():
    playhead = Playhead(tolerance=0.04)
    assert [playhead.book(1.0, 0.5) for _ in range(3)] == [1.0, 1.5, 2.0]
    assert playhead.next(2.4) == 2.5
    assert playhead.book(2.6, 0.5) == 2.6
    playhead.clear()
    assert playhead.book(2.7, 0.5) == 2.7
