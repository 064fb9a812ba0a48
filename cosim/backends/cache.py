"""Built models and emitted designs, kept between runs: whole or not at all, whoever builds and whatever breaks off.

An entry is a folder. Its seal lists the other files with their hashes and is written last: no seal, no model. The
seal's time of change is when the entry was last asked for, and a shared lock on the seal says that somebody uses
the entry. A lock file beside the entry is held by whoever builds or removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PosixPath

__all__ = ["Entry", "Model", "cache_bytes", "cache_dir", "cached_build", "clear", "entries"]

SEAL = "seal.json"
BYTES_VARIABLE = "HECATON_CACHE_BYTES"
DEFAULT_BYTES = 2 * 2**30


def cache_dir() -> Path:
    """Folder for built models: ``HECATON_CACHE`` if set, else ``hecaton`` in the user's cache folder."""
    given = os.environ.get("HECATON_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hecaton"


def cache_bytes() -> int:
    """Most bytes that the entries may have together: ``HECATON_CACHE_BYTES`` if set, else 2 GiB.

    Raises
    ------
    ValueError
        If the variable is no number of bytes.
    """
    given = os.environ.get(BYTES_VARIABLE)
    if not given:
        return DEFAULT_BYTES
    if not (given.isascii() and given.isdigit()):
        raise ValueError(f"{BYTES_VARIABLE} = {given[:60]}: must be a number of bytes, at least 0")
    return int(given)


class Model(PosixPath):
    """Folder of a built model, which nobody removes from the cache as long as this object is there."""

    def hold(self, descriptor: int) -> None:
        """Keep an open file, and the lock on it, until this object goes."""
        weakref.finalize(self, os.close, descriptor)


@dataclass(frozen=True)
class Entry:
    """A built model in the cache: its size, when it was last asked for (seconds since 1970), if it is in use."""

    key: str
    bytes: int
    last_use: float
    in_use: bool


def cached_build(key: str, build: Callable[[Path], None]) -> Model:
    """Return the folder that ``build`` filled for ``key``; it is called only if there is none that is whole.

    ``build`` fills a folder of its own, which gets its name when it is complete. A folder whose files are not what
    they were when they were built is built again. Other processes that want the same model wait for it. After a
    build, the entries that were not asked for for the longest time are removed until the rest is within
    :func:`cache_bytes`, but none that is in use.

    Raises
    ------
    OSError
        If the cache folder cannot be written.
    ValueError
        If the bound on the size is no number.
    """
    most = cache_bytes()
    folder = _builds() / key
    model = _take(folder)
    if model is not None:
        return model
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(key):
        model = _take(folder)
        if model is None:
            _build(folder, build)
            model = _take(folder)
    if model is None:
        raise FileNotFoundError(errno.ENOENT, "the model went as soon as it was built", str(folder))
    _make_room(most)
    return model


def entries() -> list[Entry]:
    """Entries of the cache, the one that was asked for last first."""
    found = []
    for folder in _folders():
        if folder.name.startswith("."):
            continue
        with contextlib.suppress(OSError):
            seal = folder / SEAL
            found.append(Entry(folder.name, _size(folder), seal.stat().st_mtime, not _is_free(seal)))
    return sorted(found, key=lambda entry: entry.last_use, reverse=True)


def clear() -> tuple[int, int]:
    """Remove every entry that is not in use, and what broken-off builds left.

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
    return removed, freed


def _builds() -> Path:
    return cache_dir() / "builds"


def _folders() -> list[Path]:
    """Entries, and folders with a dot and the key of an entry that is built or removed, or was until it broke off."""
    return sorted(path for path in _builds().glob("*") if path.is_dir())


def _take(folder: Path) -> Model | None:
    """Return the entry, in use and marked as just asked for, or None if there is none that is whole."""
    try:
        descriptor = os.open(folder / SEAL, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Whoever removed the entry meanwhile had the lock.
        if not (_is_same(descriptor, folder / SEAL) and _is_whole(folder)):
            return None
        with contextlib.suppress(PermissionError):  # somebody else's cache may serve us, too
            os.utime(descriptor)
        model = Model(folder)
        model.hold(os.dup(descriptor))
        return model
    finally:
        os.close(descriptor)


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    building = _temporary(folder.name)
    try:
        build(building)
        files = [path for path in sorted(building.rglob("*")) if path.is_file()]
        seal = {str(path.relative_to(building)): _hash(path) for path in files}
        (building / SEAL).write_text(json.dumps(seal))
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


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
    """Remove an entry, or what was left when its build or removal broke off, unless it is in use or in work."""
    key = folder.name.split(".")[1] if folder.name.startswith(".") else folder.name
    with _locked(key, wait=False) as got:
        if not got:
            return False
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(folder / SEAL, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                if not _try_lock(descriptor):
                    return False
            gone = _temporary(key)  # nobody may see half an entry
            there = True
            try:
                folder.replace(gone / key)
            except FileNotFoundError:  # somebody else was quicker
                there = False
            shutil.rmtree(gone, ignore_errors=True)
        _lock_file(key).unlink(missing_ok=True)
    return there


def _temporary(key: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{key}.", dir=_builds()))


def _lock_file(key: str) -> Path:
    return _builds() / f".{key}.lock"


@contextlib.contextmanager
def _locked(key: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of that entry; the system takes it back from a process that dies.

    Without ``wait`` it gives False if somebody else holds it.
    """
    path = _lock_file(key)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if wait:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            got = wait or _try_lock(descriptor)
            # Who removes an entry removes its lock file, too: then that of the name is another one.
            if not got or _is_same(descriptor, path):
                yield got
                return
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_whole(folder: Path) -> bool:
    try:
        seal: dict[str, str] = json.loads((folder / SEAL).read_text())
        return all(_hash(folder / name) == found for name, found in seal.items())
    except (OSError, ValueError):
        return False


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):  # passes over what goes meanwhile
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(where) / name).stat().st_size
    return total


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
