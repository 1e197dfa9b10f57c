"""The bot in somebody else's conversation."""

from pathlib import Path

import pytest
from children import run_example

pytestmark = pytest.mark.in_real_time


async def test_a_bot_talks_in_a_conversation_that_goes_on_without_it(tmp_path: Path):
    stdout = await run_example("attach.py", cwd=tmp_path)
    assert stdout.splitlines() == [
        "the person was greeted",
        "the bot has left, the conversation is active",
    ]
