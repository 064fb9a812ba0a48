"""Built models, kept between runs: whole or not at all, whoever builds at the same time and whatever breaks off."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["cache_dir", "cached_build"]

SEAL = "seal.json"
"""File that lists the others and their contents' hashes. It is written last: no seal, no model."""


def cache_dir() -> Path:
    """Folder for built models: ``HECATON_CACHE`` if set, else ``hecaton`` in the user's cache folder."""
    given = os.environ.get("HECATON_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hecaton"


def cached_build(key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder that ``build`` filled for ``key``; it is called only if there is none that is whole.

    ``build`` fills a folder of its own, which gets its name when it is complete. A folder whose files are not what
    they were when they were built is built again. Other processes that want the same model wait for it.

    Raises
    ------
    OSError
        If the cache folder cannot be written.
    """
    folder = cache_dir() / "builds" / key
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f".{key}.lock"):
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            building = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=folder.parent))
            try:
                build(building)
                files = [path for path in sorted(building.rglob("*")) if path.is_file()]
                seal = {str(path.relative_to(building)): _hash(path) for path in files}
                (building / SEAL).write_text(json.dumps(seal))
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of that file; the system takes it back from a process that dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path) -> bool:
    try:
        seal: dict[str, str] = json.loads((folder / SEAL).read_text())
        return all(_hash(folder / name) == found for name, found in seal.items())
    except (OSError, ValueError):
        return False


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
