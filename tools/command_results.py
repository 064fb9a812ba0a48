"""The JSON object that a command prints, for tables of its figures."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from typing import Any

from hecaton.cli import run


def result_of(command: str) -> dict[str, Any]:
    """The JSON object that ``command`` prints. Raises ``RuntimeError`` if it ends with another exit code than 0."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*shlex.split(command)[1:], "--json"])
    if code:
        raise RuntimeError(f"{command} ended with exit code {code}")
    result: dict[str, Any] = json.loads(out.getvalue())
    return result
