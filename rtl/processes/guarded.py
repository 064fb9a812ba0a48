"""Tells the guard of this process what must not outlive it (:mod:`rtl.processes.guard`).

The guard starts with the first child or temporary folder. A process without either has no guard.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock

from rtl.processes import guard as script

__all__ = ["child_ended", "child_started", "child_starts", "path_begins", "path_removed"]

_LOADER_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")
"""Variables without which some installations of Python do not start."""


class _Guard:
    """The pipe to the guard, and what is guarded at the moment, by its key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pipe: int | None = None
        self._guarded: dict[str, str] = {}

    def add(self, key: str, message: str) -> None:
        with self._lock:
            self._guarded[key] = message
            self._tell(message)

    def drop(self, key: str, message: str) -> None:
        with self._lock:
            self._guarded.pop(key, None)
            self._tell(message)

    def forget(self) -> None:
        """In a forked process: what is guarded is the parent's."""
        if self._pipe is not None:
            os.close(self._pipe)
        self.__init__()  # type: ignore[misc]

    def _tell(self, message: str) -> None:
        if self._pipe is not None:
            try:
                _write(self._pipe, message)
            except BrokenPipeError:  # the guard was killed: start another one
                os.close(self._pipe)
            else:
                return
        self._pipe = _started_guard()
        for guarded in self._guarded.values():
            _write(self._pipe, guarded)


def _write(pipe: int, message: str) -> None:
    left = f"{message}\n".encode()
    while left:
        left = left[os.write(pipe, left) :]


def _started_guard() -> int:
    """Start a guard; return the pipe whose end is the end of this process."""
    reading, writing = os.pipe()
    discard = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", script.__file__],
            {name: os.environ[name] for name in _LOADER_VARIABLES if name in os.environ},
            file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *discard],
            setsid=True,
        )
    finally:
        os.close(reading)
    return writing


_guard = _Guard()
os.register_at_fork(after_in_child=_guard.forget)


def child_starts(token: str) -> None:
    """A child is about to start, with ``token`` as HECATON_CHILD in its environment."""
    _guard.add(token, f"start {token}")


def child_started(token: str, group: int) -> None:
    """The child with ``token`` has started, as the leader of the process group ``group``."""
    _guard.add(token, f"group {token} {group}")


def child_ended(token: str) -> None:
    """The child with ``token`` has ended with its whole group, or did not start."""
    _guard.drop(token, f"ended {token}")


def path_begins(path: Path) -> None:
    """A temporary folder or file is about to be made."""
    _guard.add(str(path), f"path {_encoded(path)}")


def path_removed(path: Path) -> None:
    """The temporary folder or file is removed or renamed."""
    _guard.drop(str(path), f"removed {_encoded(path)}")


def _encoded(path: Path) -> str:
    return os.fsencode(path.absolute()).hex()
