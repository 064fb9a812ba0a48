"""Built models and emitted designs, kept between runs: each complete or absent, however a build ends.

An entry is a folder. Its seal lists the other files with their hashes and is written last: a folder without a seal is
no entry. The seal's modification time is the time of the last use. A process that uses an entry holds a shared lock on
its seal; one that builds or removes it holds the lock file beside it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PosixPath

from cosim.backends.file_lock import held, is_free, is_same_file, try_lock
from rtl.processes.temporary import removed_at_end

__all__ = ["Entry", "Model", "cache_bytes", "cache_dir", "cached_build", "clear", "entries"]

SEAL = "seal.json"
BYTES_VARIABLE = "HECATON_CACHE_BYTES"
DEFAULT_BYTES = 2 * 2**30


def cache_dir() -> Path:
    """Folder for built models: ``HECATON_CACHE`` if set, else ``hecaton`` in the user's cache folder."""
    given = os.environ.get("HECATON_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "hecaton"


def cache_bytes() -> int:
    """Largest total size of the entries in bytes: ``HECATON_CACHE_BYTES`` if set, else 2 GiB.

    Raises
    ------
    ValueError
        If the variable is not a number of bytes.
    """
    given = os.environ.get(BYTES_VARIABLE)
    if not given:
        return DEFAULT_BYTES
    if not (given.isascii() and given.isdigit()):
        raise ValueError(f"{BYTES_VARIABLE} = {given[:60]}: must be a number of bytes, at least 0")
    return int(given)


class Model(PosixPath):
    """Folder of a built model, which stays in the cache for the lifetime of this object."""

    def hold(self, descriptor: int) -> None:
        """Keep an open file, and the lock on it, for the lifetime of this object."""
        weakref.finalize(self, os.close, descriptor)


@dataclass(frozen=True)
class Entry:
    """A built model in the cache: its size, the time of its last use (seconds since 1970), whether it is in use now."""

    key: str
    bytes: int
    last_use: float
    in_use: bool


def cached_build(key: str, build: Callable[[Path], None]) -> Model:
    """Return the folder that ``build`` filled for ``key``; ``build`` is called only if there is no valid one.

    ``build`` fills a temporary folder, which is renamed once it is complete and removed if this process ends first. An
    entry whose files have changed since they were built is built again. Other processes that want the same model wait
    for it. After a build, the least recently used entries are removed until the total is within :func:`cache_bytes`;
    entries in use stay.

    Raises
    ------
    OSError
        If the cache folder cannot be written.
    ValueError
        If the bound on the size is not a number.
    """
    most = cache_bytes()
    _sweep(_builds())
    folder = _builds() / key
    model = _take(folder)
    if model is not None:
        return model
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held(_lock_file(key)):
        model = _take(folder)
        if model is None:
            _build(folder, build)
            model = _take(folder)
    if model is None:
        raise FileNotFoundError(errno.ENOENT, "the model was removed as soon as it was built", str(folder))
    _make_room(most)
    return model


def entries() -> list[Entry]:
    """Entries of the cache, the most recently used first."""
    listed = []
    for folder in _folders():
        if folder.name.startswith("."):
            continue
        with contextlib.suppress(OSError):
            seal = folder / SEAL
            listed.append(Entry(folder.name, _size(folder), seal.stat().st_mtime, not is_free(seal)))
    return sorted(listed, key=lambda entry: entry.last_use, reverse=True)


def clear() -> tuple[int, int]:
    """Remove every entry that is not in use, and the remains of interrupted builds.

    Returns
    -------
    How many entries were removed, and the bytes of everything that was removed.
    """
    removed, freed = 0, 0
    for folder in _folders():
        size = _size(folder)
        if _remove(folder):
            removed += not folder.name.startswith(".")
            freed += size
    _remove_lock_files()
    return removed, freed


def _builds() -> Path:
    return cache_dir() / "builds"


def _folders() -> list[Path]:
    """Entries, and the temporary folders ``.KEY.*`` of builds and removals, interrupted ones among them."""
    return sorted(path for path in _builds().glob("*") if path.is_dir())


def _take(folder: Path) -> Model | None:
    """Return the entry, held and with the time of its use, or None if there is no valid one."""
    try:
        descriptor = os.open(folder / SEAL, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Another process may have removed the entry before the lock was obtained.
        if not (is_same_file(descriptor, folder / SEAL) and _is_whole(folder)):
            return None
        with contextlib.suppress(PermissionError):  # a cache of another user serves as well
            os.utime(descriptor)
        model = Model(folder)
        model.hold(os.dup(descriptor))
        return model
    finally:
        os.close(descriptor)


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    building = _temporary(folder.name)
    with removed_at_end(building):
        building.mkdir(mode=0o700)
        build(building)
        files = [path for path in sorted(building.rglob("*")) if path.is_file()]
        seal = {str(path.relative_to(building)): _hash(path) for path in files}
        (building / SEAL).write_text(json.dumps(seal))
        building.rename(folder)


@cache
def _sweep(builds: Path) -> None:
    """Remove the remains of interrupted builds, once in a process."""
    for folder in builds.glob(".*"):
        if folder.is_dir():
            _remove(folder)
    _remove_lock_files()


def _remove_lock_files() -> None:
    """Remove the lock files of keys without an entry: the guard of a killed build removes its folder only."""
    for path in _builds().glob(".*.lock"):
        key = path.name.split(".")[1]
        if (_builds() / key).exists():
            continue
        # The cache may be another user's.
        with contextlib.suppress(PermissionError), held(path, wait=False) as is_held:
            if is_held:
                path.unlink(missing_ok=True)


def _make_room(most: int) -> None:
    for folder in _folders():
        if folder.name.startswith(".") or not (folder / SEAL).exists():
            _remove(folder)
    kept = entries()
    total = sum(entry.bytes for entry in kept)
    for entry in reversed(kept):
        if total <= most:
            return
        if _remove(_builds() / entry.key):
            total -= entry.bytes


def _remove(folder: Path) -> bool:
    """Remove an entry, or the remains of an interrupted build, unless it is in use or being built."""
    key = folder.name.split(".")[1] if folder.name.startswith(".") else folder.name
    with held(_lock_file(key), wait=False) as is_held:
        if not is_held:
            return False
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(folder / SEAL, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                if not try_lock(descriptor):
                    return False
            removing = _temporary(key)  # no process may see part of an entry
            was_there = True
            with removed_at_end(removing):
                try:
                    folder.replace(removing)
                except FileNotFoundError:  # another process was quicker
                    was_there = False
        _lock_file(key).unlink(missing_ok=True)
    return was_there


def _temporary(key: str) -> Path:
    return _builds() / f".{key}.{secrets.token_hex(4)}"


def _lock_file(key: str) -> Path:
    return _builds() / f".{key}.lock"


def _is_whole(folder: Path) -> bool:
    try:
        seal: dict[str, str] = json.loads((folder / SEAL).read_text())
        return all(_hash(folder / name) == digest for name, digest in seal.items())
    except (OSError, ValueError):
        return False


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):  # skips what is removed meanwhile
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(where) / name).stat().st_size
    return total


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
