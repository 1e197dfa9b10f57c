#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The bot for RTVI clients, and its client in the sandbox."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from children import run_example
from offline.answering import GREETING, answer

pytestmark = pytest.mark.in_real_time

LINE = re.compile(r"(client|bot) +(\S+) +(.*)")


@pytest.mark.timeout(150)
async def test_an_rtvi_client_talks_with_the_bot(tmp_path: Path):
    stdout = await run_example("rtvi_bot.py", "--echo", cwd=tmp_path)
    lines = [match.groups() for line in stdout.splitlines() if (match := LINE.fullmatch(line))]
    assert [(who, type) for who, type, _ in lines] == [
        ("client", "client-ready"),
        ("bot", "bot-ready"),
        ("client", "send-text"),
        ("bot", "server-message"),
        ("bot", "bot-transcription"),
        ("bot", "bot-started-speaking"),
        ("bot", "bot-stopped-speaking"),
        ("client", "client-message"),
        ("bot", "server-response"),
        ("client", "client-message"),
        ("bot", "error-response"),
        ("client", "disconnect-bot"),
    ]
    told: dict[str, Any] = {type: json.loads(data) for who, type, data in lines if who == "bot"}
    assert told["bot-ready"]["about"]["library"] == "pipecat-ai"
    greeting = told["server-message"]["said"]
    assert told["server-message"]["interrupted"]
    assert GREETING.startswith(greeting)
    assert 1 <= len(greeting.split()) < len(GREETING.split())
    assert told["bot-transcription"]["text"].strip() == "You said: ten of clubs."
    assert [
        (message["role"], message["content"])
        for message in told["server-response"]["d"]
        if message["role"] != "developer"
    ] == [
        ("assistant", greeting),
        ("user", "ten of clubs"),
        ("assistant", answer("ten of clubs")),
    ]
    assert told["error-response"] == {"error": "No such question: weather"}
