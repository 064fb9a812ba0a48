"""Verilator, built with cocotb's main program.

Its logic has two values, as that of CXXRTL: Icarus stays the reference.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.compiler import further_flags
from cosim.backends.log import last_line
from cosim.backends.process import run_simulator
from cosim.backends.verilator_program import VerilatorProgram, find_verilator
from cosim.backends.visible import visible_names
from rtl.emit.emitter import TIMESCALE
from rtl.processes.child_process import run_child

__all__ = ["Verilator"]

# Tests have the lint, and the check for loops bit by bit: here a word with a field that depends on another one would be
# a loop. The Verilog has no delays. Of what is inside, benches see the visible names only: everything else may be
# optimized.
ARGUMENTS = (
    "-Wno-lint",
    "-Wno-UNOPTFLAT",
    "--no-timing",
    "--vpi",
    "--public-depth",
    "1",
    "--timescale",
    "/".join(TIMESCALE),
)
PREFIX = "Vtop"
MAIN, ROOT, VISIBLE, LOG = "main.cpp", "verilator", "visible.vlt", "build.log"
RUNTIME = "verilated*.o"
"""Objects of Verilator's own library, the same in every model."""


@dataclass(frozen=True)
class _Empty:
    """A design with a signal that benches see and nothing else, from which Verilator's library is built."""

    top: str = "empty"
    text: str = "module empty (\n  input wire clk\n);\nendmodule\n"
    rtlil: str = "attribute \\keep_hierarchy 1\nmodule \\empty\n"


EMPTY = _Empty()


class Verilator(Backend):
    """Verilator. Built models are cached by what they are built from."""

    name = "verilator"

    def version(self) -> str:
        return self._program().version

    @cache  # noqa: B019 - backends live as long as the process
    def _program(self) -> VerilatorProgram:
        program = find_verilator()
        for tool in ("make", "g++") if program.root is None else ("make", "ar"):
            if shutil.which(tool) is None:
                raise SimulationError(f"{tool} is not installed: verilator needs it to build a model")
        return program

    def build(self, design: Design) -> Path:
        program, made_from = self._program(), self._settings()
        made_from += f" {design.top}\n{visible_names(design)}\n{design.text}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: _build_model(folder, design, program, self.runtime()))

    def runtime(self) -> Path:
        """Folder with the objects that every model is linked with."""
        program = self._program()
        key = hashlib.sha256(f"runtime {self._settings()}".encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: _build_runtime(folder, program))

    def _settings(self) -> str:
        program = self._program()
        # A model finds cocotb's libraries where they were when it was linked.
        cocotb = f"cocotb {version('cocotb')} {cocotb_tools.config.libs_dir}"
        compiler = f"{dict(program.make_variables)} {further_flags(self.name)}"
        return f"{self.name} {program.version} {ARGUMENTS} {compiler} {cocotb}"

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        # cocotb's own runner sets this for Verilator, too: values are written when the bench asks for it.
        trusted = {"COCOTB_TRUST_INERTIAL_WRITES": "1"}
        run_simulator([model / top], top, bench, folder, {**trusted, **environment})


def _build_runtime(folder: Path, program: VerilatorProgram) -> None:
    _translate(folder, EMPTY, program)
    _compile(folder, EMPTY.top, program)
    _remove_all_but(folder, {folder / LOG, *folder.glob(RUNTIME)})


def _build_model(folder: Path, design: Design, program: VerilatorProgram, runtime: Path) -> None:
    _translate(folder, design, program)
    # Objects that are newer than the build file are not made again.
    for made in runtime.glob(RUNTIME):
        shutil.copyfile(made, folder / made.name)
    _compile(folder, design.top, program)
    # The program is all that a run needs; what it was made of is much larger.
    _remove_all_but(folder, {folder / LOG, folder / design.top})


def _translate(folder: Path, design: Design, program: VerilatorProgram) -> None:
    """Write the C++ of a design and its build file into a folder."""
    source = f"{design.top}.v"
    (folder / source).write_text(design.text, encoding="utf-8")
    (folder / VISIBLE).write_text(visible_names(design), encoding="utf-8")
    shutil.copyfile(cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp", folder / MAIN)
    names = ("--top-module", design.top, "-o", design.top, "--prefix", PREFIX)
    command: list[str | Path] = [
        program.path,
        "-cc",
        "--exe",
        "-Mdir",
        ".",
        *names,
        *ARGUMENTS,
        MAIN,
        VISIBLE,
        source,
    ]
    _run(command, folder, design.top, program)


def _compile(folder: Path, top: str, program: VerilatorProgram) -> None:
    """Build the program ``top`` from what was written into a folder."""
    libraries = str(cocotb_tools.config.libs_dir)
    link = shlex.join([f"-Wl,-rpath,{libraries}", f"-L{libraries}", "-lcocotbvpi_verilator"])
    variables = {**program.make_variables, "VM_TRACE": "0", "USER_LDLIBS": link.replace("$", "$$")}
    if program.root is not None:
        # make takes no folder with spaces in its name.
        (folder / ROOT).symlink_to(program.root)
        variables["VERILATOR_ROOT"] = ROOT
    command = ["make", "-j", str(os.cpu_count() or 1), "-f", f"{PREFIX}.mk"]
    _run([*command, *(f"{name}={value}" for name, value in variables.items())], folder, top, program)


def _run(command: Sequence[str | Path], folder: Path, top: str, program: VerilatorProgram) -> None:
    log = folder / LOG
    # A killed compiler leaves temporary files: in this folder they are removed with it. The build file appends to the
    # compiler's flags from the environment, and has its own level of optimization before them.
    variables = {"TMPDIR": ".", "CXXFLAGS": shlex.join(further_flags("verilator")), **program.variables}
    if run_child(command, folder=folder, log=log, variables=variables).code:
        raise SimulationError(f"verilator refuses {top}: {_first_error(log)}")


def _remove_all_but(folder: Path, kept: set[Path]) -> None:
    for path in folder.iterdir():
        if path not in kept:
            path.unlink()


def _first_error(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    # A warning is an error, too; the line with the number of warnings comes last.
    error = re.search(r"(?:%(?:Error|Warning)(?:-\w+)?|error): .+", text)
    return error[0] if error else last_line(log)
