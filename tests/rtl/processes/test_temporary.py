"""Temporary folders: made, removed, and swept once their owners are dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rtl.processes.temporary import _sweep, removed_at_end, temporary_folder
from tests.processes import ROOT, is_running, wait_until


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _sweep.cache_clear()
    return tmp_path


def test_a_folder_goes_with_its_context(parent: Path) -> None:
    with temporary_folder() as folder, temporary_folder() as other:
        assert folder != other
        assert {folder.parent, other.parent} == {parent}
        assert folder.name.startswith("hecaton-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "sub").mkdir()
        (folder / "sub" / "file").touch()
    assert list(parent.iterdir()) == []


def test_a_folder_goes_with_an_error(parent: Path) -> None:
    with pytest.raises(ValueError, match="no"), temporary_folder():
        raise ValueError("no")
    assert list(parent.iterdir()) == []


def test_what_is_renamed_stays(parent: Path) -> None:
    with removed_at_end(parent / "half"):
        (parent / "half").mkdir()
        (parent / "half").rename(parent / "whole")
    assert list(parent.iterdir()) == [parent / "whole"]


def test_folders_of_dead_processes_are_swept_and_others_stay(parent: Path) -> None:
    program = (
        "from rtl.processes.temporary import temporary_folder\n"
        "with temporary_folder() as folder: print(folder, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(parent), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    live = Path(process.stdout.readline().strip())
    dead = parent / "hecaton-dead"
    dead.mkdir()
    (dead / ".lock").touch()
    users = parent / "hecaton-results"
    users.mkdir()
    with temporary_folder() as folder:
        assert set(parent.iterdir()) == {folder, live, users}
    process.communicate("\n")
    assert set(parent.iterdir()) == {users}


def test_a_guard_that_was_killed_is_replaced(parent: Path) -> None:
    program = (
        "from rtl.processes import guarded\nfrom rtl.processes.temporary import temporary_folder\n"
        "with temporary_folder() as first:\n"
        "    input(first)\n"
        "    with temporary_folder() as second: input(second)"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(parent), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    wait_until(lambda: len(list(parent.iterdir())) == 1)
    (guard,) = _children(process.pid)
    os.kill(guard, signal.SIGKILL)
    wait_until(lambda: not is_running(guard))
    process.stdin.write("\n")
    process.stdin.flush()
    wait_until(lambda: len(list(parent.iterdir())) == 2)
    process.kill()
    process.communicate()
    wait_until(lambda: not list(parent.iterdir()))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
