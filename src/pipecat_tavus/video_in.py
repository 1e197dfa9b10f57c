#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Video, into the pipeline: whose camera or screen is captured, and who asked for a picture."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.frames.frames import UserImageRawFrame, UserImageRequestFrame

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusConfigError, TavusError, TavusRoomError
from pipecat_tavus.params import TavusParams
from pipecat_tavus.room.roster import media_of, video_state

HAS_SAMPLERS = find_spec("pipecat.transports.video_in_sampler") is not None
"""Whether this Pipecat samples video for its transports: from 1.13."""

if HAS_SAMPLERS or TYPE_CHECKING:
    from pipecat.transports.video_in_sampler import (
        _VideoInSampler as VideoInSampler,  # pyright: ignore[reportPrivateUsage]
    )

_STOPPED = ("off", "blocked")
"""States in which a track sends nothing. Source: Daily's reference, "participants()"."""


def check_vision(params: TavusParams) -> None:
    """Refuse video where Pipecat does not sample it.

    Args:
        params: The parameters.

    Raises:
        TavusConfigError: Video is enabled, and this Pipecat is older than 1.13.
    """
    if params.video_in_enabled and not HAS_SAMPLERS:
        raise TavusConfigError("video_in_enabled needs Pipecat 1.13 or newer")


@dataclass(frozen=True)
class _Source:
    sampler: "VideoInSampler"
    color_format: str


class VideoIn:
    """The video that is captured, sampled by Pipecat's own samplers.

    Whoever leaves, or proves to be the replica, is captured no more.
    """

    def __init__(
        self,
        client: TavusTransportClient,
        params: TavusParams,
        push: Callable[[UserImageRawFrame], Awaitable[None]],
        wanted: Callable[[], bool],
    ):
        """Initialize; nothing is captured.

        Args:
            client: Whose room it is.
            params: The parameters.
            push: Pushes a picture into the pipeline.
            wanted: Whether the pipeline takes pictures at the moment.

        Raises:
            TavusConfigError: Video is enabled, and this Pipecat is older than 1.13.
        """
        check_vision(params)
        self._client = client
        self._params = params
        self._push = push
        self._wanted = wanted
        self._sources: dict[tuple[str, str], _Source] = {}
        self._replicas: set[str] = set()
        self._replica_rate: int | None = None
        self._replica_format: str | None = None

    def expect(self, participant: Mapping[str, Any]) -> None:
        """Sample the sources of a client that ``video_in_sources`` lists, from their first frame.

        Args:
            participant: The client.
        """
        if self._params.video_in_enabled:
            for source, how in self._params.video_in_sources.items():
                rate = _rate(how.framerate, how.on_request_only)
                self._sample(participant["id"], source, rate, "RGB")

    async def start(
        self, participant: Mapping[str, Any], failed: Callable[[TavusError], Awaitable[None]]
    ) -> None:
        """Capture what is expected of a client.

        Args:
            participant: The client.
            failed: Told of each source that the room refuses.
        """
        for participant_id, source in self._of(participant["id"]):
            try:
                await self._open(participant_id, source)
            except TavusRoomError as e:
                await failed(e)

    async def capture(
        self,
        participant_id: str,
        framerate: int | None,
        source: str,
        color_format: str,
        *,
        on_request_only: bool = False,
    ) -> None:
        """Capture a source of somebody, or change its framerate or format.

        Args:
            participant_id: Whom.
            framerate: Frames per second to pass on; None for all.
            source: ``camera``, ``screenVideo`` or a custom track's name.
            color_format: Such as ``RGB``.
            on_request_only: Pass on only what answers requests.

        Raises:
            TavusConfigError: Video is not enabled, or a value is none.
            TavusRoomError: There is no such participant, or the room refused.
        """
        self._check(framerate)
        self._sample(participant_id, source, _rate(framerate, on_request_only), color_format)
        await self._open(participant_id, source)

    async def capture_replica(self, framerate: int | None, color_format: str) -> None:
        """Capture the replica's camera, now and whenever it comes.

        Args:
            framerate: Frames per second to pass on; None for all.
            color_format: Such as ``RGB``.

        Raises:
            TavusConfigError: Video is not enabled, or a value is none.
            TavusRoomError: The room refused.
        """
        self._check(framerate)
        self._replica_rate, self._replica_format = framerate, color_format
        for participant_id in list(self._replicas):
            await self._capture_face(participant_id)

    async def replica_came(self, participant: Mapping[str, Any]) -> None:
        """The replica is there.

        Args:
            participant: The replica.

        Raises:
            TavusRoomError: Its camera was to be captured, and the room refused.
        """
        self._replicas.add(participant["id"])
        await self._capture_face(participant["id"])

    async def gone(self, participant: Mapping[str, Any]) -> None:
        """Somebody left, or is no longer who it was taken for.

        Args:
            participant: The participant.

        Raises:
            TavusRoomError: It is still there, and could not be unsubscribed.
        """
        participant_id: str = participant["id"]
        self._replicas.discard(participant_id)
        sources = self._of(participant_id)
        for key in sources:
            await self._forget(key, f"{participant_id} is no longer captured.")
        for _, source in sources if participant_id in self._client.participants() else ():
            settings = {"media": media_of(source, "unsubscribed")}
            await self._client.update_subscriptions({participant_id: settings})

    async def updated(self, participant: Mapping[str, Any]) -> None:
        """Answer who waits for a track that stopped; it is sampled again when it plays again.

        Args:
            participant: As Daily gives it.
        """
        for participant_id, source in self._of(participant["id"]):
            if video_state(participant, source) in _STOPPED:
                sampler = self._sources[participant_id, source].sampler
                why = f"{participant_id} stopped sending {source} video."
                await _refuse(sampler.take_requests(), why)

    async def request(self, frame: UserImageRequestFrame) -> None:
        """Answer a request with the next frame, or with an error where none will come.

        Args:
            frame: The request.
        """
        source = frame.video_source or "camera"
        captured = self._sources.get((frame.user_id, source))
        participant = self._client.participants().get(frame.user_id)
        if participant and video_state(participant, source) in _STOPPED:
            await _refuse([frame], f"{frame.user_id} isn't sending {source} video.")
        elif participant is None or captured is None:
            await _refuse([frame], f"No {source} video is being captured from {frame.user_id}.")
        else:
            captured.sampler.add_request(frame)

    def _check(self, framerate: Any) -> None:
        if not self._params.video_in_enabled:
            raise TavusConfigError("Capturing video needs TavusParams(video_in_enabled=True)")
        # Not "< 0": a framerate that is no number is neither.
        if framerate is not None and not (isinstance(framerate, int | float) and framerate >= 0):
            raise TavusConfigError(f"A framerate is 0 or more, not {framerate!r}")

    def _of(self, participant_id: str) -> list[tuple[str, str]]:
        return [key for key in self._sources if key[0] == participant_id]

    def _sample(self, participant_id: str, source: str, rate: int | None, color: str) -> None:
        known = self._sources.get((participant_id, source))
        sampler = known.sampler if known else VideoInSampler(rate)
        sampler.framerate = rate
        self._sources[participant_id, source] = _Source(sampler, color)

    async def _open(self, participant_id: str, source: str) -> None:
        # The format as it is wanted now, whoever else is asking for this source.
        captured = self._sources.get((participant_id, source))
        if captured is None:
            return
        logger.debug("seeing the {} of participant {}", source, participant_id)
        try:
            await self._client.capture_participant_video(
                participant_id,
                self._on_frame,
                video_source=source,
                color_format=captured.color_format,
            )
        except TavusRoomError as e:
            await self._forget((participant_id, source), str(e))
            raise

    async def _capture_face(self, participant_id: str) -> None:
        if self._replica_format is not None:
            await self.capture(participant_id, self._replica_rate, "camera", self._replica_format)

    async def _forget(self, key: tuple[str, str], why: str) -> None:
        if captured := self._sources.pop(key, None):
            await _refuse(captured.sampler.take_requests(), why)

    async def _on_frame(self, participant_id: str, video: Any, source: str) -> None:
        captured = self._sources.get((participant_id, source))
        if captured is None or not self._wanted():
            return
        due, request = captured.sampler.sample()
        if due:
            frame = UserImageRawFrame(
                user_id=participant_id,
                image=video.buffer,
                size=(video.width, video.height),
                format=video.color_format,
                text=request.text if request else None,
                append_to_context=request.append_to_context if request else None,
                request=request,
            )
            frame.transport_source = source
            await self._push(frame)


def _rate(framerate: int | None, on_request_only: bool) -> int | None:
    # What Pipecat's sampler takes: 0 passes on only what answers a request.
    return 0 if on_request_only else framerate


async def _refuse(requests: Iterable[UserImageRequestFrame], why: str) -> None:
    """Answer requests that no picture will, so that the function calls behind them finish."""
    for request in requests:
        logger.warning("An image request is not answered: {}", why)
        if request.result_callback:
            try:
                await request.result_callback({"error": why})
            except Exception:
                logger.exception("an image request's callback failed")
