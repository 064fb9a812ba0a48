"""Icarus Verilog, the default backend and the reference."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.process import error_line, last_line, python_path

__all__ = ["Icarus"]

TIMESCALE = ("1ns", "1ps")


class Icarus(Backend):
    """Icarus Verilog through cocotb's own runner. Built models are kept, by the content that they are built from."""

    name = "icarus"

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        if shutil.which("iverilog") is None:
            raise SimulationError("iverilog is not installed: install Debian's package iverilog")
        text = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"Icarus Verilog version (\S+)", text)
        if found is None:
            raise SimulationError("iverilog -V does not tell its version: is Icarus Verilog installed whole?")
        return found[1]

    def build(self, design: Design) -> Path:
        made_from = f"{self.name} {self.version()} {TIMESCALE} {design.top}\n{design.text}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, design.text, design.top))

    def _build_into(self, folder: Path, verilog: str, top: str) -> None:
        source = folder / f"{top}.v"
        source.write_text(verilog, encoding="utf-8")
        log = folder / "build.log"
        try:
            with _quiet():
                get_runner(self.name).build(
                    sources=[source],
                    hdl_toplevel=top,
                    build_dir=folder,
                    timescale=TIMESCALE,
                    log_file=log,
                    always=True,
                )
        except (SystemExit, RuntimeError, subprocess.CalledProcessError) as error:
            raise SimulationError(f"iverilog refuses {top}: {last_line(log)}") from error

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        log = folder / "simulation.log"
        results = folder / "results.xml"
        # A failed test ends the runner with an exception under pytest only: the results tell.
        with _quiet(), contextlib.suppress(SystemExit, RuntimeError, subprocess.CalledProcessError):
            get_runner(self.name).test(
                test_module=bench,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=model,
                test_dir=folder,
                results_xml=str(results),
                log_file=log,
                timescale=TIMESCALE,
                extra_env={"PYTHONPATH": python_path(), "COCOTB_LOG_LEVEL": "WARNING", **environment},
            )
        try:
            tests, failed = get_results(results)
        except RuntimeError as error:
            raise SimulationError(f"{bench} on {top} ended without a result: {last_line(log)}") from error
        if failed or not tests:
            raise SimulationError(f"{bench} on {top} failed: {error_line(log)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what cocotb's runner prints off standard output, which may be somebody's JSON."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
