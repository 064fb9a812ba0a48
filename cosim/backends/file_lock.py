"""Locks on files. The system releases the lock of a process that dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["held", "is_free", "is_same_file", "try_lock"]


@contextlib.contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a lock file, which is made if it is missing.

    Without ``wait`` it gives False if another process holds the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if wait:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            is_held = wait or try_lock(descriptor)
            # The previous holder may have removed the file: then another one has its name.
            if not is_held or is_same_file(descriptor, path):
                yield is_held
                return
        finally:
            os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file exclusively, unless it is locked; return whether it is now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(path: Path) -> bool:
    """Whether no process holds a lock on a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
