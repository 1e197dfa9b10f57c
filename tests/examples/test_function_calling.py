#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot whose function a persona calls."""

from pathlib import Path

import pytest
from children import run_example

pytestmark = pytest.mark.in_real_time


async def test_each_call_is_answered_with_its_result_or_with_what_went_wrong(tmp_path: Path):
    lines = (await run_example("function_calling.py", cwd=tmp_path)).splitlines()
    assert lines[0].startswith("Talk with the replica at http")
    assert lines[1:] == [
        "get_weather({'city': 'Paris'}): success, {'sky': 'clear', 'degrees': 21}",
        "get_weather({'city': 'Atlantis'}): error, "
        "The function `get_weather` failed and returned no result.",
        "book_flight({'city': 'Paris'}): error, "
        "The function `book_flight` is not currently available.",
    ]
