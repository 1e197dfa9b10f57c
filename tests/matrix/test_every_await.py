"""A fault at every await of a bot's life: nothing is left, and the conversation is ended.

The awaits are found by watching the lives in which nothing is thrown (see `points.py`), so
that an await that is new is in the matrix by itself.
"""

import ast
import asyncio
import logging
from collections import Counter

import pytest
from loguru import logger
from matrix.lives import PLAIN, ROUGH, live
from matrix.points import HOME, Fault, Point, Watch, watching

from pipecat_tavus import TavusServerError, client, conversation, farewell, opening, orphans

AT_ONCE = 10
TRIES = 5
"""Lives until a point counts as missed: what happens at the same time has no order."""


def runtime_error():
    return RuntimeError("out of the matrix")


def os_error():
    return OSError("out of the matrix")


def server_error():
    return TavusServerError("POST /anything", "out of the matrix", status=500, maybe_accepted=True)


CANCELLED = Fault("cancelled")
CANCELLED_LATE = Fault("cancelled late", late=True)
SUSPENDED = (
    CANCELLED,
    CANCELLED_LATE,
    Fault("RuntimeError", runtime_error, late=True),
    Fault("TavusServerError", server_error, late=True, gives_up=True),
    Fault("RuntimeError for good", runtime_error, late=True, lasting=True, gives_up=True),
)
AWAITED = (
    Fault("RuntimeError", runtime_error),
    Fault("TavusServerError", server_error, gives_up=True),
    Fault("OSError for good", os_error, lasting=True, gives_up=True),
)

# Some are thrown away before their first step, as a call is that raises at once.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


class World:
    """Lets lives be lived, a few at a time, and counts them."""

    def __init__(self, one):
        self._one = one
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.complaints: list[str] = []
        self.missed: list[str] = []
        self.lives = 0

    async def points(self, life, *, every_await=False) -> list[Point]:
        # The first one takes its time, and has points that no other has.
        await self.live(life, Watch(every_await=every_await))
        watch = Watch(every_await=every_await)
        assert await self.live(life, watch) == [], "nothing was thrown"
        return [point for point in watch.seen if point.where not in watch.own]

    async def strike(self, life, point, fault, *, every_await=False):
        async with self._slots:
            for _ in range(TRIES):
                watch = Watch(point, fault, every_await=every_await)
                wrong = await self.live(life, watch)
                where = f"{life.__name__}: {fault.name} at {point}"
                self.complaints += [f"{where}: {complaint}" for complaint in wrong]
                if watch.struck:
                    return
            self.missed.append(where)

    def missed_few(self, points) -> bool:
        return len(self.missed) <= max(3, 0.1 * len(points))

    async def live(self, life, watch) -> list[str]:
        self.lives += 1
        return await self._one(life, watch, self.lives)


@pytest.fixture
async def world(monkeypatch, tmp_path):
    monkeypatch.delenv("TAVUS_SAMPLE_ROOM_URL", raising=False)
    monkeypatch.setattr(opening, "_PATIENTLY", (0.0, 0.05, 0.1))
    monkeypatch.setattr(orphans, "STILL_UNDER_WAY_SECS", 0.0)
    monkeypatch.setattr(conversation, "_SLOT_INTERVAL", 0.02)
    monkeypatch.setattr(client, "_GUARD_INTERVAL", 0.1)

    def set_environment(sandbox, ledger_path):
        monkeypatch.setenv("TAVUS_API_URL", sandbox.api_url)
        monkeypatch.setenv("TAVUS_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TAVUS_REPLICA_ID", "r1")
        monkeypatch.setenv("TAVUS_LEDGER", str(ledger_path))

    async def one(life, watch, number):
        return await live(life, watch, tmp_path / f"{number}.sqlite3", set_environment)

    logger.disable("pipecat")
    logger.disable("pipecat_tavus")
    logging.disable(logging.CRITICAL)
    try:
        with watching():
            yield World(one)
    finally:
        logger.enable("pipecat")
        logger.enable("pipecat_tavus")
        logging.disable(logging.NOTSET)
        farewell.forget_all()
    assert not orphans.living


def report(capsys, what, points, world):
    with capsys.disabled():
        print(f"\n{what}: {points} points, {world.lives} lives, {len(world.missed)} missed")
        for line in [f"missed: {point}" for point in world.missed] + world.complaints:
            print(f"  {line}")


@pytest.mark.parametrize("fault", SUSPENDED, ids=lambda f: f.name)
@pytest.mark.parametrize("life", PLAIN, ids=lambda f: f.__name__)
async def test_nothing_is_left_wherever_a_plain_life_is_suspended(world, capsys, life, fault):
    points = await world.points(life)
    await asyncio.gather(*(world.strike(life, point, fault) for point in points))
    report(capsys, f"{life.__name__}, {fault.name}", len(points), world)
    assert world.complaints == []
    assert world.missed_few(points)


@pytest.mark.parametrize("fault", SUSPENDED, ids=lambda f: f.name)
async def test_nothing_is_left_wherever_a_rough_life_is_suspended(world, capsys, fault):
    """Those suspensions that a plain life does not have."""
    known = {point.where for life in PLAIN for point in await world.points(life)}
    strikes = []
    for life in ROUGH:
        points = [it for it in await world.points(life) if it.where not in known]
        known |= {it.where for it in points}
        strikes += [world.strike(life, point, fault) for point in points]
    await asyncio.gather(*strikes)
    report(capsys, f"rough lives, {fault.name}", len(strikes), world)
    assert world.complaints == []
    assert world.missed_few(strikes)


@pytest.mark.parametrize("fault", AWAITED, ids=lambda f: f.name)
async def test_nothing_is_left_whichever_await_raises(world, capsys, fault):
    """Whether it is suspended there or not."""
    lives: dict[Point, object] = {}
    for life in PLAIN + ROUGH:
        for point in await world.points(life, every_await=True):
            if point.nth == 0:
                lives.setdefault(point, life)
    strikes = [world.strike(life, point, fault, every_await=True) for point, life in lives.items()]
    await asyncio.gather(*strikes)
    report(capsys, f"every await expression, {fault.name}", len(strikes), world)
    assert world.complaints == []
    assert world.missed_few(strikes)


async def test_the_matrix_has_the_awaits_that_there_are(world, capsys):
    """But for what these lives do not do, such as to ask for a replica's name."""
    written = Counter()
    for path in HOME.glob("*.py"):
        if path.name != "daily_room.py":
            written.update(_awaits(ast.parse(path.read_text())))
    seen = set()
    phases: dict[str, set[Point]] = {}
    for life in PLAIN + ROUGH:
        for point in await world.points(life):
            phases.setdefault(point.where[0].partition(":")[0], set()).add(point)
        watch = Watch(every_await=True)
        await world.live(life, watch)
        seen |= {it.where[0] for it in watch.seen}
    unseen = sorted(written.keys() - seen)
    with capsys.disabled():
        print("\nsuspensions by where they begin:")
        for phase, points in sorted(phases.items(), key=lambda it: -len(it[1])):
            print(f"  {len(points):3} {phase}")
        print(f"{len(written)} lines with an await, not in the matrix: {', '.join(unseen)}")
    assert len(unseen) < 0.2 * len(written)


def _awaits(node, inside=()):
    """The lines with an await, named as a point is."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _awaits(child, (*inside, child.name))
            continue
        if isinstance(child, ast.Await):
            yield f"{'.'.join(inside)}:{child.lineno}"
        yield from _awaits(child, inside)
