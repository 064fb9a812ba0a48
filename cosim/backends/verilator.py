"""Verilator, through cocotb's own runner.

It runs two-valued logic, as CXXRTL does: Icarus stays the reference.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.process import last_line
from cosim.backends.runner import BUILD_LOG, TIMESCALE, BuildFailed, build_model, run_bench

__all__ = ["LEAST_VERSION", "Verilator"]

LEAST_VERSION = "5.036"
"""cocotb 2 does not compile against older ones."""

# A warning would end the build otherwise, and no delays stand in the Verilog.
ARGUMENTS = ("-Wno-fatal", "--no-timing")


class Verilator(Backend):
    """Verilator through cocotb's own runner. Built models are kept, by the content that they are built from."""

    name = "verilator"

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        needs = f"the verilator backend needs {LEAST_VERSION} or newer"
        if shutil.which("verilator") is None:
            raise SimulationError(f"verilator is not installed: {needs}")
        text = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"Verilator (\d+)\.(\d+)", text)
        if found is None:
            raise SimulationError(f"verilator --version does not tell its version: {needs}")
        if (int(found[1]), int(found[2])) < tuple(map(int, LEAST_VERSION.split("."))):
            raise SimulationError(f"verilator {found[1]}.{found[2]} is too old: {needs}")
        for program in ("make", "g++"):
            if shutil.which(program) is None:
                raise SimulationError(f"{program} is not installed: verilator needs it to build a model")
        return f"{found[1]}.{found[2]}"

    def build(self, design: Design) -> Path:
        # A model finds cocotb's libraries by where they were when it was linked.
        cocotb = f"cocotb {version('cocotb')} {cocotb_tools.config.libs_dir}"
        made_from = (
            f"{self.name} {self.version()} {TIMESCALE} {ARGUMENTS} {cocotb} {design.top}\n{design.text}"
        )
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, design))

    def _build_into(self, folder: Path, design: Design) -> None:
        log = folder / BUILD_LOG
        try:
            build_model(self.name, folder, design.text, design.top, ARGUMENTS)
        except BuildFailed as error:
            raise SimulationError(f"verilator refuses {design.top}: {_first_error(log)}") from error
        for path in folder.iterdir():
            # The program is all that a run needs; what it was made of is much larger.
            if path not in (folder / design.top, log):
                path.unlink()

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        run_bench(self.name, model, top, bench, folder, environment)


def _first_error(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    found = re.search(r"(?:%Error(?:-\w+)?|error): .+", text)
    return found[0] if found else last_line(log)
