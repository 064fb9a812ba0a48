"""Verilator, built with cocotb's main program.

Its logic has two values, as that of CXXRTL: Icarus stays the reference.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.log import last_line
from cosim.backends.process import TIMESCALE, run_simulator
from rtl.processes.child_process import run_child

__all__ = ["LEAST_VERSION", "Verilator"]

LEAST_VERSION = "5.036"
"""cocotb 2 does not compile against older ones."""

# Warnings must not end the build, and the Verilog has no delays.
ARGUMENTS = ("-Wno-fatal", "--no-timing")


class Verilator(Backend):
    """Verilator. Built models are cached by what they are built from."""

    name = "verilator"

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        needs = f"the verilator backend needs {LEAST_VERSION} or newer"
        if shutil.which("verilator") is None:
            raise SimulationError(f"verilator is not installed: {needs}")
        number = re.search(r"Verilator (\d+)\.(\d+)", run_child(["verilator", "--version"]).output)
        if number is None:
            raise SimulationError(f"verilator --version does not report its version: {needs}")
        if (int(number[1]), int(number[2])) < tuple(map(int, LEAST_VERSION.split("."))):
            raise SimulationError(f"verilator {number[1]}.{number[2]} is too old: {needs}")
        for program in ("make", "g++"):
            if shutil.which(program) is None:
                raise SimulationError(f"{program} is not installed: verilator needs it to build a model")
        return f"{number[1]}.{number[2]}"

    def build(self, design: Design) -> Path:
        # A model finds cocotb's libraries where they were when it was linked.
        cocotb = f"cocotb {version('cocotb')} {cocotb_tools.config.libs_dir}"
        made_from = (
            f"{self.name} {self.version()} {TIMESCALE} {ARGUMENTS} {cocotb} {design.top}\n{design.text}"
        )
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, design))

    def _build_into(self, folder: Path, design: Design) -> None:
        log, source = folder / "build.log", f"{design.top}.v"
        (folder / source).write_text(design.text, encoding="utf-8")
        libraries = cocotb_tools.config.libs_dir
        translate: list[str | Path] = [
            *("verilator", "-cc", "--exe", "-Mdir", ".", "--top-module", design.top, "-o", design.top),
            *("--vpi", "--public-flat-rw", "--prefix", "Vtop"),
            *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
            *ARGUMENTS,
            *("--timescale", "/".join(TIMESCALE)),
            cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp",
            source,
        ]
        compile_all: list[str | Path] = [
            "make",
            "-j",
            str(os.cpu_count() or 1),
            "-f",
            "Vtop.mk",
            "VM_TRACE=0",
        ]
        for command in (translate, compile_all):
            # A killed compiler leaves temporary files: in this folder they are removed with it.
            if run_child(command, folder=folder, log=log, variables={"TMPDIR": "."}).code:
                raise SimulationError(f"verilator refuses {design.top}: {_first_error(log)}")
        for path in folder.iterdir():
            # The program is all that a run needs; what it was made of is much larger.
            if path not in (folder / design.top, log):
                path.unlink()

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        # cocotb's own runner sets this for Verilator, too: values are written when the bench asks for it.
        trusted = {"COCOTB_TRUST_INERTIAL_WRITES": "1"}
        run_simulator([model / top], top, bench, folder, {**trusted, **environment})


def _first_error(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    error = re.search(r"(?:%Error(?:-\w+)?|error): .+", text)
    return error[0] if error else last_line(log)
