"""The process of a simulator with cocotb's interface layer, and the Python inside it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import cocotb_tools.config
import find_libpython

from cosim.backends.base import SimulationError
from cosim.backends.log import check_results
from rtl.processes.child_process import run_child

__all__ = ["run_simulator", "shared_python"]


def shared_python() -> str:
    """The shared library of this Python. Raises SimulationError if it has none."""
    library = find_libpython.find_libpython()
    if library is None:
        raise SimulationError("this Python has no shared library: cocotb cannot run inside a simulator")
    return str(library)


def _entry_point() -> str:
    """Where cocotb starts inside the simulator, found without the slow import of all of cocotb."""
    spec = PathFinder.find_spec("simulator", [str(cocotb_tools.config.base_cocotb_dir)])
    if spec is None or spec.origin is None:
        raise SimulationError("cocotb has no module simulator: its installation is incomplete")
    return f"{Path(spec.origin).resolve()},initialize"


def run_simulator(
    command: Sequence[str | Path], top: str, bench: str, folder: Path, environment: Mapping[str, str]
) -> None:
    """Run a simulator that has cocotb's interface layer; arguments and errors are those of Backend.run."""
    log, results = folder / "simulation.log", folder / "results.xml"
    libpython = shared_python()
    log.unlink(missing_ok=True)
    results.unlink(missing_ok=True)
    done = run_child(
        command,
        folder=folder,
        log=log,
        variables={
            "LIBPYTHON_LOC": libpython,
            "GPI_USERS": f"{libpython};{_entry_point()}",
            "PYGPI_PYTHON_BIN": sys.executable,
            "COCOTB_TOPLEVEL": top,
            "COCOTB_TEST_MODULES": bench,
            "COCOTB_RESULTS_FILE": str(results),
            "COCOTB_LOG_LEVEL": "WARNING",
            "TOPLEVEL_LANG": "verilog",
            **environment,
        },
    )
    check_results(results, log, f"{bench} on {top}", done.code)
