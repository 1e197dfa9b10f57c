"""Chaos: whole bots' lives against one sandbox in a storm of faults, many of them killed.

    python tests/chaos/chaos.py --runs 10000 --processes 600 --seed 1

A *life* is one transport, or one client, that began to open a conversation. Lives are hosted
by child processes, several at once in each; a child ends by itself, or by SIGINT, SIGTERM or
SIGKILL at a random moment, which cuts short the lives that it hosts. When all have been lived,
the storm ends, one plain bot of the same account is started, and 30 s later the sandbox's own
book says how many conversations were never ended: neither by us, nor by Tavus or the room at
the chaos's own order. Exit status 1 if there are any, or if a life got stuck. A process whose
event loop is over for its lives, and which then hangs in the shutdown of the loop, is killed,
and told of, with what it waits for; that is Pipecat's worker, and a failure where it is ours.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import select
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

# As a script as well as a module: `chaos` is this folder, not this file.
here = Path(__file__).resolve().parent
sys.path[:] = [str(here.parent), *(p for p in sys.path if Path(p or ".").resolve() != here)]

from chaos import lives as child  # noqa: E402
from chaos.storm import Storm  # noqa: E402
from loguru import logger  # noqa: E402

from pipecat_tavus.sandbox import ReplicaSettings, TavusSandbox  # noqa: E402

NEXT_START_SECS = 30.0
EXIT_SECS = 60.0
ENDS = ["exit"] * 3 + [signal.SIGINT, signal.SIGTERM] + [signal.SIGKILL] * 5


class Children:
    """Child processes, forked from a process that has all modules loaded and no loop.

    Each is a process of its own, which exits, or is killed, as any other.
    """

    def __init__(self) -> None:
        self._orders, orders = os.pipe()
        reports, self._reports = os.pipe()
        self.template = os.fork()
        if self.template == 0:
            os.close(orders)
            os.close(reports)
            self._serve()
        os.close(self._orders)
        os.close(self._reports)
        self._to, self._from = orders, reports
        self._rest = b""
        self.running: dict[int, dict] = {}
        self.started: asyncio.Queue[int] = asyncio.Queue()
        self.ended: dict[int, int] = {}
        self.reports: list[tuple[int, str, int, str]] = []

    def listen(self) -> None:
        os.set_blocking(self._from, False)
        asyncio.get_running_loop().add_reader(self._from, self._read)

    async def start(self, order: dict) -> int:
        os.write(self._to, json.dumps(order).encode() + b"\n")
        return await self.started.get()

    async def wait(self, pid: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while pid not in self.ended and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return pid in self.ended

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._from)
        os.close(self._to)
        os.close(self._from)
        os.waitpid(self.template, 0)

    def _read(self) -> None:
        try:
            *lines, self._rest = (self._rest + os.read(self._from, 65536)).split(b"\n")
        except BlockingIOError:
            return
        for line in lines:
            pid, what, number, words = line.decode("utf-8", "replace").split(" ", 3)
            if what == "started":
                self.started.put_nowait(int(pid))
            elif what == "ended":
                self.ended[int(pid)] = int(number)
            else:
                self.reports.append((int(pid), what, int(number), words))

    def _serve(self) -> None:
        """The process that forks: until nobody gives orders any more."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        rest, pids = b"", set()

        def report(what: str, number: int, words: str = "") -> None:
            os.write(self._reports, f"{os.getpid()} {what} {number} {words}\n".encode())

        while True:
            if select.select([self._orders], [], [], 0.01)[0]:
                got = os.read(self._orders, 65536)
                if not got:
                    break
                *lines, rest = (rest + got).split(b"\n")
                for line in lines:
                    pid = os.fork()
                    if pid == 0:
                        signal.signal(signal.SIGINT, signal.default_int_handler)
                        os.close(self._orders)
                        # Through the interpreter's own exit, as a script's.
                        report("started", 0)
                        child.main(json.loads(line), report)
                    pids.add(pid)
            while pids and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                pids.discard(pid)
                code = os.waitstatus_to_exitcode(status)
                os.write(self._reports, f"{pid} ended {code} \n".encode())
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os._exit(0)


class Chaos:
    """One run."""

    def __init__(self, options: argparse.Namespace, children: Children, state: Path):
        self._options = options
        self._children = children
        self._dice = random.Random(options.seed)
        self._ledger = state / "ledger.sqlite3"
        self._processes = 0
        self._stories: dict[int, str] = {}
        self.ends: Counter[str] = Counter()
        self.failures: list[str] = []
        self.hung: list[str] = []

    async def run(self) -> int:
        self._children.listen()
        sandbox = TavusSandbox(
            max_concurrent=10**6,
            replica=ReplicaSettings(join_delay=0.05, rendering_delay=0.05),
            # No end is Tavus's own: it never notices that the bot left, nor that none came.
            reaction_time=10**6,
            on_conversation=lambda conversation: storm.on_conversation(conversation),
        )
        storm = Storm(sandbox, self._dice.getrandbits(63), self._options.strength)
        began = time.monotonic()
        async with sandbox:
            self._environ = {
                "TAVUS_API_URL": sandbox.api_url,
                "TAVUS_API_KEY": sandbox.api_key,
                "TAVUS_REPLICA_ID": "r1",
                "TAVUS_SAMPLE_ROOM_URL": "",
                "TAVUS_LEDGER": str(self._ledger),
            }
            tasks = [asyncio.create_task(storm.blow()), asyncio.create_task(self._show(sandbox))]
            await asyncio.gather(*(self._raise_children() for _ in range(self._options.hosts)))
            while storm.works_late:
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()
            storm.calm_down()
            seconds = time.monotonic() - began
            left = self._open(sandbox)
            took = await self._next_start(sandbox)
            lost = storm.close_book()
            print(file=sys.stderr)
            return self._tell(storm, seconds, left, took, lost)

    async def _raise_children(self) -> None:
        """One child after another, until there were enough lives and processes."""
        options = self._options
        while self._begun() < options.runs or self._processes < options.processes:
            self._processes += 1
            missing = max(1, options.runs - self._begun())
            quota = missing / max(1, options.processes - self._processes + 1)
            # Those who are killed do not live all of theirs.
            lives = max(1, min(missing, round(self._dice.uniform(0.5, 2.2) * quota)))
            await self._raise_child(lives)

    async def _raise_child(self, lives: int) -> None:
        end = self._dice.choice(ENDS)
        order = self._order("live", lives)
        pid = await self._children.start(order)
        self._stories[pid] = f"{lives} lives, end: {end!s}"
        if end != "exit":
            # As long as its lives may take, so that some are killed when all is over.
            spell = 0.6 + 1.2 * lives / self._options.at_once
            if not await self._children.wait(pid, self._dice.uniform(0.0, spell)):
                os.kill(pid, end)
        if not await self._children.wait(pid, EXIT_SECS + lives):
            self.hung.append(f"process {pid} hung at its exit ({self._stories[pid]}), was killed")
            # It tells what it waits for.
            os.kill(pid, signal.SIGUSR1)
            await asyncio.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            await self._children.wait(pid, 10)
        self.ends[_how(self._children.ended[pid])] += 1

    def _order(self, what: str, lives: int = 0) -> dict:
        return {
            "do": what,
            "seed": self._dice.getrandbits(63),
            "lives": lives,
            "at_once": self._options.at_once,
            "log": self._options.log,
            "environ": self._environ,
        }

    async def _next_start(self, sandbox: TavusSandbox) -> float:
        """Start a bot in calm weather; the seconds until only its own conversation is open."""
        own = set(sandbox.conversations)
        pid = await self._children.start(self._order("next start"))
        began = time.monotonic()
        while time.monotonic() - began < NEXT_START_SECS:
            await asyncio.sleep(0.05)
            mine = set(sandbox.conversations) - own
            if mine and not any(sandbox.conversations[i].status == "active" for i in own):
                break
        took = time.monotonic() - began
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        if not await self._children.wait(pid, EXIT_SECS):
            self.failures.append("the next start did not end")
        return took

    def _count(self, what: str) -> int:
        return sum(report[1] == what for report in self._children.reports)

    def _begun(self) -> int:
        return self._count("B")

    @staticmethod
    def _open(sandbox: TavusSandbox) -> int:
        return sum(c.status == "active" for c in sandbox.conversations.values())

    async def _show(self, sandbox: TavusSandbox) -> None:
        """A progress bar, or a line now and then where nobody watches."""
        began, watched = time.monotonic(), sys.stderr.isatty()
        while True:
            await asyncio.sleep(0.5 if watched else 10)
            begun, runs = self._begun(), self._options.runs
            bar = "#" * min(30, 30 * begun // runs)
            minutes, seconds = divmod(int(time.monotonic() - began), 60)
            line = (
                f"[{bar:.<30}] {begun}/{runs} lives, {self._processes} processes, "
                f"{self.ends['SIGKILL']} killed, {self._open(sandbox)} open, {minutes}:{seconds:02}"
            )
            print(line, end="\r" if watched else "\n", file=sys.stderr, flush=True)

    def _tell(self, storm: Storm, seconds: float, left: int, took: float, lost: list) -> int:
        begun, reports = self._begun(), self._children.reports
        kinds = Counter(words for _, what, _, words in reports if what == "B")
        print(f"seed {self._options.seed}, {seconds:.0f} s of storm")
        print(f"lives: {begun} begun, {self._count('E')} lived to their end in a living process")
        print("  " + ", ".join(f"{kind}: {n}" for kind, n in sorted(kinds.items())))
        print(f"processes: {self._processes}, which ended by: {_list(self.ends)}")
        print(f"conversations: {storm.opened} opened, {left} open when the storm was over")
        print(f"  ended by: {_list(storm.ends)}")
        print(f"faults: {sum(storm.faults.values())} ordered")
        for what, count in sorted(storm.faults.items()):
            print(f"  {count:6} {what}")
        for _, what, number, words in reports:
            if what in "SX":
                self.failures.append(f"life {number} {'is stuck' if what == 'S' else ''}: {words}")
        if complaints := Counter(words for _, what, _, words in reports if what == "L"):
            print(f"the ledger complained: {_list(complaints)}")
        owed = self._owed()
        named = sum(1 for _, id in owed if id)
        print(f"ledger: {len(owed) - named} intents that came to nothing, {named} conversations")
        for process in self.hung:
            print(process)
        hangs = [(number, words) for _, what, number, words in reports if what == "H"]
        for where, count in Counter(it.partition(": ")[2] for _, it in hangs).most_common(9):
            print(f"  {count} tasks hung in {where}")
        self.failures += [f"the library hung: {words}" for ours, words in hangs if ours]
        for failure in self.failures:
            print(f"FAILED {failure}")
        never = storm.never_ended()
        for conversation in lost:
            print(f"LOST {conversation.name} {conversation.id} ({conversation.status})", end=" ")
            written = [id for name, id in owed if name == conversation.name]
            print(f"in the ledger: {written or 'no'}")
        print(f"never ended within {took:.1f} s of the next start: {never}")
        return 1 if never or self.failures else 0

    def _owed(self) -> list[tuple[str, str | None]]:
        with sqlite3.connect(self._ledger) as db:
            owed = db.execute("SELECT name, conversation_id FROM owed").fetchall()
        db.close()
        return owed


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _list(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counter.most_common()) or "nothing"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=100, help="lives (%(default)s)")
    parser.add_argument("--processes", type=int, default=0, help="at least; by default runs / 16")
    parser.add_argument("--seed", type=int, default=1, help="of the dice (%(default)s)")
    parser.add_argument("--hosts", type=int, default=3, help="processes at once (%(default)s)")
    parser.add_argument("--at-once", type=int, default=10, help="lives at once in each")
    parser.add_argument("--strength", type=float, default=0.25, help="how many calls fail")
    parser.add_argument("--log", help="file for the children's warnings")
    options = parser.parse_args()
    options.processes = options.processes or max(1, options.runs // 16)
    logger.remove()
    # The sandbox's server complains of each connection that is cut by order.
    logging.getLogger("aiohttp.server").disabled = True
    # Before there is a thread or a loop.
    children = Children()
    with tempfile.TemporaryDirectory() as state:
        return asyncio.run(_run(Chaos(options, children, Path(state)), children))


async def _run(chaos: Chaos, children: Children) -> int:
    try:
        return await chaos.run()
    finally:
        children.close()


if __name__ == "__main__":
    sys.exit(main())
