"""Every await of the library, found while it runs, and faults thrown into one of them.

The event loop's task factory drives each coroutine of a watched life by hand. Whenever one
is suspended with a frame of the library on its stack (not of the sandbox, which is the
world outside), that is a point, known by the stack and by how often it came before. A
point that is an await which did not suspend is found by a trace of the byte code.
"""

import asyncio
import dis
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pipecat_tavus

HOME = Path(pipecat_tavus.__file__).parent


class Point(NamedTuple):
    """A moment of a life at which the library waits.

    Parameters:
        where: The library's frames, the outermost first, as ``Class.method:line``.
        nth: How often the life was there before.
    """

    where: tuple[str, ...]
    nth: int

    def __str__(self) -> str:
        return f"{' > '.join(self.where)} #{self.nth}"


@dataclass(frozen=True)
class Fault:
    """What happens at a point.

    Parameters:
        name: Its name.
        error: Makes the exception; None for a cancellation of the task.
        late: Whether what is waited for happens first, so that only its result is lost.
        lasting: Whether it happens whenever the life comes there, not just once.
        gives_up: Whether it is one after which nothing is tried again, such as Tavus's own.
    """

    name: str
    error: Callable[[], BaseException] | None = None
    late: bool = False
    lasting: bool = False
    gives_up: bool = False


@dataclass
class Watch:
    """What one life does at its points.

    Parameters:
        point: Where the fault happens, or None to look only.
        fault: What happens there.
        every_await: Whether the points are the awaits of whatever is not the library's own,
            suspended or not, rather than all at which a task is suspended.
    """

    point: Point | None = None
    fault: Fault | None = None
    every_await: bool = False
    seen: list[Point] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    struck: int = 0
    awaiting: tuple[str, ...] | None = None
    own: set[tuple[str, ...]] = field(default_factory=set)
    _counts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def strikes(self, where: tuple[str, ...]) -> bool:
        """Note a point; whether the fault happens here."""
        here = Point(where, self._counts[where])
        self._counts[where] += 1
        self.seen.append(here)
        if self.fault is None or self.point is None:
            return False
        if here == self.point or (
            self.fault.lasting and where == self.point.where and here.nth > self.point.nth
        ):
            self.struck += 1
            return True
        return False

    def unfinished(self) -> list[str]:
        """The tasks of the library, or that are inside of it, that are not over."""
        return [
            f"{task.get_name()}: {_where(_coroutines(task.get_coro()))}"
            for task in self.tasks
            if not task.done()
            and (
                task.get_name().startswith(("tavus::", "SandboxRoom::"))
                or _where(_coroutines(task.get_coro()))
            )
        ]


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def begin(watch: Watch | None) -> None:
    """Watch all tasks that the current one creates from now on, or no longer."""
    _watch.set(watch)


@contextmanager
def watching() -> Iterator[None]:
    """Let the running loop drive watched tasks by hand."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(_make_task)
    try:
        yield
    finally:
        loop.set_task_factory(before)


def _make_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    watch = context.get(_watch) if context else _watch.get()
    if watch is None:
        return asyncio.Task(coroutine, loop=loop, **options)

    async def drive() -> Any:
        return await _Driven(coroutine, watch)

    driving = drive()
    task = asyncio.Task(driving, loop=loop, **options)
    # As a task that is cancelled before its first step closes its coroutine.
    task.add_done_callback(lambda _: coroutine.close())
    watch.tasks.append(task)
    if (
        not watch.every_await
        and isinstance(coroutine, types.CoroutineType)
        and _is_ours(coroutine.cr_code)
        and watch.strikes((f"the start of {coroutine.cr_code.co_qualname}",))
        and watch.fault
        and watch.fault.error is None
    ):
        task.cancel()
    return task


class _Driven:
    """Drives a coroutine, and throws into it where the watch says so."""

    def __init__(self, coroutine: Any, watch: Watch):
        self._coroutine = coroutine
        self._watch = watch

    def __await__(self) -> Any:
        watch, coroutine = self._watch, self._coroutine
        value: Any = None
        error: BaseException | None = None
        while True:
            before = sys.gettrace()
            if watch.every_await:
                # Each time anew: an exception out of a trace function ends the tracing.
                sys.settrace(_trace)
            try:
                waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                if watch.every_await:
                    # Somebody may be measuring the coverage.
                    sys.settrace(before)
            value = error = None
            where = () if watch.every_await else _where(_coroutines(coroutine))
            fault = watch.fault if where and watch.strikes(where) else None
            if fault and not fault.late:
                if fault.error is not None:
                    error = fault.error()
                    continue
                current = asyncio.current_task()
                assert current is not None
                current.cancel()
            try:
                value = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as e:
                error = e
            if fault and fault.late:
                error = fault.error() if fault.error else asyncio.CancelledError()


def _coroutines(coroutine: Any) -> Iterator[types.FrameType]:
    """The frames of a suspended coroutine, the outermost first."""
    while coroutine is not None:
        if isinstance(coroutine, types.CoroutineType):
            frame, coroutine = coroutine.cr_frame, coroutine.cr_await
        elif isinstance(coroutine, types.GeneratorType):
            frame, coroutine = coroutine.gi_frame, coroutine.gi_yieldfrom
        elif isinstance(coroutine, types.AsyncGeneratorType):
            frame, coroutine = coroutine.ag_frame, coroutine.ag_await
        else:
            return
        if frame is not None:
            yield frame
            driven = frame.f_locals.get("self") if frame.f_code is _DRIVE else None
            if driven is not None:
                coroutine = driven._coroutine


_DRIVE = _Driven.__await__.__code__


def _where(frames: Iterator[types.FrameType]) -> tuple[str, ...]:
    return tuple(
        f"{frame.f_code.co_qualname}:{frame.f_lineno}" for frame in frames if _is_ours(frame.f_code)
    )


@cache
def _is_ours(code: types.CodeType) -> bool:
    path = Path(code.co_filename)
    return path.is_relative_to(HOME) and not path.is_relative_to(HOME / "sandbox")


@cache
def _awaits(code: types.CodeType) -> frozenset[int]:
    """Where the await expressions of a code are; not those that an ``async with`` implies."""
    return frozenset(
        it.offset
        for it in dis.get_instructions(code)
        if it.opname == "GET_AWAITABLE" and not it.arg
    )


def _trace(frame: types.FrameType, event: str, arg: Any) -> Any:
    watch = _watch.get()
    if event != "call" or watch is None or not watch.every_await:
        return None
    is_ours = _is_ours(frame.f_code)
    awaiting, watch.awaiting = watch.awaiting, None
    if is_ours and awaiting:
        # It awaits a method of the library, which raises nothing before its own first await.
        watch.own.add(awaiting)
    if not is_ours or not _awaits(frame.f_code):
        return None
    frame.f_trace_opcodes = True
    frame.f_trace_lines = False
    return _trace_await


def _trace_await(frame: types.FrameType, event: str, arg: Any) -> Any:
    if event == "opcode" and frame.f_lasti in _awaits(frame.f_code):
        watch = _watch.get()
        where = (f"{frame.f_code.co_qualname}:{frame.f_lineno}",)
        if watch and watch.strikes(where):
            fault = watch.fault
            raise fault.error() if fault and fault.error else asyncio.CancelledError()
        if watch:
            watch.awaiting = where
    return _trace_await
