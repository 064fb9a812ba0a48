"""Nothing outlives a command: whatever signal ends it, its processes end and its temporary folders go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from tests.processes import ROOT, wait_until, with_variable
from tests.simulators import installed

VARIABLE = "HECATON_TEST_RUN"

SMALL = "-P die.rows=2 -P die.cols=2 -P die.dtype=int8"
COMMANDS = {
    "gemm": f"cosim gemm --m 4096 --k 32 --n 2 {SMALL}",
    "collective": f"cosim collective --op all-reduce --mesh 1x2 --flits 2048 {SMALL}",
    "traffic": "cosim traffic --mesh 2x2 --rate 0.1 --cycles 1000000",
    "package": f"cosim package --m 256 --k 64 --n 8 --mesh 1x2 --direct {SMALL}",
    "regress": "cosim regress list.toml --workers 2",
    "calibrate": "calibrate --quick --workers 2 -o calibration.json",
}
"""Each command of a simulation, with so much to do that it does not end by itself."""

LIST = """
configurations = [{ die.rows = 2, die.cols = 2 }]
dtypes = ["bf16", "int8"]
shapes = ["2048x32x2"]
forms = ["nn"]
stalls = [0.0]
seeds = [0]
[bounds]
array_cycles_over_floor = 100000
"""

BUILDERS = {
    "icarus": {"iverilog", "ivl", "ivlpp"},
    "cxxrtl": {"cc1plus"},
    "verilator": {"verilator_bin", "cc1plus"},
}
"""Programs that build a model."""

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]

QUICK = {
    ("gemm", "icarus", "running", signal.SIGTERM),
    ("gemm", "cxxrtl", "building", signal.SIGKILL),
    ("gemm", "verilator", "building", signal.SIGKILL),
    ("collective", "icarus", "running", signal.SIGHUP),
    ("traffic", "icarus", "running", signal.SIGKILL),
    ("package", "icarus", "building", signal.SIGHUP),
    ("regress", "icarus", "running", signal.SIGKILL),
    ("regress", "icarus", "building", signal.SIGTERM),
    ("calibrate", "icarus", "building", signal.SIGKILL),
}
"""The cases of `make test`: each command, backend, stage and signal at least once."""


CASES = [
    pytest.param(
        *case, id="-".join((*case[:3], case[3].name)), marks=() if case in QUICK else pytest.mark.slow
    )
    for case in product(COMMANDS, installed(), ("building", "running"), SIGNALS)
]


def is_building(run: str, sim: str) -> bool:
    """Whether a program that builds a model is among the processes of a run."""
    names = set()
    for pid in with_variable(VARIABLE, run):
        with suppress(FileNotFoundError, ProcessLookupError):
            names.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return not BUILDERS[sim].isdisjoint(names)


def is_running(run: str) -> bool:
    """Whether a simulator with a bench is among the processes of a run."""
    for pid in with_variable(VARIABLE, run):
        with suppress(OSError):
            if b"COCOTB_TEST_MODULES=" in Path(f"/proc/{pid}/environ").read_bytes():
                return True
    return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[str]:
    """Value of the variable that marks the processes of a run; they are ended if the test fails."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "list.toml").write_text(LIST)
    mark = uuid.uuid4().hex
    yield mark
    for pid in with_variable(VARIABLE, mark):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("command", "sim", "stage", "number"), CASES)
def test_nothing_outlives_a_command(
    command: str, sim: str, stage: str, number: signal.Signals, run: str, tmp_path: Path, cache: Path
) -> None:
    builds = tmp_path / "cache" if stage == "building" else cache
    # Other tests may build in the shared cache at the same time.
    before = temporary_entries(builds)
    said = tmp_path / "stderr"
    with said.open("w") as stream:
        process = subprocess.Popen(
            # A suite that runs in the background may have been started with these signals ignored.
            [
                "env",
                "--default-signal",
                sys.executable,
                "-m",
                "hecaton",
                *COMMANDS[command].split(),
                "--sim",
                sim,
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                VARIABLE: run,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(tmp_path / "temporary"),
                "HECATON_CACHE": str(builds),
            },
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )

    def reached() -> bool:
        assert process.poll() is None, said.read_text()
        return is_building(run, sim) if stage == "building" else is_running(run)

    wait_until(reached)
    process.send_signal(number)
    process.wait()
    assert process.returncode == -number
    wait_until(lambda: not with_variable(VARIABLE, run))
    wait_until(lambda: not list((tmp_path / "temporary").iterdir()))
    wait_until(lambda: temporary_entries(builds) <= before)


def temporary_entries(cache: Path) -> set[str]:
    """Folders of the cache in which a build is going on, or was when it ended."""
    return {path.name for path in (cache / "builds").glob(".*") if path.is_dir()}
