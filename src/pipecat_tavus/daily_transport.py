#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What the transport has in common with Pipecat's Daily transport, and its name."""

from collections.abc import Mapping
from typing import Any

from pipecat.transports.base_transport import BaseTransport

from pipecat_tavus.client import TavusTransportClient
from pipecat_tavus.errors import TavusConfigError
from pipecat_tavus.input import TavusInputTransport
from pipecat_tavus.video_in import VideoIn


class DailyTransport(BaseTransport):
    """A room of participants, with the methods that Pipecat's ``DailyTransport`` has for them.

    Pipecat's helpers for any transport, such as ``maybe_capture_participant_camera``, know a
    transport by the name of a class of it (``pipecat.runner.utils``), and this is the one
    whose calls are understood here.
    """

    _client: TavusTransportClient
    _input: TavusInputTransport | None

    def participants(self) -> Mapping[str, Any]:
        """Everybody in the room but the bot, by participant id, as Daily gives them."""
        return self._client.participants()

    def get_client_id(self, client: Mapping[str, Any]) -> str:
        """The participant id of a client.

        Args:
            client: As given to ``on_client_connected``.

        Returns:
            The id.
        """
        return client["id"]

    async def update_subscriptions(
        self,
        participant_settings: Mapping[str, Any] | None = None,
        profile_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is received of whom, in Daily's words.

        Args:
            participant_settings: By participant id.
            profile_settings: By profile.

        Raises:
            TavusRoomError: The room refused.
        """
        await self._client.update_subscriptions(participant_settings, profile_settings)

    async def capture_participant_video(
        self,
        participant_id: str,
        framerate: int | None = 30,
        video_source: str = "camera",
        color_format: str = "RGB",
        *,
        on_request_only: bool = False,
    ) -> None:
        """See a participant: its pictures come as ``UserImageRawFrame``, until it leaves.

        ``TavusParams.video_in_sources`` does so for each client as it connects.

        Args:
            participant_id: Whom.
            framerate: Frames per second to pass on; None for all that come.
            video_source: ``camera``, ``screenVideo`` or a custom track's name.
            color_format: Such as ``RGB``.
            on_request_only: Pass on only the frames that answer a ``UserImageRequestFrame``,
                as a framerate of 0 does.

        Raises:
            TavusConfigError: Video is not enabled, or a value is refused.
            TavusRoomError: There is no such participant, or the room refused.
        """
        await self._video_in().capture(
            participant_id, framerate, video_source, color_format, on_request_only=on_request_only
        )

    def _video_in(self) -> VideoIn:
        if not self._input:
            raise TavusConfigError("Video comes out of transport.input(), and there is none yet")
        return self._input.video
