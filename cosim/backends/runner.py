"""cocotb's own runner, for the backends that it knows: without its words, and its failures as one line.

It imports all of cocotb, which takes longer than anything else before a run: only who calls it waits for it.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cosim.backends.process import check_results, python_path

__all__ = ["BUILD_LOG", "TIMESCALE", "BuildFailed", "build_model", "run_bench"]

TIMESCALE = ("1ns", "1ps")
BUILD_LOG = "build.log"


class BuildFailed(Exception):
    """The simulator's compiler refuses a design; why is in its log."""


def build_model(simulator: str, folder: Path, verilog: str, top: str, arguments: Sequence[str] = ()) -> None:
    """Build a model of ``verilog`` in ``folder``. Raises BuildFailed if the simulator refuses it."""
    from cocotb_tools.runner import get_runner

    source = folder / f"{top}.v"
    source.write_text(verilog, encoding="utf-8")
    try:
        with _quiet():
            get_runner(simulator).build(
                sources=[source],
                hdl_toplevel=top,
                build_dir=folder,
                timescale=TIMESCALE,
                build_args=list(arguments),
                log_file=folder / BUILD_LOG,
                always=True,
            )
    except (SystemExit, RuntimeError, subprocess.CalledProcessError) as error:
        raise BuildFailed from error


def run_bench(
    simulator: str, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]
) -> None:
    """Run the cocotb tests of module ``bench``; arguments and errors are those of :meth:`Backend.run`."""
    from cocotb_tools.runner import get_runner

    log = folder / "simulation.log"
    results = folder / "results.xml"
    # A failed test ends the runner with an exception under pytest only: the results tell.
    with _quiet(), contextlib.suppress(SystemExit, RuntimeError, subprocess.CalledProcessError):
        get_runner(simulator).test(
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
    check_results(results, log, f"{bench} on {top}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what cocotb's runner prints off standard output, which may be somebody's JSON."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
