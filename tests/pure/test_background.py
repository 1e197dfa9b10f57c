"""What runs beside its caller fails without a word from asyncio."""

import ast
import asyncio
import gc
import weakref
from pathlib import Path

import pytest
from bots import until

import pipecat_tavus
from pipecat_tavus.background import in_background


@pytest.fixture
async def complaints():
    said = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))
    yield said
    loop.set_exception_handler(None)


async def fail():
    raise RuntimeError("nobody hears of it")


async def until_done(task):
    await asyncio.wait([task])


async def test_a_task_that_fails_while_nobody_waits_is_no_complaint_of_the_loop(complaints):
    await until_done(in_background(fail(), "tavus::test"))
    gc.collect()
    assert complaints == []


async def test_what_is_not_run_this_way_is_one(complaints):
    await until_done(asyncio.create_task(fail()))
    gc.collect()
    assert complaints == ["Task exception was never retrieved"]


async def test_who_waits_hears_of_it_all_the_same():
    with pytest.raises(RuntimeError, match="nobody"):
        await in_background(fail(), "tavus::test")


def test_the_library_starts_all_its_own_tasks_this_way():
    """Pipecat looks at those of its task manager."""
    starts, home = [], Path(pipecat_tavus.__file__).parent
    for path in {*home.rglob("*.py")} - {*(home / "sandbox").rglob("*.py")}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future"):
                starts.append((path.name, ast.unparse(node.value)))
    of_pipecat = ("self", "self._processor")
    assert {it for it in starts if it[1] not in of_pipecat} == {("background.py", "asyncio")}


async def test_a_task_that_nobody_holds_is_not_lost():
    waited_for, ended = [], []

    async def wait() -> None:
        future = asyncio.get_running_loop().create_future()
        waited_for.append(weakref.ref(future))
        await future
        ended.append(True)

    in_background(wait(), "held by nobody")
    await asyncio.sleep(0)
    gc.collect()
    waited_for[0]().set_result(None)
    await until(lambda: ended)
