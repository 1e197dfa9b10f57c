"""Fuzz: whatever anybody in the room may send, and whatever a server may answer.

    python tests/chaos/fuzz.py --messages 1000000 --seed 1

Nothing may raise but a :class:`~pipecat_tavus.TavusError`, no client's message may end the
conversation or pass for Tavus's, and nothing that came late may turn back who speaks.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

# As a script as well as a module: `chaos` is this folder, not one of its files.
here = Path(__file__).resolve().parent
sys.path[:] = [str(here.parent), *(p for p in sys.path if Path(p or ".").resolve() != here)]

from loguru import logger  # noqa: E402

from pipecat_tavus import (  # noqa: E402
    StartedSpeakingEvent,
    StoppedSpeakingEvent,
    TavusCallbacks,
    TavusError,
    TavusEvent,
    TavusRoomClosedError,
    parse_event,
)
from pipecat_tavus.events.inbox import SEQS_REMEMBERED, STATES_REMEMBERED, Inbox  # noqa: E402
from pipecat_tavus.rest.answers import read_answer, read_error  # noqa: E402
from pipecat_tavus.rest.models import (  # noqa: E402
    Conversation,
    ConversationPage,
)
from pipecat_tavus.rest.personas import Persona, Replica  # noqa: E402
from pipecat_tavus.room.room_events import RoomEvents  # noqa: E402

MODELS = (Conversation, ConversationPage, Persona, Replica)
SHUTDOWN = {"message_type": "system", "event_type": "system.shutdown", "properties": {}}

EVENT_TYPES = [
    *("system.replica_joined", "system.replica_present", "system.shutdown"),
    *("conversation.started_speaking", "conversation.stopped_speaking"),
    *("conversation.replica.started_speaking", "conversation.pal.stopped_speaking"),
    *("conversation.user.started_speaking", "conversation.user.stopped_speaking"),
    *("conversation.utterance", "conversation.utterance.streaming", "conversation.tool_call"),
    *("conversation.perception_tool_call", "conversation.perception_analysis", "conversation.new"),
]
_PROPERTIES = [
    *("role", "speech", "content_index", "final", "is_interrupted", "interrupted", "duration"),
    *("name", "arguments", "frames", "modality", "analysis", "attempt", "reason", "late", "raw"),
]

_WORDS = [
    *("replica", "pal", "user", "true", "false", "{}", '{"a": 1}', "7", "event_type", "seq"),
    *("message_type", "event_type", "system.shutdown", "properties", "shutdown_reason", "reason"),
    *("conversation_id", "conversation_url", "conversation_name", "status", "data", "total_count"),
    *("id", "info", "userId", "userName", "isLocal", "participants", "local", "tavus-replica-r1"),
    *("persona_id", "persona_name", "replica_id", "layers", "meeting_token", "message", "error"),
    *("", "active", "ended", "http://127.0.0.1/rooms/c1", "http://[", "\ud800", "\x00", "\u202e"),
]


class Dice(random.Random):
    """Throws JSON, and what only looks like it."""

    def word(self) -> str:
        chance = self.random()
        if chance < 0.8:
            return self.choice(_WORDS)
        if chance < 0.9995:
            return "".join(chr(self.randrange(0x110000)) for _ in range(self.randrange(6)))
        return self.choice("a[{\\\u00e9") * 65536

    def scalar(self) -> Any:
        return self.choice(
            [
                None,
                True,
                False,
                0,
                -1,
                10**30,
                1e308,
                float("nan"),
                float("inf"),
                self.random(),
                self.word(),
                self.word(),
                self.word(),
            ]
        )

    def value(self, depth: int = 3) -> Any:
        chance = self.random()
        if depth == 0 or chance < 0.45:
            return self.scalar()
        if chance < 0.6:
            return [self.value(depth - 1) for _ in range(self.randrange(4))]
        return {self.word(): self.value(depth - 1) for _ in range(self.randrange(5))}

    def message(self) -> Any:
        """An app message, often nearly one of Tavus's."""
        chance = self.random()
        if chance < 0.0005:
            return self.deep(self.choice([5, 200, 900, 5000]))
        if chance < 0.4:
            return self.event()
        if chance < 0.6:
            it = dict(SHUTDOWN)
            for _ in range(self.randrange(3)):
                it[self.choice([*SHUTDOWN, "reason", "conversation_id"])] = self.value(2)
            return it
        return self.value()

    def event(self) -> Any:
        """Nearly one of Tavus's events, some of them again and again, and out of order."""
        it: dict[str, Any] = {"event_type": self.choice(EVENT_TYPES)}
        if self.random() < 0.9:
            it["seq"] = self.randrange(400) if self.random() < 0.9 else self.value(1)
        for key in ("conversation_id", "inference_id", "turn_idx", "timestamp"):
            if self.random() < 0.3:
                it[key] = self.choice(["c1", "c2", "i1", self.value(1)])
        properties = {
            key: self.choice(["replica", "pal", "user", self.value(2)])
            for key in self.sample(_PROPERTIES, self.randrange(6))
        }
        if self.random() < 0.5:
            properties["role"] = self.choice(["replica", "pal", "user"])
        place = self.random()
        if place < 0.7:
            it["properties"] = properties
        elif place < 0.9:
            it.update(properties)
        else:
            it["properties"] = self.value(1)
        return it

    def deep(self, depth: int) -> Any:
        it: Any = self.scalar()
        for _ in range(depth):
            it = [it] if self.random() < 0.5 else {self.word()[:50]: it}
        return it

    def participant(self) -> Any:
        if self.random() < 0.2:
            return self.value()
        user_id = self.choice(["tavus-replica-r1", "user", self.value(1)])
        return {
            "id": self.choice(["a", "b", "c", "d", self.value(1)]),
            "info": self.choice(
                [
                    {"userId": user_id, "userName": self.choice(["Ada", "Pipecat Stream"])},
                    {"isLocal": self.value(1), "userId": user_id},
                    self.value(2),
                ]
            ),
            "media": self.value(1),
        }

    def answer(self) -> str:
        """The text of an answer, whole or not."""
        chance = self.random()
        if chance < 0.01:
            return self.choice(["[", '{"a":', '[{"data":']) * self.choice([10, 1000, 100_000])
        text = json.dumps(self.value(), ensure_ascii=self.random() < 0.5)
        if chance < 0.3:
            text = text[: self.randrange(len(text) + 1)]
        elif chance < 0.4:
            text = "<html>" + text
        return text

    def headers(self) -> dict[str, str]:
        values = ["0", "-1", "nan", "inf", "1e999", "soon", "", "\x00", self.word()]
        places = ["http://[", "//", "https://evil.example/x", "\ud800", self.word()]
        return {"Retry-After": self.choice(values), "Location": self.choice(places)}


class Ear:
    """Listens to speech, and trusts that what it is told is new."""

    def __init__(self, wrong: list[str]) -> None:
        self.wrong = wrong

    def on_speaking(self, event: TavusEvent) -> None:
        if event.late:
            self.wrong.append(f"late, and told to whom trusts it: {event!r}")

    on_streaming_utterance = on_speaking

    def on_left(self) -> None:
        pass


class Mail:
    """What comes through an inbox, and who speaks by what it says."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.newest: dict[str, int] = {}

    def take(self, message: Any) -> None:
        event = parse_event(message)
        news = event and self.inbox.take(event)
        if isinstance(news, StartedSpeakingEvent | StoppedSpeakingEvent):
            newest = self.newest.get(news.role)
            if news.seq is not None and not news.late:
                assert newest is None or news.seq > newest, "who speaks is turned back"
                self.newest[news.role] = news.seq
        assert len(self.inbox._seqs) <= SEQS_REMEMBERED
        assert len(self.inbox._states) <= STATES_REMEMBERED


class Room:
    """The room's events, and what the application and whoever listens to speech are told."""

    def __init__(self) -> None:
        self.ended = 0
        self.told = 0
        self.spoofing = False
        self.wrong: list[str] = []
        self.events = self._fresh()

    def _fresh(self) -> RoomEvents:
        async def told(*_: Any) -> None:
            pass

        async def failed(error: TavusError, raised: bool) -> None:
            if isinstance(error, TavusRoomClosedError):
                self.ended += 1

        async def on_event(event: TavusEvent) -> None:
            self.told += 1
            if self.spoofing:
                self.wrong.append(f"a client's word is taken for Tavus's: {event!r}")

        names = set(TavusCallbacks.model_fields) - {"on_error", "on_event"}
        callbacks = TavusCallbacks(
            on_error=failed, on_event=on_event, **{name: told for name in names}
        )
        events = RoomEvents(
            callbacks,
            mute=told,
            over=lambda: True,
            ends_with_replica=False,
            conversation_id=lambda: "c1",
        )
        events.add_speech_listener(Ear(self.wrong))
        return events

    async def take(self, dice: Dice) -> str:
        """One thing that the room tells; what it was."""
        events = self.events
        what = dice.choice(
            ["message"] * 6 + ["joined", "updated", "left", "on_joined", "persona", "again"]
        )
        match what:
            case "message":
                message = dice.message()
                sender = dice.choice(["a", "b", "c", "d", "", "nobody"])
                await events.on_app_message(message, sender)
            case "joined":
                await events.on_participant_joined(dice.participant())
            case "updated":
                await events.on_participant_updated(dice.participant())
            case "left":
                await events.on_participant_left(dice.participant(), dice.word())
            case "on_joined":
                others = {dice.word(): dice.participant() for _ in range(2)}
                local = {"local": dice.choice([{"id": "me"}, dice.participant()])}
                people = dice.choice([{**local, **others}, dice.value(1)])
                await events.on_joined(dice.choice([{"participants": people}, {}]))
            case "persona":
                await events.persona_is(dice.word())
            case _:
                if dice.random() < 0.2:
                    await events.everybody_left("the bot left")
                    self.events = self._fresh()
        return what

    async def spoof(self) -> None:
        """A client says that Tavus shuts the conversation down."""
        events = self._fresh()
        await events.on_participant_joined({"id": "eve", "info": {"userId": "eve"}})
        before = self.ended
        self.spoofing = True
        await events.on_app_message(SHUTDOWN, "eve")
        for event_type in EVENT_TYPES:
            await events.on_app_message({"event_type": event_type, "seq": 1}, "eve")
        self.spoofing = False
        assert self.ended == before, "a client ended the conversation"


def answers(dice: Dice) -> str:
    """What a server may answer."""
    if dice.random() < 0.5:
        try:
            model = dice.choice(MODELS)
            assert isinstance(read_answer("GET /x", 200, dice.answer(), model), model)
        except TavusError as e:
            str(e)
        return "answer"
    status = dice.choice([300, 302, 400, 401, 402, 404, 408, 418, 429, 500, 503, 599])
    error = read_error("GET /x", status, dice.answer(), dice.headers())
    assert isinstance(error, TavusError)
    assert len(str(error)) < 700
    return "error"


async def fuzz(messages: int, seed: int, progress: Callable[[int], None]) -> Counter[str]:
    """Let so many things come; how many of each there were."""
    dice, room, mail, counts = Dice(seed), Room(), Mail(), Counter[str]()
    for number in range(messages):
        counts[answers(dice) if dice.random() < 0.2 else await room.take(dice)] += 1
        mail.take(dice.message())
        if number % 1000 == 0:
            await room.spoof()
            mail = Mail()
            progress(number)
            await asyncio.sleep(0)
    assert room.told, "no event got through"
    assert not room.wrong, room.wrong[:3]
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--messages", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    options = parser.parse_args()
    logger.remove()
    # What is caught and logged is an exception that was not caught where it should be.
    logger.add(lambda message: caught.append(str(message)), level="ERROR")
    caught: list[str] = []
    began = time.monotonic()

    def progress(number: int) -> None:
        if sys.stderr.isatty() or number % 100_000 == 0:
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"  {number}/{options.messages}", end=end, file=sys.stderr, flush=True)

    counts = asyncio.run(fuzz(options.messages, options.seed, progress))
    told = ", ".join(f"{what} {n}" for what, n in counts.most_common())
    print(f"{counts.total()} in {time.monotonic() - began:.0f} s: {told}")
    print(f"uncaught exceptions: 0, logged errors: {len(caught)}")
    for it in caught[:3]:
        print(it)
    return 1 if caught else 0


if __name__ == "__main__":
    sys.exit(main())
