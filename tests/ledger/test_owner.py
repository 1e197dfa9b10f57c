"""Who owes an end: a process is gone only where that is certain."""

import os
import subprocess
import sys
from dataclasses import replace

from pipecat_tavus.conversation.owner import Owner


def test_this_process_is_not_gone():
    me = Owner.current()
    assert me.pid == os.getpid()
    assert me == Owner.current()
    assert not me.is_gone


def test_a_process_that_has_ended_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    script = (
        "from pipecat_tavus.conversation.owner import Owner; o = Owner.current(); "
        "print(repr((o.host, o.boot, o.pid, o.started)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    gone = Owner(*eval(ended.stdout))
    assert gone.is_gone
    child.communicate(b"\n")
    zombie_or_gone = replace(gone, pid=child.pid)
    assert zombie_or_gone.is_gone


def test_another_process_with_the_same_pid_is_another():
    assert replace(Owner.current(), started="12345").is_gone


def test_a_process_of_an_earlier_boot_is_gone():
    assert replace(Owner.current(), boot="an earlier one").is_gone


def test_a_process_of_another_host_is_never_known_to_be_gone():
    assert not replace(Owner.current(), host="elsewhere", pid=1 << 30, boot="x").is_gone


def test_what_the_system_does_not_tell_makes_nobody_gone():
    assert not replace(Owner.current(), boot="", started="").is_gone
