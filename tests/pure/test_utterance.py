"""An utterance: all its audio, in whole chunks, and a last one that is never empty."""

from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.speech.utterance import Utterance


def test_chunks_are_whole_and_the_rest_is_the_end():
    utterance = Utterance("u", 8000, 20)
    assert utterance.chunk_secs == 0.02
    assert utterance.feed(b"a" * 100) == []
    assert utterance.feed(b"b" * 600) == [b"a" * 100 + b"b" * 220, b"b" * 320]
    assert utterance.end() == b"b" * 60


def test_an_end_without_a_rest_is_40_ms_of_silence():
    utterance = Utterance("u", 16000, 100)
    assert utterance.feed(bytes(3200)) == [bytes(3200)]
    assert utterance.end() == bytes(1280)


def test_chunks_are_cut_between_samples():
    assert Utterance("u", 22050, 30).feed(bytes(1324)) == [bytes(1322)]


@given(
    pieces=st.lists(st.binary(max_size=3000).map(lambda b: b[: len(b) // 2 * 2])),
    rate=st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    ms=st.integers(20, 1000),
)
def test_nothing_is_lost_or_added_but_a_closing_silence(pieces, rate, ms):
    utterance = Utterance("u", rate, ms)
    chunks = [chunk for piece in pieces for chunk in utterance.feed(piece)]
    end, fed = utterance.end(), b"".join(pieces)
    size = rate * ms // 1000 * 2
    assert all(len(chunk) == size for chunk in chunks)
    assert end and len(end) % 2 == 0 and len(end) <= max(size, rate * 40 // 1000 * 2)
    said = b"".join([*chunks, end])
    assert said == fed or (said[: len(fed)] == fed and said[len(fed) :] == end == bytes(len(end)))
