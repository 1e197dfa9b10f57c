"""The weather of the chaos: faults in each REST call, in the rooms, and of Tavus itself.

No fault lies: Tavus never says that it ended, or did not open, a conversation when the
opposite is true. Everything else that a server or a network can do wrong may happen.
"""

import asyncio
import random
import time
from collections import Counter

from pipecat_tavus.sandbox import TavusSandbox
from pipecat_tavus.sandbox.store import END_HIT

CREATE = "POST /conversations"
END = "POST /conversations/{id}/end"
LIST = "GET /conversations"
PERSONA = "GET /personas/{id}"

ORDERED_END = "chaos"
"""What the reasons begin with for which the chaos lets Tavus or the room end a conversation."""

_KEPT_SECS = 20.0
_HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def _garbage(dice: random.Random) -> str:
    return dice.choice(
        [
            '{"conversation_id": "c0123456789abc", "conversation_url": "http://127.0',
            _HTML,
            "",
            "null",
            "[]",
            "{}",
            '{"message": "ok"}',
            "[" * 60_000,
            '{"conversation_id": "", "conversation_url": 7}',
            '{"data": {"conversation_id": {}}, "total_count": "many"}',
            "\x00\xff" * 500,
        ]
    )


class Storm:
    """Orders faults for one sandbox, and keeps its book."""

    def __init__(self, sandbox: TavusSandbox, seed: int, strength: float):
        self._sandbox = sandbox
        self._dice = random.Random(seed)
        self._strength = strength
        self._seen = 0
        self._late: dict[str, tuple[float, dict]] = {}
        self._names: set[str] = set()
        self._record = None
        self.faults: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.opened = 0

    async def on_conversation(self, conversation) -> None:
        """Tavus, the room or the replica may have had enough of a conversation."""
        self.opened += 1
        self._names.add(conversation.name)
        if self._dice.random() > self._strength / 2:
            return
        await asyncio.sleep(self._dice.uniform(0.02, 1.2))
        if conversation.status != "active":
            return
        sandbox, id = self._sandbox, conversation.id
        match self._dice.choice(["room closed", "ended by Tavus", "replica left", "replica back"]):
            case "room closed":
                self.faults["room closed"] += 1
                sandbox.close_room(id, f"{ORDERED_END}: the room was closed")
            case "ended by Tavus":
                self.faults["ended by Tavus"] += 1
                sandbox.end(id, f"{ORDERED_END}: Tavus ended it")
            case what:
                self.faults[what] += 1
                sandbox.replica(id).leave()
                if what == "replica back":
                    await asyncio.sleep(0.1)
                    if conversation.status == "active":
                        sandbox.replica(id).join()

    async def blow(self) -> None:
        """Order faults at the pace at which calls come."""
        while True:
            await asyncio.sleep(0.01)
            self.step()

    def step(self) -> None:
        """Look at the calls that came, and order faults for some of those to come."""
        for record in self._new_records():
            call = _call(record)
            if call == CREATE and isinstance(record.body, dict):
                self._late_work(record)
            if call and self._dice.random() < self._strength:
                self._order(call)
            if call == CREATE:
                for room_call in ("JOIN", "SEND"):
                    if self._dice.random() < self._strength / 3:
                        self._order_in_room(room_call)
        self._work_late()
        self._forget_ended()

    def _new_records(self) -> list:
        records = self._sandbox.requests
        new = []
        for record in reversed(records):
            if record is self._record:
                break
            new.append(record)
        if records:
            self._record = records[-1]
        return new[::-1]

    def _late_work(self, record) -> None:
        # Whoever asked has given up by then, and the handler with it.
        if self._dice.random() < 0.5:
            at = time.monotonic() + self._dice.uniform(2.5, 5)
            self._late[record.body["conversation_name"]] = (at, record)

    def _work_late(self, *, now: float | None = None) -> None:
        """Open what was asked for in calls that were never answered nor obeyed."""
        now = now or time.monotonic()
        for name, (at, record) in list(self._late.items()):
            if at <= now:
                del self._late[name]
                if record.status is None and name not in self._names:
                    self.faults["create works late"] += 1
                    self._sandbox.create(record.body)

    @property
    def works_late(self) -> int:
        """How many calls may still be obeyed."""
        return len(self._late)

    def _order(self, call: str) -> None:
        dice = self._dice
        times = dice.choice([1, 1, 1, 2, 4])
        # To say 200 and not to have ended it would be a lie; so would 4xx when it was opened.
        works = dice.random() < 0.5
        choices = {
            "500": {"status": 500, "work": works},
            "502 HTML": {"status": 502, "body": _HTML, "work": works},
            "503": {"status": 503, "work": works},
            "503 Retry-After": _refusal(503, dice),
            "429": _refusal(429, dice),
            "429 bare": {"status": 429, "work": False},
            "401": {"status": 401, "body": {"message": "Invalid access token"}, "work": False},
            "302": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}, "work": False},
            "hang": {"hang": True, "work": False},
            "lost answer": {"hang": True, "work": True},
            "reset after work": {"reset": True, "work": True},
            "reset before work": {"reset": True, "work": False},
            "slow": {"delay": dice.uniform(0.05, 0.5)},
            "slow 500": {"delay": dice.uniform(0.05, 0.5), "status": 500, "work": works},
            "garbage": {"status": 200, "body": _garbage(dice), "work": True},
        }
        if call == CREATE:
            choices["400"] = {"status": 400, "body": {"error": "Invalid"}, "work": False}
            choices["no slot"] = {
                "status": 400,
                "body": {"message": "User has reached maximum concurrent conversations"},
                "work": False,
            }
        what = dice.choice(list(choices))
        self.faults[f"{call}: {what}"] += times
        self._sandbox.fail(call, times=times, **choices[what])

    def _order_in_room(self, call: str) -> None:
        dice = self._dice
        choices = {
            "refused": {"body": "not today"},
            "hang": {"hang": True},
            "reset": {"reset": True},
            "slow": {"delay": dice.uniform(0.05, 0.8)},
        }
        what = dice.choice(list(choices))
        self.faults[f"{call}: {what}"] += 1
        self._sandbox.fail(call, **choices[what])

    def calm_down(self) -> None:
        """No fault that was ordered is left."""
        self._work_late(now=float("inf"))
        self._sandbox._faults._ordered.clear()

    def _forget_ended(self, *, kept: float = _KEPT_SECS) -> None:
        """Keep the book short: Tavus, too, says 404 to an end in the end."""
        before = time.monotonic() - kept
        conversations = self._sandbox.conversations.values()
        for it in [c for c in conversations if c.status == "ended" and c.ended_at < before]:
            self.ends[it.shutdown_reason or "?"] += 1
            self._sandbox.delete(it.id)

    def close_book(self) -> list:
        """Count all ends; what was never ended, or only by one of Tavus's own limits."""
        self._forget_ended(kept=-1.0)
        return list(self._sandbox.conversations.values())

    def never_ended(self) -> int:
        """How many were ended neither by us nor at the chaos's order, of the closed book."""
        ours = sum(n for why, n in self.ends.items() if why == END_HIT)
        ordered = sum(n for why, n in self.ends.items() if why.startswith(ORDERED_END))
        return self.opened - ours - ordered


def _refusal(status: int, dice: random.Random) -> dict:
    after = dice.choice(["0", "0.05", "0.2", "30", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
    if status == 503 and not after[0].isdigit():
        after = "0.1"
    return {"status": status, "headers": {"Retry-After": after}, "work": False}


def _call(record) -> str | None:
    path = record.path.removeprefix("/v2")
    if path == "/conversations":
        return CREATE if record.method == "POST" else LIST
    if path.endswith("/end"):
        return END
    return PERSONA if path.startswith("/personas/") else None
