"""The simulator's process: where its Python finds the benches, and what its log says of a failure."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["error_line", "last_line", "python_path"]


def python_path() -> str:
    """Import path for the Python inside the simulator: where this package was found, and what the user set."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


def last_line(log: Path) -> str:
    lines = (
        [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
    return lines[-1].strip() if lines else "it printed nothing"


def error_line(log: Path) -> str:
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            found = re.search(r"(?:Error|Exception): (.+)", line)
            if found:
                return found[1].strip()
    return last_line(log)
