"""The guard as a program: what it is told on its standard input, it ends and removes at the end of the input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtl.processes import guard


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own that would sleep on, with a child that does, too."""
    with subprocess.Popen(
        ["sh", "-c", "sleep 600 & sleep 600"],
        env={"PATH": os.environ["PATH"], "HECATON_CHILD": "token-1"},
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def guarded(*messages: str) -> None:
    """Run a guard that is told ``messages``."""
    text = "".join(f"{message}\n" for message in messages)
    subprocess.run([sys.executable, "-I", "-S", guard.__file__], input=text, text=True, check=True)


def encoded(path: Path) -> str:
    return os.fsencode(path).hex()


def test_a_group_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    guarded("start token-1", f"group token-1 {sleeper.pid}")
    assert sleeper.wait() == -signal.SIGKILL
    assert sleeper.pid not in guard.running_groups()


def test_a_child_that_had_just_started_is_found_by_its_environment(sleeper: subprocess.Popen[bytes]) -> None:
    guarded("start token-1")
    assert sleeper.wait() == -signal.SIGKILL
    assert sleeper.pid not in guard.running_groups()


def test_what_ended_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    guarded(
        "start token-1", f"group token-1 {sleeper.pid}", "ended token-1", "start token-2", "ended token-2"
    )
    assert sleeper.poll() is None


def test_paths_are_removed_and_what_was_renamed_stays(tmp_path: Path) -> None:
    (tmp_path / "a folder" / "below").mkdir(parents=True)
    (tmp_path / "file\nµ").touch()
    (tmp_path / "stays").mkdir()
    outside = tmp_path / "stays" / "outside"
    outside.touch()
    (tmp_path / "a folder" / "link").symlink_to(tmp_path / "stays")
    names = ["a folder", "file\nµ", "stays", "missing"]
    paths = [f"path {encoded(tmp_path / name)}" for name in names]
    guarded(*paths, f"removed {encoded(tmp_path / 'stays')}")
    assert list(tmp_path.iterdir()) == [tmp_path / "stays"]
    assert outside.exists()
