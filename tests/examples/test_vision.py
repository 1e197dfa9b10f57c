#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot that sees, and the person who shows it coloured cards."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from children import run_example

pytestmark = pytest.mark.in_real_time

LINE = re.compile(r"bot +bot-transcription +(.*)")


@pytest.mark.skipif(
    find_spec("pipecat.adapters.llm") is None, reason="function schemas are elsewhere before 1.14"
)
@pytest.mark.timeout(150)
async def test_the_bot_names_the_cards_that_are_shown_and_says_when_it_is_blind(tmp_path: Path):
    stdout = await run_example("vision.py", cwd=tmp_path)
    said = [json.loads(line)["text"] for line in LINE.findall(stdout)]
    assert said == ["I see something red.", "I see something blue.", "I cannot see you."]
