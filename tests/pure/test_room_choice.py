"""Which room a conversation's URL leads to, and what of it may be logged."""

import pytest

from pipecat_tavus.params import TavusParams
from pipecat_tavus.room.daily_room import DailyRoom
from pipecat_tavus.room.seam import RoomConfig, is_sandbox, open_room
from pipecat_tavus.sandbox.room_client import SandboxRoom


def config(url):
    return RoomConfig(
        url=url, token="t0ken", bot_name="Ada", params=TavusParams(), listener=object()
    )


@pytest.mark.parametrize(
    ("url", "sandbox"),
    [
        ("http://127.0.0.1:8642/rooms/c1", True),
        ("http://127.9.9.9/rooms/c1", True),
        ("http://localhost:8642/rooms/c1", True),
        ("http://[::1]:8642/rooms/c1", True),
        ("https://127.0.0.1/rooms/c1", False),
        ("https://tavus.daily.co/c1", False),
        ("http://tavus.daily.co/c1", False),
        ("http://10.0.0.1/c1", False),
        ("http:///c1", False),
    ],
)
def test_only_plain_http_on_loopback_is_a_sandbox(url, sandbox):
    assert is_sandbox(url) is sandbox
    assert type(open_room(config(url))) is (SandboxRoom if sandbox else DailyRoom)


def test_url_and_token_are_in_no_repr():
    text = repr(config("https://tavus.daily.co/c1?t=t0ken"))
    assert "t0ken" not in text
    assert "tavus.daily.co" not in text
