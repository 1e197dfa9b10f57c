#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""Which process owes a conversation its end, and whether that process is gone.

A pid alone says nothing, since it is given out again: a process is known by its host, the
host's boot, its pid and when it started.
"""

import os
import socket
import subprocess
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """A process.

    Parameters:
        host: The host's name and hardware address.
        boot: The host's boot; empty where the system does not tell.
        pid: The process id.
        started: When it started, in the system's own words; empty where it does not tell.
    """

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> "Owner":
        """This process, which a fork turns into another."""
        pid = os.getpid()
        return cls(_host(), _boot(), pid, _started(pid) or "")

    @property
    def is_gone(self) -> bool:
        """Whether the process is certainly gone. One on another host never is."""
        if self.host != _host():
            return False
        if self.boot and _boot() and self.boot != _boot():
            return True
        started = _started(self.pid)
        return started is None or bool(self.started and started and started != self.started)


@cache
def _host() -> str:
    return f"{socket.gethostname()}/{uuid.getnode():012x}"


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started; None where there is no such process, empty where unknown."""
    if (_PROC / "self/stat").exists():
        try:
            # The name, the second field, may hold anything, even ")".
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        except OSError:
            return ""
        # A zombie speaks to nobody any more.
        return None if fields[0] in ("Z", "X") else fields[19]
    try:
        shown = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=2
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return shown.stdout.strip() or None
