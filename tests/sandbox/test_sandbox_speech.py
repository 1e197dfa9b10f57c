#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Where speech begins and ends, and what the recording of it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.sandbox.recording import Timeline
from pipecat_tavus.sandbox.speech import SpeechEdge, SpeechMeter

RATE = 1000
"""One sample a millisecond."""
TONE = b"\1\0" * 100
ZEROS = bytes(200)
TENTH = 0.1


def edges(meter, pieces, start=0.0):
    """Push pieces that follow each other; a number is a pause in seconds."""
    found, at = [], start
    for piece in pieces:
        if isinstance(piece, float):
            at += piece
            found += meter.poll(at)
        else:
            found += meter.push(at, piece, RATE)
            at += len(piece) / 2 / RATE
    return found


def test_speech_is_from_the_first_to_the_last_sounding_sample():
    meter = SpeechMeter(gap=0.3)
    found = edges(meter, [ZEROS, ZEROS + TONE, TONE + ZEROS, 0.4])
    assert [edge.what for edge in found] == ["started_speaking", "stopped_speaking"]
    assert [edge.at for edge in found] == pytest.approx([0.2, 0.4])
    assert found[1].duration == pytest.approx(0.2)
    assert not found[1].interrupted


def test_silence_alone_is_never_speech():
    meter = SpeechMeter(keep=True)
    assert edges(meter, [ZEROS] * 20 + [5.0]) == []
    assert not meter.speaking and meter.deadline is None and meter.speech() == b""


def test_a_pause_shorter_than_the_gap_does_not_end_an_utterance():
    meter = SpeechMeter(gap=0.3)
    assert len(edges(meter, [TONE, 0.29, TONE, 0.29])) == 1
    assert meter.deadline == pytest.approx(0.1 + 0.29 + 0.1 + 0.3)


def test_zeros_that_are_played_end_an_utterance_later_than_nothing_at_all():
    meter = SpeechMeter(gap=0.3, silence=0.8)
    assert len(edges(meter, [TONE, *[ZEROS] * 7, TONE])) == 1
    meter = SpeechMeter(gap=0.3, silence=0.8)
    found = edges(meter, [TONE, *[ZEROS] * 10])
    assert [edge.what for edge in found] == ["started_speaking", "stopped_speaking"]
    assert found[1].at == pytest.approx(0.1)


def test_an_interruption_ends_the_utterance_at_once_and_says_so():
    meter = SpeechMeter()
    meter.push(1.0, TONE, RATE)
    assert meter.stop(1.04) == [SpeechEdge("stopped_speaking", 1.04, pytest.approx(0.04), True)]
    assert meter.stop(1.05) == []
    assert meter.poll(9.0) == []


def test_an_utterance_after_another_begins_anew():
    meter = SpeechMeter(gap=0.3, keep=True)
    found = edges(meter, [TONE + ZEROS, 0.5, ZEROS + TONE, 0.5])
    assert [edge.what for edge in found] == ["started_speaking", "stopped_speaking"] * 2
    assert meter.speech() == TONE + TONE


SPOKEN = st.lists(st.integers(-3, 3), max_size=60).map(
    lambda samples: b"".join(s.to_bytes(2, "little", signed=True) for s in samples)
)


@given(SPOKEN, st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_speech_is_kept_bit_for_bit_but_for_silence_at_its_edges(pcm, sizes):
    meter, at, offset, turn = SpeechMeter(keep=True), 0.0, 0, 0
    while offset < len(pcm):
        size = 2 * sizes[turn % len(sizes)]
        meter.push(at, pcm[offset : offset + size], RATE)
        at, offset, turn = at + size / 2 / RATE, offset + size, turn + 1
    samples = [pcm[i : i + 2] for i in range(0, len(pcm), 2)]
    sounding = [i for i, sample in enumerate(samples) if sample != b"\0\0"]
    kept = samples[sounding[0] : sounding[-1] + 1] if sounding else []
    assert meter.speech() == b"".join(kept)


def test_a_recording_has_everything_at_its_time():
    timeline = Timeline(10.0)
    timeline.add(10.5, TONE, RATE)
    timeline.add(10.603, TONE, RATE)
    timeline.add(11.0, TONE, RATE)
    pcm, rate = timeline.render(12.0, 16000)
    assert rate == RATE
    assert len(pcm) == 2 * 2000
    assert pcm == bytes(1000) + TONE * 2 + bytes(600) + TONE + bytes(1800)


def test_a_recording_ends_where_it_is_said_to_and_brings_other_rates_to_its_first():
    timeline = Timeline(0.0)
    timeline.add(0.0, TONE, RATE)
    timeline.add(0.5, b"\7\0" * 400, 2 * RATE)
    pcm, _ = timeline.render(0.6, 16000)
    assert pcm == TONE + bytes(800) + b"\7\0" * 100


def test_the_recording_of_nothing_is_silence():
    assert Timeline(1.0).render(2.0, 16000) == (bytes(32000), 16000)
    assert Timeline(1.0).render(0.0, 16000) == (b"", 16000)
