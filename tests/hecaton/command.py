"""Runs the command for tests: in a process of its own, or in the one of the test, which is much quicker."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from typer.main import get_command

from hecaton.cli import app, run
from hecaton.terminal.json_keys import JsonObject

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


def called(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``hecaton`` with ``arguments`` in this process. A defect of the program is raised."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd or ROOT), redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """Call a command that must end with one line on stderr and nothing on stdout; returns the message."""
    done = called(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("hecaton: error: ")
    return done.stderr.removeprefix("hecaton: error: ").rstrip("\n")


def documented_keys(line: str, *options: str) -> set[str]:
    """Return the JSON keys that the help of the command in ``line`` lists, those of ``options`` included."""
    command: Any = get_command(app)
    for word in line.split():
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
    json_object: JsonObject = type(command).json_object()
    return json_object.names(*options)
