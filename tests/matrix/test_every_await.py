"""A fault at every await of a bot's life: nothing is left, and the conversation is ended.

The awaits are found by watching the lives in which nothing is thrown (see `points.py`), so
that an await that is new is in the matrix by itself. What is promised happens at each of
them; what is worse than that at some, by the dice, and at all with `TAVUS_MATRIX=full`.
"""

import ast
import asyncio
import gc
import logging
import os
import random
from collections import Counter

import pytest
from loguru import logger
from matrix.lives import PLAIN, ROUGH, Life
from matrix.points import HOME, Fault, Point, Watch, watching
from matrix.stage import FULL
from matrix.verdict import live

from pipecat_tavus import TavusServerError, client
from pipecat_tavus.conversation import farewell, opening, orphans
from pipecat_tavus.conversation import life as life_of_conversation
from pipecat_tavus.video_in import HAS_SAMPLERS

AT_ONCE = 10
TRIES = 6
"""Lives until a point counts as missed: what happens at the same time has no order."""

SEED = os.environ.get("TAVUS_MATRIX_SEED", "1")
SAMPLE = 0.25


def runtime_error():
    return RuntimeError("out of the matrix")


def os_error():
    return OSError("out of the matrix")


def server_error():
    return TavusServerError("POST /anything", "out of the matrix", status=500, maybe_accepted=True)


EVERYWHERE = (Fault("cancelled"), Fault("RuntimeError", runtime_error, late=True))
"""What is promised: at each await, always."""

HERE_AND_THERE = (
    Fault("cancelled late", late=True),
    Fault("TavusServerError", server_error, late=True, gives_up=True),
    Fault("RuntimeError for good", runtime_error, late=True, lasting=True, gives_up=True),
)
RAISED_EVERYWHERE = (Fault("RuntimeError", runtime_error),)
RAISED_HERE_AND_THERE = (
    Fault("TavusServerError", server_error, gives_up=True),
    Fault("OSError for good", os_error, lasting=True, gives_up=True),
)

# Some are thrown away before their first step, as a call is that raises at once.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.timeout(300),
]


_found: dict[tuple[Life, bool], tuple[list[Point], set[str]]] = {}


class World:
    """Lets lives be lived, a few at a time, and counts them."""

    def __init__(self, one):
        self._one = one
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.complaints: list[str] = []
        self.missed: list[str] = []
        self.struck: set[tuple[str, ...]] = set()
        self.lives = 0

    async def points(self, life, *, every_await=False) -> list[Point]:
        """The points of a life, which is lived for that once."""
        if (life, every_await) not in _found:
            # The first one takes its time, and has points that no other has.
            await self.live(life, Watch(every_await=every_await))
            watch = Watch(every_await=every_await)
            assert await self.live(life, watch) == [], "nothing was thrown"
            points = [point for point in watch.seen if point.where not in watch.own]
            _found[life, every_await] = points, {it.where[0] for it in watch.seen}
        return _found[life, every_await][0]

    async def lines(self, life) -> set[str]:
        """The lines with an await that a life comes to."""
        await self.points(life, every_await=True)
        return _found[life, True][1]

    async def strike(self, life, point, fault, *, every_await=False):
        async with self._slots:
            for _ in range(TRIES):
                watch = Watch(point, fault, every_await=every_await)
                wrong = await self.live(life, watch)
                where = f"{life.__name__}: {fault.name} at {point}"
                self.complaints += [f"{where}: {complaint}" for complaint in wrong]
                if watch.struck:
                    self.struck.add(point.where)
                    return
            self.missed.append(where)

    async def strike_all(self, targets, fault, *, every_await=False):
        """Let a fault happen at all of some ``(life, point)``, and look at what it left."""
        strikes = [self.strike(it, point, fault, every_await=every_await) for it, point in targets]
        await asyncio.gather(*strikes)
        print(f"{fault.name}: {len(strikes)} points, {self.lives} lives")
        print(*(f"  missed: {missed}" for missed in self.missed), sep="\n")
        assert self.complaints == []
        assert len(self.missed) <= max(3, 0.1 * len(strikes))
        # What is missed in one life is met in another.
        never = {point.where for _, point in targets} - self.struck
        assert len(never) <= max(3, 0.05 * len(strikes)), never

    async def live(self, life, watch) -> list[str]:
        self.lives += 1
        return await self._one(life, watch, self.lives)


@pytest.fixture
async def world(monkeypatch, tmp_path):
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    monkeypatch.setattr(opening, "_PATIENTLY", (0.0, 0.05, 0.1))
    monkeypatch.setattr(orphans, "STILL_UNDER_WAY_SECS", 0.0)
    monkeypatch.setattr(orphans, "_SECOND_LOOK_SECS", 0.01)
    monkeypatch.setattr(life_of_conversation, "_SLOT_INTERVAL", 0.02)
    monkeypatch.setattr(client, "_GUARD_INTERVAL", 0.1)

    def set_environment(sandbox, ledger_path):
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        monkeypatch.setenv("TAVUS_LEDGER", str(ledger_path))

    unheard = []

    def complain(loop, context):
        # What a task of the library fails of is heard by somebody.
        task = context.get("task") or context.get("future")
        if isinstance(task, asyncio.Task) and task.get_name().startswith("tavus::"):
            unheard.append(f"{context['message']}: {task}")

    async def one(life, watch, number):
        return await live(life, watch, tmp_path / f"{number}.sqlite3", set_environment)

    logger.disable("pipecat")
    logger.disable("pipecat_tavus")
    logging.disable(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(complain)
    try:
        with watching():
            yield World(one)
    finally:
        gc.collect()
        logger.enable("pipecat")
        logger.enable("pipecat_tavus")
        logging.disable(logging.NOTSET)
        farewell.forget_all()
    assert not orphans.living
    assert unheard == []


def some(targets, fault):
    dice = random.Random(f"{SEED} {fault.name}")
    return targets if FULL else [it for it in targets if dice.random() < SAMPLE]


async def suspensions(world):
    """Those of the plain lives, and those that only the rough ones have."""
    targets = [(life, point) for life in PLAIN for point in await world.points(life)]
    known = {point.where for _, point in targets}
    for life in ROUGH:
        new = [point for point in await world.points(life) if point.where not in known]
        known |= {point.where for point in new}
        targets += [(life, point) for point in new]
    return targets


async def awaits(world):
    """Each await expression, in the first life that comes to it."""
    lives = {}
    for life in PLAIN + ROUGH:
        for point in await world.points(life, every_await=True):
            if point.nth == 0:
                lives.setdefault(point, life)
    return [(life, point) for point, life in lives.items()]


@pytest.mark.parametrize("fault", EVERYWHERE, ids=lambda f: f.name)
async def test_nothing_is_left_wherever_a_life_is_suspended(world, fault):
    await world.strike_all(await suspensions(world), fault)


@pytest.mark.parametrize("fault", HERE_AND_THERE, ids=lambda f: f.name)
async def test_nothing_is_left_where_a_life_meets_something_worse(world, fault):
    await world.strike_all(some(await suspensions(world), fault), fault)


@pytest.mark.parametrize("fault", RAISED_EVERYWHERE, ids=lambda f: f.name)
async def test_nothing_is_left_whichever_await_raises(world, fault):
    """Whether it is suspended there or not."""
    await world.strike_all(await awaits(world), fault, every_await=True)


@pytest.mark.parametrize("fault", RAISED_HERE_AND_THERE, ids=lambda f: f.name)
async def test_nothing_is_left_where_an_await_raises_something_worse(world, fault):
    await world.strike_all(some(await awaits(world), fault), fault, every_await=True)


ELSEWHERE = {
    *("daily_client.py", "daily_room.py", "track_writer.py", "runner.py", "tools.py"),
    *("daily_transport.py", "interaction_calls.py"),
    *(() if HAS_SAMPLERS else ("video_in.py",)),
}
"""What has no part in these lives: the native room, what stands before and beside a bot, the
calls of applications, which only pass on, and what this Pipecat cannot."""


async def test_the_matrix_has_the_awaits_that_there_are(world):
    """But for what these lives do not do, such as to ask for a replica's name."""
    written = Counter()
    for path in {*HOME.rglob("*.py")} - {*(HOME / "sandbox").rglob("*.py")}:
        if path.name not in ELSEWHERE:
            written.update(_awaits(ast.parse(path.read_text())))
    seen = set()
    for life in PLAIN + ROUGH:
        seen |= await world.lines(life)
    unseen = sorted(written.keys() - seen)
    print(f"{len(written)} lines with an await, not in the matrix: {', '.join(unseen)}")
    assert len(written) > 100
    assert len(unseen) < 0.15 * len(written)


OWNERS = ("TavusInputTransport", "TavusOutputTransport", "TavusTransportClient", "TavusTransport")
OTHERS = ("ConversationLife", "Opening", "TavusApi", "RoomEvents", "RoomAccess", "end_orphans")


async def test_the_finder_finds_what_everybody_knows(world):
    """Set-up, start, stop, cancel and clean-up, and who works beside them."""
    targets = await suspensions(world)
    frames = [line for _, point in targets for line in point.where]
    frames += [line for life in PLAIN for line in await world.lines(life)]
    names = {line.removeprefix("the start of ").partition(":")[0] for line in frames}
    for phase in ("setup", "start", "stop", "cancel", "cleanup"):
        assert [it for it in names if it.startswith("Tavus") and it.endswith(f".{phase}")], phase
    assert {*OWNERS, *OTHERS} <= {name.partition(".")[0] for name in names}
    assert len({point.where for _, point in targets}) > 40


def _awaits(node, inside=()):
    """The lines with an await, named as a point is."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _awaits(child, (*inside, child.name))
            continue
        if isinstance(child, ast.Await):
            yield f"{'.'.join(inside)}:{child.lineno}"
        yield from _awaits(child, inside)
