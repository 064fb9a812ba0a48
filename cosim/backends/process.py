"""The simulator's process: where its Python finds the benches, and what its log says of a failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import cocotb_tools.config
import find_libpython
from cocotb_tools.check_results import get_results

from cosim.backends.base import SimulationError

__all__ = ["check_results", "error_line", "last_line", "python_path", "run_simulator", "shared_python"]


def python_path() -> str:
    """Import path for the Python inside the simulator: where this package was found, and what the user set."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


def shared_python() -> str:
    """The shared library of this Python. Raises SimulationError if it has none."""
    found = find_libpython.find_libpython()
    if found is None:
        raise SimulationError("this Python has no shared library: cocotb cannot run inside a simulator")
    return str(found)


def _entry_point() -> str:
    """Where cocotb starts inside the simulator: as `cocotb_tools.config` tells it, without an import of all cocotb."""
    found = PathFinder.find_spec("simulator", [str(cocotb_tools.config.base_cocotb_dir)])
    if found is None or found.origin is None:
        raise SimulationError("cocotb has no module simulator: it is not installed whole")
    return f"{Path(found.origin).resolve()},initialize"


def run_simulator(
    command: Sequence[str | Path], top: str, bench: str, folder: Path, environment: Mapping[str, str]
) -> None:
    """Run a simulator that has cocotb's interface layer; arguments and errors are those of Backend.run."""
    log, results = folder / "simulation.log", folder / "results.xml"
    libpython = shared_python()
    with log.open("w") as stream:
        code = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
            env={
                **os.environ,
                "LIBPYTHON_LOC": libpython,
                "GPI_USERS": f"{libpython};{_entry_point()}",
                "PYGPI_PYTHON_BIN": sys.executable,
                "PYTHONPATH": python_path(),
                "COCOTB_TOPLEVEL": top,
                "COCOTB_TEST_MODULES": bench,
                "COCOTB_RESULTS_FILE": str(results),
                "COCOTB_LOG_LEVEL": "WARNING",
                "TOPLEVEL_LANG": "verilog",
                **environment,
            },
        ).returncode
    check_results(results, log, f"{bench} on {top}", code)


def check_results(results: Path, log: Path, what: str, code: int = 0) -> None:
    """Raise SimulationError, with the line of the log that says why, unless all tests passed."""
    try:
        tests, failed = get_results(results)
    except RuntimeError as error:
        raise SimulationError(f"{what} ended without a result: {last_line(log)}") from error
    if failed or not tests or code:
        raise SimulationError(f"{what} failed: {error_line(log)}")


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
