#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The protocol between a bot and a room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecat_tavus.sandbox import Picture, wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_json_value_arrives_as_it_was_sent(message):
    assert wire.decode(wire.encode("send", message=message)) == {"type": "send", "message": message}


@pytest.mark.parametrize("value", [object(), b"x", {1, 2}, float("nan"), {("a",): 1}])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(wire.WireError):
        wire.encode("send", message=value)
    with pytest.raises(wire.WireError):
        wire.message_size(value)


@pytest.mark.parametrize("text", ["", "x", "[]", "1", "null", "{}", '{"type": 1}', "[" * 100_000])
def test_a_text_frame_that_is_no_object_with_a_type_is_refused(text):
    with pytest.raises(wire.WireError):
        wire.decode(text)


@given(
    st.integers(0, wire.MAX_TRACK),
    st.integers(1, wire.MAX_SAMPLE_RATE),
    st.binary(max_size=64).map(lambda pcm: pcm[: len(pcm) // 2 * 2]),
)
def test_audio_arrives_bit_for_bit(track, rate, pcm):
    assert wire.unpack_audio(wire.pack_audio(track, rate, pcm)) == (track, rate, pcm)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"1234567",
        wire.pack_audio(1, 8000, b"1"),
        wire.pack_audio(1, 0, b""),
        wire.pack_audio(1, wire.MAX_SAMPLE_RATE + 1, b""),
        wire.pack_picture(1, Picture.plain((0, 0, 0), 2, 2)),
    ],
)
def test_an_audio_frame_that_cannot_be_is_refused(frame):
    with pytest.raises(wire.WireError):
        wire.unpack_audio(frame)


@given(st.integers(0, wire.MAX_TRACK), st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_picture_arrives_pixel_by_pixel_and_is_no_audio(track, width, height, data):
    size = 3 * width * height
    picture = Picture(data.draw(st.binary(min_size=size, max_size=size)), width, height)
    frame = wire.pack_picture(track, picture)
    assert wire.is_picture(frame)
    assert wire.unpack_picture(frame) == (track, picture)
    assert not wire.is_picture(wire.pack_audio(track, width, picture.pixels))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"1234567",
        wire.pack_audio(1, 8000, b"12"),
        wire.pack_picture(1, Picture(b"12345", 2, 1)),
        wire.pack_picture(1, Picture(b"", 0, 1)),
        wire.pack_picture(1, Picture.plain((0, 0, 0), 1281, 1)),
        wire.pack_picture(1, Picture.plain((0, 0, 0), 1, 721)),
    ],
)
def test_a_picture_that_cannot_be_is_refused(frame):
    with pytest.raises(wire.WireError):
        wire.unpack_picture(frame)


def test_the_largest_picture_is_no_longer_than_a_frame_may_be():
    frame = wire.pack_picture(1, Picture.plain((0, 0, 0), 1280, 720))
    assert wire.unpack_picture(frame)[1].width == 1280
    assert len(frame) < wire.MAX_FRAME
