"""Icarus Verilog, the default backend and the reference."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.process import last_line
from cosim.backends.runner import BUILD_LOG, TIMESCALE, BuildFailed, build_model, run_bench

__all__ = ["Icarus"]


class Icarus(Backend):
    """Icarus Verilog through cocotb's own runner. Built models are kept, by the content that they are built from."""

    name = "icarus"

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        for program in ("iverilog", "vvp"):
            if shutil.which(program) is None:
                raise SimulationError(f"{program} is not installed: install Debian's package iverilog")
        text = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"Icarus Verilog version (\S+)", text)
        if found is None:
            raise SimulationError("iverilog -V does not tell its version: is Icarus Verilog installed whole?")
        return found[1]

    def build(self, design: Design) -> Path:
        made_from = f"{self.name} {self.version()} {TIMESCALE} {design.top}\n{design.text}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, design))

    def _build_into(self, folder: Path, design: Design) -> None:
        try:
            build_model(self.name, folder, design.text, design.top)
        except BuildFailed as error:
            raise SimulationError(
                f"iverilog refuses {design.top}: {last_line(folder / BUILD_LOG)}"
            ) from error

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        run_bench(self.name, model, top, bench, folder, environment)
