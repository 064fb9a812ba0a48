"""Temporary folders, removed at the end of the process that made them, however it ends.

A folder is removed by the context that made it, else by the guard of the process (:mod:`rtl.processes.guard`). If both
were killed, the next process that makes a temporary folder removes it: a lock shows whether its owner still runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from rtl.processes.guard import remove
from rtl.processes.guarded import path_begins, path_removed

__all__ = ["removed_at_end", "temporary_folder"]

PREFIX = "hecaton-"
LOCK = ".lock"


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for one run in the system's temporary folder; it is removed when the context or process ends.

    The first call in a process also removes the folders that dead processes left.

    Raises
    ------
    OSError
        If the temporary folder of the system cannot be written.
    """
    _sweep(Path(tempfile.gettempdir()))
    while True:
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{secrets.token_hex(8)}"
        with removed_at_end(folder):
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Before it was locked, another process may have removed it as the folder of a dead process.
                if (folder / LOCK).exists():
                    yield folder
                    return
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def removed_at_end(path: Path) -> Iterator[None]:
    """Remove the folder or file that the context makes at ``path`` when the context or the process ends.

    To keep it, the context renames it.
    """
    path_begins(path)
    try:
        yield
    finally:
        remove(str(path))
        path_removed(path)


@cache
def _sweep(parent: Path) -> None:
    """Remove the folders in ``parent`` whose owners are dead."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):
            if lock.parent.is_symlink() or lock.parent.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)
