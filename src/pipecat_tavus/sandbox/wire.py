#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What a bot and a room of the sandbox say to each other over their WebSocket.

Text frames are JSON objects with a ``type``; binary frames are audio and pictures.

From the bot:

==============  ==================================================================
``join``        first of all: ``name``, ``token`` (or null), ``version``
``publish``     a custom audio track: ``track`` (a number the bot chose), ``name``
``capture``     hear a participant: ``track``, ``participant``, ``source``
``watch``       see a participant: ``track``, ``participant``, ``source``, ``format``
``subscribe``   Daily's subscription settings: ``participants``, ``profiles``
``send``        an app message: ``message`` (any JSON value), ``to`` (an id or null)
``leave``       the bot leaves
==============  ==================================================================

From the room:

========================  ========================================================
``joined``                the answer to ``join``: ``data`` as Daily's join data
``refused``               the other answer: ``message``, then the socket closes
``ack``                   what has an ``id``, as every request but ``join`` and ``leave``:
                          it comes back here with ``error`` (text or null)
``participant_joined``    ``participant``
``participant_updated``   ``participant``
``participant_left``      ``participant``, ``reason``
``app_message``           ``message``, ``sender``
``closed``                the room has closed: ``reason``, then the socket closes
========================  ========================================================

An audio frame is a header (the track's number and a zero in 16 bits each, the sample rate in
32, little endian) and mono PCM16. From the bot it belongs to the track that it published,
to the bot to the track that it captures. A picture, which goes to the bot only, is a header
(the number of the track that it watches, a one, width and height in 16 bits each) and RGB.
"""

import json
import struct
from typing import Any, cast

from pipecat_tavus.sandbox.picture import Picture

VERSION = 1
MAX_APP_MESSAGE = 64 * 1024
"""Longest app message in bytes of JSON. Daily documents 4 KB; Pipecat sends 6.4 KB."""
MAX_FRAME = 3 * 1024 * 1024
"""Longest frame in bytes: a picture of 1280x720 with its header has 2.8 MB."""
MAX_TRACK = 0xFFFF
MAX_SAMPLE_RATE = 384_000

_AUDIO_HEADER = struct.Struct("<HHI")
_PICTURE_HEADER = struct.Struct("<HHHH")
_AUDIO, _PICTURE = 0, 1


class WireError(ValueError):
    """A frame is none of this protocol."""


def encode(kind: str, **fields: Any) -> str:
    """Build a text frame.

    Args:
        kind: Its type.
        **fields: What belongs to it.

    Returns:
        The text.

    Raises:
        WireError: A value is not JSON.
    """
    try:
        return json.dumps({"type": kind, **fields}, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as e:
        raise WireError(f"not JSON: {e}") from e


def decode(text: str) -> dict[str, Any]:
    """Read a text frame.

    Args:
        text: The frame.

    Returns:
        Its object; ``type`` is a string.

    Raises:
        WireError: It is no object with a type.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise WireError(f"not JSON: {e}") from e
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):  # pyright: ignore[reportUnknownMemberType]
        raise WireError("not an object with a type")
    return cast(dict[str, Any], data)


def message_size(message: Any) -> int:
    """How many bytes of JSON an app message is.

    Args:
        message: Any JSON value.

    Returns:
        Bytes.

    Raises:
        WireError: It is not JSON.
    """
    try:
        return len(json.dumps(message, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as e:
        raise WireError(f"not JSON: {e}") from e


def pack_audio(track: int, sample_rate: int, pcm: bytes) -> bytes:
    """Build an audio frame.

    Args:
        track: The track's number.
        sample_rate: In Hz.
        pcm: Mono PCM16.

    Returns:
        The frame.
    """
    return _AUDIO_HEADER.pack(track, _AUDIO, sample_rate) + pcm


def unpack_audio(frame: bytes) -> tuple[int, int, bytes]:
    """Read an audio frame.

    Args:
        frame: The frame.

    Returns:
        The track's number, the sample rate in Hz, and mono PCM16.

    Raises:
        WireError: It is none, is too short, cuts a sample, or has an impossible rate.
    """
    if len(frame) < _AUDIO_HEADER.size or (len(frame) - _AUDIO_HEADER.size) % 2:
        raise WireError(f"an audio frame of {len(frame)} bytes")
    track, kind, sample_rate = _AUDIO_HEADER.unpack_from(frame)
    if kind != _AUDIO:
        raise WireError(f"a binary frame of kind {kind} where audio was expected")
    if not 0 < sample_rate <= MAX_SAMPLE_RATE:
        raise WireError(f"a sample rate of {sample_rate} Hz")
    return track, sample_rate, frame[_AUDIO_HEADER.size :]


def is_picture(frame: bytes) -> bool:
    """Whether a binary frame is a picture, and not audio.

    Args:
        frame: The frame.

    Returns:
        Whether it says so.
    """
    return len(frame) >= _PICTURE_HEADER.size and _PICTURE_HEADER.unpack_from(frame)[1] == _PICTURE


def pack_picture(track: int, picture: Picture) -> bytes:
    """Build the frame of a picture.

    Args:
        track: The track's number.
        picture: The picture, of a size that can be shown.

    Returns:
        The frame.
    """
    header = _PICTURE_HEADER.pack(track, _PICTURE, picture.width, picture.height)
    return header + picture.pixels


def unpack_picture(frame: bytes) -> tuple[int, Picture]:
    """Read the frame of a picture.

    Args:
        frame: The frame.

    Returns:
        The track's number and the picture.

    Raises:
        WireError: It is none, or has an impossible size.
    """
    if not is_picture(frame):
        raise WireError("a binary frame that is no picture")
    track, _, width, height = _PICTURE_HEADER.unpack_from(frame)
    picture = Picture(frame[_PICTURE_HEADER.size :], width, height)
    try:
        picture.check()
    except ValueError as e:
        raise WireError(str(e)) from e
    return track, picture
