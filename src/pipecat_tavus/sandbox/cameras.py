#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The cameras and screens of a room, which draw only while somebody watches them."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from pipecat_tavus.sandbox.picture import Picture, Scene, check_scene
from pipecat_tavus.sandbox.subscriptions import VIDEO_SOURCES

MAX_FRAMERATE = 60


@dataclass(eq=False)
class _Camera:
    """What one participant shows."""

    scene: Scene
    framerate: float
    shown_at: float = field(default_factory=time.monotonic)
    running: bool = False

    def draw(self, at: float) -> Picture:
        scene = self.scene
        picture = scene if isinstance(scene, Picture) else scene(at - self.shown_at)
        picture.check()
        return picture


class Cameras:
    """Who shows what in a room, and who watches it."""

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
        on_change: Callable[[str, str, str], None],
        delivers: Callable[[str, str, str], bool],
    ):
        """Initialize with nobody showing anything.

        Args:
            spawn: Starts a task.
            on_change: Called with a participant's id, the source and its new state.
            delivers: Whether a bot receives of a participant, both by id, a source.
        """
        self._spawn = spawn
        self._on_change = on_change
        self._delivers = delivers
        self._shown: dict[tuple[str, str], _Camera] = {}
        self._watchers: dict[tuple[str, str], dict[str, Callable[[Picture], None]]] = {}

    def show(self, participant_id: str, source: str, scene: Scene, framerate: float) -> None:
        """Show something instead of what was shown.

        Args:
            participant_id: Whose it is.
            source: ``camera`` or ``screenVideo``.
            scene: What is shown.
            framerate: Pictures per second.

        Raises:
            ValueError: It cannot be shown.
        """
        if not 0 < framerate <= MAX_FRAMERATE:
            raise ValueError(f"framerate is more than 0, at most {MAX_FRAMERATE}, not {framerate}")
        check_scene(scene)
        self._shown[participant_id, source] = _Camera(scene, framerate)
        self._on_change(participant_id, source, "playable")
        self.look_again()

    def hide(self, participant_id: str, source: str) -> None:
        """Show it no more. Harmless where nothing is shown.

        Args:
            participant_id: Whose it is.
            source: ``camera`` or ``screenVideo``.
        """
        if self._shown.pop((participant_id, source), None):
            self._on_change(participant_id, source, "off")

    def watch(
        self, bot_id: str, participant_id: str, source: str, take: Callable[[Picture], None]
    ) -> None:
        """See what somebody shows, now and later, while it is subscribed.

        Args:
            bot_id: Who sees it.
            participant_id: Who shows it.
            source: What.
            take: Gets the pictures.

        Raises:
            ValueError: There is no such source.
        """
        if source not in VIDEO_SOURCES:
            raise ValueError(f"a video source is one of {', '.join(VIDEO_SOURCES)}, not {source!r}")
        self._watchers.setdefault((participant_id, source), {})[bot_id] = take
        self.look_again()

    def forget(self, participant_id: str) -> None:
        """Let somebody who has left show and see nothing more.

        Args:
            participant_id: Who.
        """
        for source in VIDEO_SOURCES:
            self._shown.pop((participant_id, source), None)
            self._watchers.pop((participant_id, source), None)
        for watchers in self._watchers.values():
            watchers.pop(participant_id, None)

    def clear(self) -> None:
        """Nobody shows or sees anything any more."""
        self._shown.clear()
        self._watchers.clear()

    def look_again(self) -> None:
        """Let the cameras run; each that nobody watches stops at once."""
        for key, camera in self._shown.items():
            if not camera.running:
                camera.running = True
                self._spawn(self._run(camera, *key))

    def _takers(self, participant_id: str, source: str) -> list[Callable[[Picture], None]]:
        watchers = self._watchers.get((participant_id, source), {})
        return [
            take for bot, take in watchers.items() if self._delivers(bot, participant_id, source)
        ]

    async def _run(self, camera: _Camera, participant_id: str, source: str) -> None:
        """Send pictures at the times that the framerate gives, until nobody wants them."""
        at, period = time.monotonic(), 1 / camera.framerate
        try:
            while self._shown.get((participant_id, source)) is camera:
                takers = self._takers(participant_id, source)
                if not takers:
                    return
                now = time.monotonic()
                picture = camera.draw(now)
                for take in takers:
                    take(picture)
                # Pictures that are late by more than a period are skipped.
                at = at + period if now < at + period else now + period
                await asyncio.sleep(at - time.monotonic())
        except Exception as e:
            logger.exception(f"The {source} of {participant_id} goes off, it cannot be drawn: {e}")
            if self._shown.get((participant_id, source)) is camera:
                self.hide(participant_id, source)
        finally:
            camera.running = False
