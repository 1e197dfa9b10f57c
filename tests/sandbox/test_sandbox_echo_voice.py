#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice that speaks echoed utterances."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_tavus.sandbox.echo_voice import CHUNK_WAIT_SECS, EchoVoice, RefusedChunk
from pipecat_tavus.sandbox.voice import Began, Ended, Sound

RATE = 1000
"""One sample a millisecond."""
TONE = b"\1\0" * 100
ZEROS = bytes(200)


def run(voice, until, now=0.0):
    """Let time pass up to a time, as the replica does; gives what has happened."""
    happened = []
    while (due := voice.due) is not None and due <= until:
        now = max(now, due)
        happened += voice.step(now)
    return happened + voice.step(until)


def sound(happened):
    return b"".join(h.pcm for h in happened if isinstance(h, Sound))


def edges(happened):
    return [h for h in happened if not isinstance(h, Sound)]


def test_an_utterance_begins_after_the_delay_and_ends_with_its_sound():
    voice = EchoVoice(0.2)
    voice.push("a", ZEROS + TONE * 3 + ZEROS, RATE, 1.0, done=True, text="Hi")
    assert run(voice, 1.199) == []
    happened = run(voice, 9.0)
    assert edges(happened) == [
        Began(pytest.approx(1.3), "a", "Hi"),
        Ended(pytest.approx(1.6), "a", pytest.approx(0.3)),
    ]
    assert sound(happened) == ZEROS + TONE * 3 + ZEROS
    assert happened[-1] != edges(happened)[-1], "the end waited for the silence behind it"
    assert voice.due is None and not voice.speaking


def test_a_pause_within_an_utterance_that_is_not_done_is_no_end():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=False)
    happened = run(voice, 3.0)
    assert [type(h) for h in edges(happened)] == [Began]
    assert voice.speaking
    voice.push("a", TONE, RATE, 3.0, done=True)
    happened = run(voice, 9.0)
    assert edges(happened) == [Ended(pytest.approx(3.3), "a", pytest.approx(2.1))]


def test_chunks_that_come_in_time_have_no_pause_between_them():
    voice, happened = EchoVoice(0.2), []
    for n in range(10):
        at = 1.0 + n * 0.1 + (0.15 if n % 3 else 0.0)
        happened += run(voice, at)
        voice.push("a", TONE, RATE, at, done=n == 9)
    happened += run(voice, 9.0)
    starts = [h.at for h in happened if isinstance(h, Sound)]
    assert starts == pytest.approx([1.2 + 0.02 * n for n in range(50)])


def test_an_utterance_without_another_chunk_ends():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=False)
    assert [type(h) for h in edges(run(voice, 1.0 + CHUNK_WAIT_SECS - 0.01))] == [Began]
    assert edges(run(voice, 1.0 + CHUNK_WAIT_SECS)) == [
        Ended(pytest.approx(1.3), "a", pytest.approx(0.1))
    ]
    with pytest.raises(RefusedChunk, match="5 s"):
        voice.push("a", TONE, RATE, 7.0, done=True)


def test_the_next_utterance_waits_for_the_end_of_the_one_before():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=False)
    voice.push("b", TONE, RATE, 1.0, done=True)
    assert [h.inference_id for h in edges(run(voice, 2.0))] == ["a"]
    voice.push("a", TONE, RATE, 2.0, done=True)
    happened = edges(run(voice, 9.0))
    assert [h.inference_id for h in happened] == ["a", "b", "b"]
    assert [h.at for h in happened] == pytest.approx([2.3, 2.3, 2.4])


def test_an_utterance_that_waited_for_one_which_gave_up_is_not_played_in_the_past():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=False)
    voice.push("b", TONE, RATE, 1.0, done=True)
    happened = edges(run(voice, 9.0))
    assert happened[-2].at == pytest.approx(1.0 + CHUNK_WAIT_SECS)


def test_what_is_done_is_refused_and_so_is_another_rate():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=False)
    with pytest.raises(RefusedChunk, match="sample_rate"):
        voice.push("a", TONE, 2 * RATE, 1.0, done=False)
    voice.push("a", TONE, RATE, 1.0, done=True)
    with pytest.raises(RefusedChunk, match="done"):
        voice.push("a", TONE, RATE, 1.1, done=True)
    assert sound(run(voice, 9.0)) == TONE * 2
    with pytest.raises(RefusedChunk, match="done"):
        voice.push("a", TONE, RATE, 9.0, done=True)


def test_an_interruption_ends_what_sounds_and_drops_what_waits():
    voice = EchoVoice(0.2)
    voice.push("a", TONE * 5, RATE, 1.0, done=False)
    voice.push("b", TONE, RATE, 1.0, done=True)
    run(voice, 1.4)
    ended = voice.interrupt(1.41)
    assert ended == [Ended(1.41, "a", pytest.approx(0.21, abs=0.011), True)]
    assert voice.interrupt(1.41) == [] and voice.due is None
    for id in ("a", "b"):
        with pytest.raises(RefusedChunk, match="interrupted"):
            voice.push(id, TONE, RATE, 1.5, done=True)


def test_an_interruption_before_the_first_sound_is_no_end():
    voice = EchoVoice(0.2)
    voice.push("a", TONE, RATE, 1.0, done=True)
    assert voice.interrupt(1.1) == []
    assert run(voice, 9.0) == []


def test_silence_alone_is_no_speech():
    voice = EchoVoice(0.2)
    voice.push("a", ZEROS, RATE, 1.0, done=True)
    assert edges(run(voice, 9.0)) == []
    assert voice.due is None


CHUNKS = st.tuples(
    st.floats(0, 2),
    st.sampled_from("abc"),
    st.integers(0, 60),
    st.sampled_from([b"\0\0", b"\1\0"]),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(CHUNKS, max_size=20), st.floats(0, 0.5))
def test_every_sample_is_played_once_in_order_and_each_beginning_has_one_end(chunks, delay):
    voice, now, taken, happened = EchoVoice(delay), 0.0, {}, []
    for later, id, samples, sample, done in chunks:
        now += later
        happened += run(voice, now)
        try:
            voice.push(id, sample * samples, RATE, now, done=done)
        except RefusedChunk:
            continue
        taken[id] = taken.get(id, b"") + sample * samples
    happened += run(voice, now + 60, now)
    assert voice.due is None and not voice.speaking
    assert len(sound(happened)) == sum(map(len, taken.values()))
    assert sound(happened) == b"".join(taken.values())
    told = edges(happened)
    for began, ended in zip(told[::2], told[1::2], strict=True):
        assert isinstance(began, Began) and isinstance(ended, Ended)
        assert began.inference_id == ended.inference_id
        assert ended.duration == pytest.approx(ended.at - began.at, abs=1e-6)
    pieces = [h for h in happened if isinstance(h, Sound)]
    for first, second in pairwise(pieces):
        assert second.at >= first.at + len(first.pcm) / 2 / RATE - 1e-9
