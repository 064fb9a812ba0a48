"""Runs the command in a process of its own, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def hecaton(
    *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``hecaton`` with ``arguments``, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "hecaton", *arguments],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
    )


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """Run a command that must end with one line on stderr and nothing on stdout; returns the message."""
    done = hecaton(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("hecaton: error: ")
    return done.stderr.removeprefix("hecaton: error: ").rstrip("\n")
