"""Icarus Verilog, the default backend and the reference."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from cosim.backends.base import Backend, SimulationError
from cosim.backends.cache import cached_build

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

    def build(self, verilog: str, top: str) -> Path:
        made_from = f"{self.name} {self.version()} {TIMESCALE} {top}\n{verilog}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, verilog, top))

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
            raise SimulationError(f"iverilog refuses {top}: {_last_line(log)}") from error

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
                extra_env={"PYTHONPATH": _python_path(), "COCOTB_LOG_LEVEL": "WARNING", **environment},
            )
        try:
            tests, failed = get_results(results)
        except RuntimeError as error:
            raise SimulationError(f"{bench} on {top} ended without a result: {_last_line(log)}") from error
        if failed or not tests:
            raise SimulationError(f"{bench} on {top} failed: {_error_line(log)}")


def _python_path() -> str:
    """Import path for the Python inside the simulator: where this package was found, and what the user set."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what cocotb's runner prints off standard output, which may be somebody's JSON."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _last_line(log: Path) -> str:
    lines = (
        [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
    return lines[-1].strip() if lines else "it printed nothing"


def _error_line(log: Path) -> str:
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            found = re.search(r"(?:Error|Exception): (.+)", line)
            if found:
                return found[1].strip()
    return _last_line(log)
