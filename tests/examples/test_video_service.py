#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The video service behind a transport of Pipecat's own: heard, and remembered."""

import re
import socket
from pathlib import Path

import pytest
from children import run_example
from offline.answering import GREETING, answer

pytestmark = pytest.mark.in_real_time


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


@pytest.mark.timeout(150)
async def test_a_person_at_a_websocket_talks_with_the_replica(tmp_path: Path):
    stdout = await run_example("video_service.py", "--port", str(free_port()), cwd=tmp_path)
    greeting, answered = [float(secs) for secs in re.findall(r" took ([\d.]+) s", stdout)]
    assert greeting > 1.5 and answered > 1.5
    assert re.findall(r"memory: (.*)", stdout) == [GREETING, answer("ten of clubs")]
    assert int(re.findall(r"replica: (\d+)", stdout)[0]) > 50
