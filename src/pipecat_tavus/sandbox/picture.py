#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""One picture of a camera or a screen: pure data."""

from collections.abc import Callable
from typing import NamedTuple, Self

MAX_WIDTH, MAX_HEIGHT = 1280, 720


class Picture(NamedTuple):
    """One picture of a camera or a screen.

    Parameters:
        pixels: RGB, three bytes for each pixel, row by row.
        width: In pixels, up to 1280.
        height: In pixels, up to 720.
    """

    pixels: bytes
    width: int
    height: int

    @classmethod
    def plain(cls, color: tuple[int, int, int], width: int = 64, height: int = 48) -> Self:
        """A picture of one color.

        Args:
            color: Red, green and blue, each 0 to 255.
            width: In pixels.
            height: In pixels.

        Returns:
            The picture.
        """
        return cls(bytes(color) * (width * height), width, height)

    def check(self) -> None:
        """See whether it can be shown.

        Raises:
            ValueError: It is too large, or has not as many bytes as its size wants.
        """
        if not (0 < self.width <= MAX_WIDTH and 0 < self.height <= MAX_HEIGHT):
            raise ValueError(
                f"a picture of {self.width}x{self.height}; "
                f"1x1 to {MAX_WIDTH}x{MAX_HEIGHT} can be shown"
            )
        if len(self.pixels) != 3 * self.width * self.height:
            raise ValueError(
                f"a picture of {self.width}x{self.height} in RGB has "
                f"{3 * self.width * self.height} bytes, not {len(self.pixels)}"
            )


Scene = Picture | Callable[[float], Picture]
"""What is shown: one picture, or what draws the next one, given the seconds since it was shown."""


def check_scene(scene: Scene) -> None:
    """See whether something can be shown, as far as that is known before it is drawn.

    Args:
        scene: What is to be shown.

    Raises:
        ValueError: It cannot.
    """
    if isinstance(scene, Picture):
        scene.check()
    elif not callable(scene):
        raise ValueError(f"a Picture, or what draws one, can be shown, not {scene!r}")
