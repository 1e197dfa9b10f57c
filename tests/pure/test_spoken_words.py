"""The words that were spoken, beyond those in the context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.speech.spoken_words import SpokenWords


def rest(heard, released=()):
    words = SpokenWords()
    for text in released:
        words.released(text)
    for speech in heard:
        words.heard(speech)
    return words.rest()


def test_nothing_was_said_at_first():
    assert rest([]) == ""
    assert rest([""]) == ""


def test_what_the_context_has_is_not_told_again():
    said = ["One.", "One. Two, three"]
    assert rest(said) == "One. Two, three"
    assert rest(said, ["One. "]) == "Two, three"
    assert rest(said, ["One", "two", "three"]) == ""
    assert rest(said, ["One two three four"]) == ""


def test_a_late_event_takes_no_words_back():
    assert rest(["One two three", "One two"]) == "One two three"


def test_parts_are_told_one_after_the_other():
    assert rest(["One.", "One. Two.", " Three", "Three four "], ["One."]) == "Two. Three four"
    assert rest(["One.", "Two", "Two."]) == "One. Two."


@pytest.mark.parametrize("it", ["It's", "It\u2019s"])
def test_an_apostrophe_parts_no_word(it):
    assert rest([f"{it} ours"], [it]) == "ours"
    assert rest(["Its ours"], [it]) == "ours"


def test_another_reply_begins_anew():
    words = SpokenWords()
    words.released("One two")
    words.heard("One two three")
    words.clear()
    assert words.rest() == ""
    words.heard("Four")
    assert words.rest() == "Four"


@given(words=st.lists(st.text("ab\u00e9", min_size=1), min_size=1), data=st.data())
def test_context_and_rest_are_what_was_spoken(words, data):
    known = data.draw(st.integers(0, len(words)))
    spoken = [" ".join(words[: n + 1]) for n in range(len(words))]
    assert [*words[:known], *rest(spoken, words[:known]).split()] == words


def test_words_whose_punctuation_changes_are_the_same_words():
    words = SpokenWords()
    words.heard("Hello,")
    words.heard("hello. How are")
    words.heard("Hello! How are you?")
    words.heard("Hello")
    assert words.rest() == "Hello! How are you?"
