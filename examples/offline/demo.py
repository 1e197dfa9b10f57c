#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""A conversation with no account: Tavus, room, replica and person are played on this machine."""

import asyncio
import faulthandler
import os
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pipecat.audio.utils import create_file_resampler, interleave_stereo_audio
from pipecat.observers.base_observer import BaseObserver

from pipecat_tavus.sandbox import Note, SandboxPerson, TavusSandbox

from .timeline import Timeline

AUDIO = Path(__file__).parents[1] / "audio"
TIME_LIMIT = 50.0
LEAVE_LIMIT = 5.0
# Should the event loop itself hang, this ends the process.
HARD_TIME_LIMIT = 59.0
VOICE_LEVEL = 500  # of 32768; the recordings' background noise stays below.

ENDED_BY_THE_BOT = "end_conversation_endpoint_hit"
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
    faulthandler.dump_traceback_later(HARD_TIME_LIMIT, exit=True)
    timeline = Timeline()
    async with TavusSandbox() as sandbox:
        os.environ["TAVUS_API_URL"] = sandbox.api_url
        os.environ["TAVUS_API_KEY"] = sandbox.api_key
        os.environ["TAVUS_REPLICA_ID"] = "r-sandbox"
        timeline.tell("room", f"the Tavus sandbox is at {sandbox.api_url}")

        running = asyncio.ensure_future(bot(timeline))
        people: list[SandboxPerson] = []
        talking = asyncio.ensure_future(_talk(sandbox, timeline, people))
        failures = await _watch(running, talking)
        timeline.tell("room", "the call is over")

        failures += timeline.failures(len(SCRIPT))
        timeline.summarize()
        failures += _check_the_book(sandbox, timeline)
        for person in people:
            failures += timeline.cut_short(person.heard_pcm())
            await _record(person, wav)
            timeline.fact("Recording", f"{wav} (left: the person, right: the replica)")
    timeline.verdict(failures)
    faulthandler.cancel_dump_traceback_later()
    return 1 if failures else 0


async def _talk(sandbox: TavusSandbox, timeline: Timeline, people: list[SandboxPerson]) -> None:
    """Join when bot and replica are in the room, say what is to be said, and leave."""
    while not (room := _ready_room(sandbox)):  # noqa: ASYNC110  # as a person waits: by looking
        await asyncio.sleep(0.05)
    timeline.tell("room", f"conversation {room} has begun; bot and replica are there")
    person = await sandbox.join_person(room, name="Ann")
    people.append(person)
    joined = timeline.now()
    timeline.tell("person", "joins", joined)

    def listen(note: Note) -> None:
        if note.who == "replica":
            begins = note.what == "started_speaking"
            (timeline.replica_begins if begins else timeline.replica_ends)(joined + note.at)

    person.on_note = listen
    await converse(person, timeline)
    timeline.tell("person", "leaves")
    await person.leave()


def _ready_room(sandbox: TavusSandbox) -> str | None:
    """The conversation where both the bot and the replica are in the room, or None."""
    for id in sandbox.conversations:
        room = sandbox.room(id)
        if room.ids("bot") and room.ids("replica"):
            return id
    return None


async def _watch(running: asyncio.Future[None], talking: asyncio.Future[None]) -> list[str]:
    """Wait for both to come to their end, the bot after the person.

    Args:
        running: The bot.
        talking: The person.

    Returns:
        What went wrong.
    """
    failures: list[str] = []
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await asyncio.wait((running, talking), return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                failures.append("the bot ended before the person had said everything")
            elif talking.exception() is None:
                await asyncio.wait((running,), timeout=LEAVE_LIMIT)
                if not running.done():
                    failures.append(f"the bot did not end within {LEAVE_LIMIT:g} s")
    except TimeoutError:
        failures.append(f"the conversation was not over within {TIME_LIMIT:g} s")
    for future in (talking, running):
        if not future.done():
            future.cancel()
    for error in await asyncio.gather(talking, running, return_exceptions=True):
        if isinstance(error, TimeoutError):
            failures.append("the person waited in vain for the replica to speak, or to stop")
        elif isinstance(error, Exception):
            failures.append(f"{type(error).__name__}: {error}")
    return failures


def _check_the_book(sandbox: TavusSandbox, timeline: Timeline) -> list[str]:
    """What the sandbox wrote down: a conversation that nobody ends is one that costs money."""
    failures: list[str] = []
    if not sandbox.conversations:
        failures.append("no conversation was created")
    for id, conversation in sandbox.conversations.items():
        sent = [said.message for said in sandbox.room(id).messages]
        if not any(isinstance(it, dict) and it.get("event_type") == INTERRUPT for it in sent):
            failures.append("the replica was never told to stop")
        if conversation.ended_at is None:
            failures.append("the conversation was not ended")
            timeline.fact("Conversation", f"{id} was not ended")
        else:
            secs = conversation.ended_at - conversation.created_at
            reason = conversation.shutdown_reason
            timeline.fact("Conversation", f"{id} was ended after {secs:.1f} s ({reason})")
            if reason != ENDED_BY_THE_BOT:
                failures.append(f"not the bot ended the conversation, but Tavus: {reason}")
    return failures


async def _record(person: SandboxPerson, wav: Path) -> None:
    user, replica, (user_rate, rate) = person.recording()
    user = await create_file_resampler().resample(user, user_rate, rate)
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(interleave_stereo_audio(user, replica))
