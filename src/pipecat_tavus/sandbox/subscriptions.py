#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""What one bot receives of whom, in Daily's words: pure state."""

from collections.abc import Mapping
from typing import Any, cast

STATES = ("subscribed", "unsubscribed", "staged")
VIDEO_SOURCES = ("camera", "screenVideo")


class Subscriptions(dict[str, dict[str, Any]]):
    """The settings of each participant by id, merged, as ``{"media": {"microphone": ...}}``.

    Parameters:
        profiles: The settings of each profile by name; ``base`` is for everybody who has none.
    """

    def __init__(self) -> None:
        """Initialize with all sound and no picture subscribed, as Pipecat joins Daily."""
        super().__init__()
        self.profiles: dict[str, dict[str, Any]] = {}

    def apply(self, participants: Any, profiles: Any) -> None:
        """Take settings.

        Args:
            participants: By participant id, or None.
            profiles: By profile, or None.

        Raises:
            ValueError: They are not what Daily takes.
        """
        media_of = {
            who: _media(_mapping(settings, "participant settings").get("media", {}))
            for who, settings in _mapping(participants or {}, "participant settings").items()
        }
        profile_of = {
            name: _media(settings)
            for name, settings in _mapping(profiles or {}, "profile settings").items()
        }
        for who, media in media_of.items():
            _merge(self.setdefault(who, {"media": {}})["media"], media)
        for name, media in profile_of.items():
            _merge(self.profiles.setdefault(name, {}), media)

    def delivers(self, participant_id: str, source: str) -> bool:
        """Whether a participant's audio or video is received.

        Args:
            participant_id: Who.
            source: ``microphone``, ``camera``, ``screenAudio``, ``screenVideo`` or the name
                of a custom audio track.

        Returns:
            Whether it is.
        """
        for media in (
            self.get(participant_id, {}).get("media", {}),
            self.get("*", {}).get("media", {}),
            self.profiles.get("base", {}),
        ):
            state = media.get(source, media.get("customAudio", {}).get(source))
            if state is not None:
                return state == "subscribed"
        return source not in VIDEO_SOURCES


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} are an object, not {value!r}")
    return cast(Mapping[str, Any], value)


def _state(value: Any) -> str:
    """The state that is meant by ``"subscribed"`` or ``{"subscriptionState": "subscribed"}``."""
    if isinstance(value, Mapping):
        value = cast(Mapping[str, Any], value).get("subscriptionState")
    if value not in STATES:
        raise ValueError(f"a subscription is one of {', '.join(STATES)}, not {value!r}")
    return value


def _media(settings: Any) -> dict[str, Any]:
    if isinstance(settings, str):
        settings = dict.fromkeys(("camera", "microphone", "screenVideo", "screenAudio"), settings)
    media: dict[str, Any] = {}
    for source, value in _mapping(settings, "media settings").items():
        if source in ("customAudio", "customVideo"):
            tracks = _mapping(value, "custom tracks")
            media[source] = {name: _state(state) for name, state in tracks.items()}
        else:
            media[source] = _state(value)
    return media


def _merge(into: dict[str, Any], media: Mapping[str, Any]) -> None:
    for source, value in media.items():
        if isinstance(value, dict):
            into.setdefault(source, {}).update(value)
        else:
            into[source] = value
