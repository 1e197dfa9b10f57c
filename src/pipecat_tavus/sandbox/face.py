#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The face of the simulated replica: pure, the time is handed in."""

import math
from functools import lru_cache

import numpy as np

from pipecat_tavus.sandbox import pcm as pcm16
from pipecat_tavus.sandbox.picture import Picture
from pipecat_tavus.sandbox.voice import Sound

MIN_WIDTH, MIN_HEIGHT = 32, 24
_LEVELS = 8
_QUIET_DB, _LOUD_DB = -50.0, -15.0
_MOUTH_AT, _MOUTH_HALF = 0.72, 0.12
_WALL, _SKIN, _EYE, _LIP, _MOUTH = (
    np.array(color, dtype=np.uint8)
    for color in ((70, 90, 120), (226, 178, 148), (40, 40, 60), (196, 110, 100), (60, 10, 20))
)
_OPEN_BELOW = 128  # Red: the skin and the lips have more, the open mouth has less.


class Face:
    """A face whose mouth is as far open as what it says is loud."""

    def __init__(self, width: int, height: int):
        """Initialize a face that is silent.

        Args:
            width: Of its pictures, in pixels.
            height: Of its pictures, in pixels.
        """
        self._width = width
        self._height = height
        self._sound = Sound(-math.inf, b"", 1)

    def say(self, sound: Sound) -> None:
        """Take what begins to play.

        Args:
            sound: The next of its audio.
        """
        self._sound = sound

    def draw(self, now: float) -> Picture:
        """What the face looks like.

        Args:
            now: When, on the clock of the sounds.

        Returns:
            The picture.
        """
        sound = self._sound
        plays = sound.at <= now < sound.at + pcm16.secs(sound.pcm, sound.rate)
        level = round(_loudness(sound.pcm) * (_LEVELS - 1)) if plays else 0
        return _draw(self._width, self._height, level)


def mouth_of(picture: Picture) -> float:
    """How far the mouth of the simulated replica is open.

    Args:
        picture: A picture of its camera.

    Returns:
        From 0, closed, to 1: by the loudness of what it was saying then, in eight levels.
    """
    pixels = np.frombuffer(picture.pixels, dtype=np.uint8).reshape(picture.height, -1, 3)
    middle, half = _mouth(picture.height)
    red = pixels[middle - half : middle + half, picture.width // 2, 0]
    return float((red < _OPEN_BELOW).mean())


def _mouth(height: int) -> tuple[int, int]:
    """The row of the mouth's middle, and how many rows it opens up and down at most."""
    return round(_MOUTH_AT * height), round(_MOUTH_HALF * height)


def _loudness(pcm: bytes) -> float:
    """From 0 for what is quiet to 1 for loud speech."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    power = float(np.mean(samples**2))
    if power <= 0.0:
        return 0.0
    return min(1.0, max(0.0, (10 * math.log10(power) - _QUIET_DB) / (_LOUD_DB - _QUIET_DB)))


@lru_cache(maxsize=2 * _LEVELS)
def _draw(width: int, height: int, level: int) -> Picture:
    # In pixels' middles, so that up is as far as down.
    y, x = np.mgrid[:height, :width] + 0.5
    middle, half = _mouth(height)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    pixels[:] = _WALL
    pixels[_ellipse(x, y, width / 2, height / 2, 0.3 * width, 0.48 * height)] = _SKIN
    for side in (-1, 1):
        eye = _ellipse(
            x, y, (0.5 + side * 0.12) * width, 0.38 * height, 0.03 * width, 0.04 * height
        )
        pixels[eye] = _EYE
    opened = half * level / (_LEVELS - 1)
    pixels[_ellipse(x, y, width / 2, middle, 0.13 * width, opened + 0.02 * height)] = _LIP
    if level:
        pixels[_ellipse(x, y, width / 2, middle, 0.11 * width, opened)] = _MOUTH
    return Picture(pixels.tobytes(), width, height)


def _ellipse(
    x: np.ndarray, y: np.ndarray, across: float, down: float, half_width: float, half_height: float
) -> np.ndarray:
    return ((x - across) / half_width) ** 2 + ((y - down) / half_height) ** 2 <= 1
