"""Files in the current folder are never imported, and variables of the user's never reach a bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

DIE = "-P die.rows=3 -P die.cols=2"
LIST = """
configurations = [{ die.rows = 3, die.cols = 2 }]
dtypes = ["bf16"]
shapes = ["7x11x5"]
forms = ["nn"]
stalls = [0.0]
seeds = [4, 5]
[bounds]
array_cycles_over_floor = 1000
"""

COMMANDS = [
    f"verilog -o die {DIE}",
    f"cosim gemm --m 7 --k 11 --n 5 {DIE} --sim icarus",
    f"cosim gemm --m 7 --k 11 --n 5 {DIE} --sim cxxrtl",
    "cosim regress list.toml --workers 2",
]

VARIABLES = {
    "COCOTB_TEST_FILTER": "no_such_test",
    "COCOTB_TESTCASE": "no_such_test",
    "COCOTB_TEST_MODULES": "no_such_module",
    "COCOTB_RANDOM_SEED": "abc",
    "GPI_EXTRA": "no_such_library:start",
    "GPI_USERS": "no_such_library",
    "MAKEFLAGS": "--no-such-option",
    "PYTHONSTARTUP": "no_such_file",
    "PYTHONWARNINGS": "error",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_neither_files_nor_variables_of_the_user_change_a_run(command: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "list.toml").write_text(LIST)
    # Not `python -m hecaton`, which puts the current folder on the path of the command itself, as asked for.
    program = tmp_path / "program.py"
    program.write_text("from hecaton.cli import main\nif __name__ == '__main__': main()\n")
    for module in ("random", "tempfile", "cocotb", "wasmtime", "sitecustomize"):
        (work / f"{module}.py").write_text(
            "import pathlib; pathlib.Path(__file__).with_suffix('.imported').touch(); raise ValueError('the user')"
        )
    done = subprocess.run(
        [sys.executable, program, *command.split(), "--json"],
        cwd=work,
        env={**os.environ, **VARIABLES, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert list(work.glob("*.imported")) == []
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
