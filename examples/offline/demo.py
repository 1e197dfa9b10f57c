#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation with no account: what the person says, and whether all went well."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pipecat.audio.utils import create_file_resampler, interleave_stereo_audio
from pipecat.observers.base_observer import BaseObserver

from pipecat_tavus.sandbox import Note, SandboxPerson, TavusSandbox

from .stage import charges, join, open_stage, sent, watch
from .timeline import Timeline

AUDIO = Path(__file__).parents[1] / "audio"
VOICE_LEVEL = 500  # of 32768; the recordings' background noise stays below.

ECHO = "conversation.echo"
INTERRUPT = "conversation.interrupt"

Bot = Callable[[BaseObserver], Awaitable[None]]


@dataclass(frozen=True)
class Recording:
    """A recording of a human voice.

    Parameters:
        path: The WAV file, named after its words.
        begins: Where the first word begins, in seconds.
        ends: Where the last word ends, in seconds.
    """

    path: Path
    begins: float
    ends: float

    @property
    def words(self) -> str:
        """What is said."""
        return self.path.stem.replace("_", " ")

    @classmethod
    def load(cls, name: str) -> "Recording":
        """Find a recording, and where in it somebody speaks.

        Args:
            name: Its name.

        Returns:
            The recording.
        """
        path = AUDIO / f"{name}.wav"
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)
            rate = file.getframerate()
        size = rate // 50
        levels = [samples[i : i + size].std() for i in range(0, len(samples) - size + 1, size)]
        voiced = [i for i, level in enumerate(levels) if level > VOICE_LEVEL]
        return cls(path, voiced[0] / 50, (voiced[-1] + 1) / 50)


SCRIPT = ("go_forward_ten_meters", "go_somewhere_and_do_something", "ten_of_clubs")


async def converse(person: SandboxPerson, timeline: Timeline) -> None:
    """Say three things, the second one while the replica is speaking.

    Args:
        person: The person who says them.
        timeline: Is told when the words begin and end.
    """
    first, second, third = [Recording.load(name) for name in SCRIPT]

    await person.wait_until_replica_speaks()  # the greeting
    await person.wait_until_replica_is_silent(1.0)

    await say(person, first, timeline)
    await person.wait_until_replica_speaks()
    await asyncio.sleep(2.0)  # into the answer, but not to its end
    await say(person, second, timeline)
    await person.wait_until_replica_speaks()
    await person.wait_until_replica_is_silent(1.2)

    await say(person, third, timeline)
    await person.wait_until_replica_speaks()
    await person.wait_until_replica_is_silent(1.2)


async def say(person: SandboxPerson, recording: Recording, timeline: Timeline) -> None:
    """Say a recording, and mark where in it the words begin and end.

    Args:
        person: The person who says it.
        recording: What to say.
        timeline: Is told.
    """
    loop = asyncio.get_running_loop()
    marks = [
        loop.call_later(recording.begins, timeline.person_begins, recording.words),
        loop.call_later(recording.ends, timeline.person_ends),
    ]
    try:
        await person.say(recording.path)
    except BaseException:
        for mark in marks:
            mark.cancel()
        raise


async def play(bot: Bot, wav: Path) -> int:
    """Start the sandbox, let the bot and a person talk in it, and judge what happened.

    Args:
        bot: Runs the bot until the person leaves, with an observer.
        wav: Where the call is recorded.

    Returns:
        The exit status: 0 if the conversation went as it should.
    """
    timeline = Timeline()
    async with open_stage() as sandbox:
        timeline.tell("room", f"the Tavus sandbox is at {sandbox.api_url}")
        people: list[SandboxPerson] = []
        failures = await watch(bot(timeline), _talk(sandbox, timeline, people))
        timeline.tell("room", "the call is over")

        failures += timeline.failures(len(SCRIPT))
        timeline.summarize()
        failures += _check_the_book(sandbox, timeline)
        for person in people:
            failures += timeline.cut_short(person.heard_pcm())
            await _record(person, wav)
            timeline.fact("Recording", f"{wav} (left: the person, right: the replica)")
    timeline.verdict(failures)
    return 1 if failures else 0


async def _talk(sandbox: TavusSandbox, timeline: Timeline, people: list[SandboxPerson]) -> None:
    """Join, say what is to be said, and leave."""
    person = await join(sandbox)
    people.append(person)
    joined = timeline.now()
    timeline.tell("person", "joins the bot and the replica", joined)

    def listen(note: Note) -> None:
        if note.who == "replica":
            begins = note.what == "started_speaking"
            (timeline.replica_begins if begins else timeline.replica_ends)(joined + note.at)

    person.on_note = listen
    await converse(person, timeline)
    timeline.tell("person", "leaves")
    await person.leave()


def _check_the_book(sandbox: TavusSandbox, timeline: Timeline) -> list[str]:
    """Tell what the sandbox wrote down."""
    failures = charges(sandbox)
    for id, conversation in sandbox.conversations.items():
        echoes = len(sent(sandbox, id, ECHO))
        timeline.fact("Delivery", f"{echoes} {ECHO} messages" if echoes else "the track stream")
        if not sent(sandbox, id, INTERRUPT):
            failures.append("the replica was never told to stop")
        if conversation.ended_at is None:
            timeline.fact("Conversation", f"{id} was not ended")
        else:
            secs = conversation.ended_at - conversation.created_at
            reason = conversation.shutdown_reason
            timeline.fact("Conversation", f"{id} was ended after {secs:.1f} s ({reason})")
    return failures


async def _record(person: SandboxPerson, wav: Path) -> None:
    user, replica, (user_rate, rate) = person.recording()
    user = await create_file_resampler().resample(user, user_rate, rate)
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(interleave_stereo_audio(user, replica))
