"""The reason for a failure, as one line, from the log and the results of a simulator."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import ParseError

from cocotb_tools.check_results import get_results

from cosim.backends.base import SimulationError

__all__ = ["check_results", "error_line", "last_line"]


def check_results(results: Path, log: Path, what: str, code: int = 0) -> None:
    """Raise SimulationError, with the line of the log that says why, unless all tests passed."""
    try:
        tests, failed = get_results(results)
    except (RuntimeError, ParseError) as error:
        signal = f" (signal {-code})" if code < 0 else ""
        raise SimulationError(f"{what} ended without a result{signal}: {last_line(log)}") from error
    if failed or not tests or code:
        raise SimulationError(f"{what} failed: {error_line(log)}")


def last_line(log: Path) -> str:
    """The last line of a log that is not blank."""
    lines = [line for line in _lines(log) if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"


def error_line(log: Path) -> str:
    """The message of the first error in a log, else its last line."""
    for line in _lines(log):
        message = re.search(r"(?:Error|Exception): (.+)", line)
        if message:
            return message[1].strip()
    return last_line(log)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []
