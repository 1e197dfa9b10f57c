#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The captions: what is shown is what was heard, and what the bot remembers."""

from pathlib import Path

import pytest
from captions import Captions
from children import run_example
from offline.answering import GREETING, answer
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

from pipecat_tavus import SpokenTextFrame, StreamingUtteranceEvent, TavusEventFrame

pytestmark = pytest.mark.in_real_time

REMEMBERED = "In the bot's memory: "


@pytest.mark.timeout(150)
async def test_captions_stop_at_the_last_spoken_word_and_are_what_the_bot_remembers(tmp_path: Path):
    lines = (await run_example("captions.py", cwd=tmp_path)).splitlines(keepends=True)
    lines = [line for line in lines if line.strip()]
    remembered = [
        line.removeprefix(REMEMBERED).strip() for line in lines if line.startswith(REMEMBERED)
    ]
    # A caption is over where its line is; before, it grows in it.
    captions = [line.strip() for line in lines[: -len(remembered)] if line.endswith("\n")]
    growing = [line.strip() for line in lines if line.endswith("\r")]
    assert " ".join(captions) == " ".join(remembered)

    interrupted, whole = remembered
    assert GREETING.startswith(interrupted)
    assert 1 <= len(interrupted.split()) < len(GREETING.split())
    assert whole == answer("ten of clubs")
    assert {len(line.split()) for line in growing} >= {2, 5, 8}


def told(speech: str, *, role: str = "replica", late: bool = False) -> TavusEventFrame:
    return TavusEventFrame(StreamingUtteranceEvent(role=role, speech=speech, late=late))


def heard(text: str) -> Frame:
    # A system frame, so that it keeps its place among the others.
    return SpokenTextFrame(text, "word")


async def show(*frames: Frame) -> list[tuple[str, bool]]:
    shown: list[tuple[str, bool]] = []
    captions = Captions(lambda text, final: shown.append((text, final)))
    worker = PipelineWorker(Pipeline([captions]), enable_rtvi=False)
    await worker.queue_frames(frames)
    await worker.stop_when_done()
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    return shown


async def test_the_replicas_own_word_is_shown_while_it_is_ahead_of_the_text():
    shown = await show(
        BotStartedSpeakingFrame(),
        told("one two"),
        told("nothing of hers", role="user"),
        told("one", late=True),
        heard("one"),
        heard("two"),
        heard("three"),
        BotStoppedSpeakingFrame(),
    )
    assert shown == [
        *[("one two", False)] * 3,
        ("one two three", False),
        ("one two three", True),
    ]


async def test_an_interrupted_caption_ends_with_what_was_heard_and_the_next_is_a_new_one():
    shown = await show(
        BotStartedSpeakingFrame(),
        told("one two three"),
        heard("one"),
        heard("two"),
        InterruptionFrame(),
        BotStoppedSpeakingFrame(),
        told("one two three"),
        BotStartedSpeakingFrame(),
        heard("four"),
        BotStoppedSpeakingFrame(),
    )
    assert shown[-3:] == [("one two", True), ("four", False), ("four", True)]
