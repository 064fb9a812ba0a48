"""The one way to run a program: in a process group of its own that ends with this process.

A child gets a session of its own, so an interrupt of the terminal reaches this process alone, which then ends the child
and everything that the child started. If this process is killed, its guard does so (:mod:`rtl.processes.guard`).
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

from rtl.processes.environment import child_environment
from rtl.processes.guard import VARIABLE
from rtl.processes.guarded import child_ended, child_started, child_starts

__all__ = ["ChildCancelled", "ChildTimeout", "EndedChild", "python_module", "run_child"]

POLL_SECONDS = 0.01


class ChildTimeout(Exception):
    """A child took longer than it may, and was ended."""


class ChildCancelled(Exception):
    """A child was ended because nobody waits for it any more."""


@dataclass(frozen=True)
class EndedChild:
    """A child that has ended.

    Attributes
    ----------
    code
        Its exit code; minus the number of the signal that ended it, if one did.
    output, errors
        What it printed to standard output and error; empty if that went to a log.
    """

    code: int
    output: str
    errors: str


def python_module(name: str) -> list[str]:
    """Command that runs a module in this Python. The current folder is not on its import path."""
    return [sys.executable, "-P", "-m", name]


def run_child(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    text: str = "",
    log: Path | None = None,
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
    cancelled: Event | None = None,
) -> EndedChild:
    """Run a program to its end.

    When this call ends, with an exception too, every process of the child's group has ended.

    Parameters
    ----------
    command
        The program and its arguments.
    folder
        Its current folder; without one the system's temporary folder, never the user's.
    text
        Its standard input, as UTF-8.
    log
        File that its standard output and error are appended to.
    variables
        Additions to its environment, which is that of :func:`rtl.processes.environment.child_environment`.
    seconds
        Longest time that it may take.
    cancelled
        Is set, by another thread, when the child is to end.

    Raises
    ------
    OSError
        If the program cannot be started.
    ChildTimeout
        If it takes longer than ``seconds``.
    ChildCancelled
        If ``cancelled`` is set before it ends.
    """
    token = f"{os.getpid()}-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        streams = [stack.enter_context(_unnamed_file()) for _ in range(3)]
        stdin, output, errors = streams
        stdin.write(text.encode())
        stdin.seek(0)
        if log is not None:
            output = errors = stack.enter_context(log.open("ab"))
        child_starts(token)
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder or tempfile.gettempdir(),
                stdin=stdin,
                stdout=output,
                stderr=errors,
                env={**child_environment(variables), VARIABLE: token},
                start_new_session=True,
            )
        except BaseException:
            child_ended(token)
            raise
        try:
            child_started(token, process.pid)
            _wait(process.pid, seconds, cancelled)
        finally:
            # The leader is not reaped yet, so the number of the group is still its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            child_ended(token)
        return EndedChild(code, *(("", "") if log is not None else (_content(output), _content(errors))))


def _unnamed_file() -> IO[bytes]:
    """A file without a name, in memory where the system can: a full disk must not cut what a child prints."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("hecaton"), "w+b")
    return tempfile.TemporaryFile()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _wait(pid: int, seconds: float | None, cancelled: Event | None) -> None:
    """Wait until a child has ended, without reaping it."""
    options = os.WEXITED | os.WNOWAIT
    with suppress(ChildProcessError):  # where children are reaped by the system
        if seconds is None and cancelled is None:
            os.waitid(os.P_PID, pid, options)
            return
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while os.waitid(os.P_PID, pid, options | os.WNOHANG) is None:
            if cancelled is not None and cancelled.is_set():
                raise ChildCancelled("cancelled")
            if time.monotonic() > deadline:
                raise ChildTimeout(f"no end within {seconds} s")
            time.sleep(POLL_SECONDS)
