#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The voice that speaks a track."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_tavus.sandbox.track_voice import TrackVoice
from pipecat_tavus.sandbox.voice import Began, Ended, Sound

RATE = 1000
"""One sample a millisecond."""
TONE = b"\1\0" * 40
ZEROS = bytes(80)
LENGTH = 0.04


def track_voice(delay=0.2, gap=0.2):
    numbers = count(1)
    return TrackVoice(delay, gap, lambda: f"u{next(numbers)}")


def play(voice, pieces, start=1.0, *, noticing=None):
    """Push pieces that follow each other; a number is a pause. Gives what has happened."""
    happened, at = [], start
    for piece in pieces:
        happened += run(voice, at, noticing)
        if isinstance(piece, float):
            at += piece
        else:
            voice.push(piece, RATE, at)
            at += LENGTH
    return happened + run(voice, at + 20, noticing)


def run(voice, until, noticing=None):
    happened = []
    while (due := voice.due) is not None and due <= until:
        step = voice.step(due)
        if noticing is not None:
            noticing += [(due, h) for h in step]
        assert step or voice.due is None or voice.due > due, "it would spin"
        happened += step
    return happened


def edges(happened):
    return [h for h in happened if not isinstance(h, Sound)]


def test_the_end_is_known_when_it_is_reached():
    noticed = []
    play(track_voice(0.2, 0.2), [TONE] * 5, noticing=noticed)
    ended = [(at, h) for at, h in noticed if isinstance(h, Ended)]
    assert ended == [(pytest.approx(1.4), Ended(pytest.approx(1.4), "u1", pytest.approx(0.2)))]


def test_without_looking_far_enough_ahead_the_end_is_noticed_later_and_told_as_it_was():
    noticed = []
    play(track_voice(0.1, 0.3), [TONE] * 5, noticing=noticed)
    [(at, ended)] = [(at, h) for at, h in noticed if isinstance(h, Ended)]
    assert at == pytest.approx(1.5)
    assert ended == Ended(pytest.approx(1.3), "u1", pytest.approx(0.2))


def test_a_pause_of_the_bot_shorter_than_the_gap_is_within_the_utterance():
    happened = edges(play(track_voice(0.5, 0.2), [TONE, 0.19, TONE]))
    assert [type(h) for h in happened] == [Began, Ended]
    assert happened[1].duration == pytest.approx(0.27)


def test_a_longer_pause_makes_two_even_where_both_wait_to_be_played():
    happened = edges(play(track_voice(0.5, 0.2), [TONE, 0.21, TONE]))
    assert [h.inference_id for h in happened] == ["u1", "u1", "u2", "u2"]
    assert [h.at for h in happened] == pytest.approx([1.5, 1.54, 1.75, 1.79])


def test_silence_is_played_and_is_no_speech():
    happened = play(track_voice(), [ZEROS, TONE, ZEROS, TONE, ZEROS])
    assert b"".join(h.pcm for h in happened if isinstance(h, Sound)) == (
        ZEROS + TONE + ZEROS + TONE + ZEROS
    )
    began, ended = edges(happened)
    assert began.at == pytest.approx(1.24, abs=0.001)
    assert ended.at == pytest.approx(1.36)
    assert ended.duration == pytest.approx(0.12)


def test_a_beginning_comes_before_the_sound_that_it_is_in():
    happened = play(track_voice(), [ZEROS, TONE])
    began = next(n for n, h in enumerate(happened) if isinstance(h, Began))
    assert happened[began + 1].pcm.strip(b"\0") and not happened[began - 1].pcm.strip(b"\0")


def test_an_interruption_ends_what_sounds_and_forgets_the_rest():
    voice = track_voice()
    for n in range(5):
        voice.push(TONE, RATE, 1.0 + n * LENGTH)
    run(voice, 1.25)
    assert voice.speaking
    assert voice.interrupt(1.26) == [Ended(1.26, "u1", pytest.approx(0.06), True)]
    assert not voice.speaking and voice.due is None
    assert voice.interrupt(1.27) == []
    assert [h.inference_id for h in edges(play(voice, [TONE], 2.0))] == ["u2", "u2"]


def test_an_interruption_before_the_first_sound_is_no_end():
    voice = track_voice()
    voice.push(TONE, RATE, 1.0)
    assert voice.interrupt(1.1) == []
    assert voice.due is None and run(voice, 9.0) == [] == voice.step(9.0)


PIECES = st.lists(
    st.sampled_from([TONE, ZEROS, b"\0\0" * 15 + b"\1\0" * 25]) | st.floats(0.01, 1.0),
    max_size=30,
)


@settings(deadline=None)
@given(PIECES, st.floats(0, 0.5), st.floats(0.1, 0.5))
def test_every_sample_is_played_once_in_order_and_each_beginning_has_one_end(pieces, delay, gap):
    voice = track_voice(delay, gap)
    happened = play(voice, pieces)
    sound = b"".join(h.pcm for h in happened if isinstance(h, Sound))
    assert sound == b"".join(p for p in pieces if isinstance(p, bytes))
    told = edges(happened)
    for began, ended in zip(told[::2], told[1::2], strict=True):
        assert isinstance(began, Began) and isinstance(ended, Ended)
        assert ended.duration == pytest.approx(ended.at - began.at)
    assert [h.inference_id for h in told[::2]] == [f"u{n + 1}" for n in range(len(told) // 2)]
    assert voice.due is None and not voice.speaking
