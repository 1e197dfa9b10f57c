#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Which words have been said."""

import pytest

from pipecat_tavus.sandbox.captions import Captions, Words


def test_a_word_is_told_when_as_much_sound_was_played_as_it_takes():
    captions = Captions("one two  three", 0.3)
    told = [(n, words) for n in range(1, 60) if (words := captions.play(0.02))]
    assert told == [
        (15, Words(0, "one")),
        (30, Words(1, "one two")),
        (45, Words(2, "one two three")),
    ]
    assert captions.end(interrupted=False) == Words(3, "one two three")


def test_an_utterance_that_ends_earlier_has_said_all_and_one_that_is_cut_off_has_not():
    for interrupted, said in ((False, "one two three"), (True, "one")):
        captions = Captions("one two three", 0.3)
        assert captions.play(0.4) == Words(0, "one")
        assert captions.end(interrupted=interrupted) == Words(1, said)


def test_an_utterance_that_is_cut_off_at_once_has_said_nothing():
    assert Captions("one", 0.3).end(interrupted=True) == Words(0, "")


@pytest.mark.parametrize("word_secs", [0.01, 0.03])
def test_several_words_may_have_been_said_since_the_last_telling(word_secs):
    captions = Captions("one two three four", word_secs)
    assert captions.play(3.5 * word_secs) == Words(0, "one two three")


def test_more_words_may_come():
    captions = Captions("one", 0.3)
    assert captions.play(1.0) == Words(0, "one")
    captions.extend("two three")
    assert captions.play(0.0) == Words(1, "one two three")
