"""The web front end of private rooms, whose bot is started by /start."""

from pathlib import Path

import pytest
from children import run_example

pytestmark = pytest.mark.in_real_time


async def test_a_person_who_opens_the_page_talks_in_a_private_room(tmp_path: Path):
    stdout = await run_example("private_room.py", cwd=tmp_path)
    assert stdout.splitlines() == [
        "the page has a button: True",
        "/start answers dailyRoom, dailyToken, sessionId",
        "the person was greeted",
        "the conversation is over",
    ]
