"""Runs the command in a process of its own, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from hecaton.cli import app
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


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """Run a command that must end with one line on stderr and nothing on stdout; returns the message."""
    done = hecaton(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("hecaton: error: ")
    return done.stderr.removeprefix("hecaton: error: ").rstrip("\n")


def json_result(
    *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run ``hecaton`` with ``arguments`` and ``--json``; return the only object on stdout."""
    done = hecaton(*arguments, "--json", cwd=cwd, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def documented_keys(line: str, *options: str) -> set[str]:
    """Return the JSON keys that the help of the command in ``line`` lists, those of ``options`` included."""
    command: Any = get_command(app)
    for word in line.split():
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
    json_object: JsonObject = type(command).json_object()
    return json_object.names(*options)
