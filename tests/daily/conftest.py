#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The stand-ins of both borders, in place for each test."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# Helpers are imported by their own names: `daily` is the name of Daily's package.
sys.path.insert(0, str(Path(__file__).parent))

from calls import Call
from native import NativeDaily
from tavus_server import TavusServer


@pytest.fixture
def native() -> Iterator[NativeDaily]:
    with NativeDaily() as native:
        yield native


@pytest.fixture
async def tavus() -> AsyncIterator[TavusServer]:
    async with TavusServer() as tavus:
        yield tavus


@pytest.fixture
async def call(
    native: NativeDaily, tavus: TavusServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Call]:
    """A bot's call: its transport in a pipeline, not yet running."""
    monkeypatch.setenv("TAVUS_API_URL", tavus.url)
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    call = Call(native, tavus)
    yield call
    await call.aclose()
