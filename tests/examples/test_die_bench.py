"""The example bench: it runs on what the command writes, and needs nothing else of Hecaton."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.tree import PACKAGES, ROOT

EXAMPLE = ROOT / "examples/die_bench"


def test_the_example_bench_multiplies_on_a_die(tmp_path: Path) -> None:
    die = tmp_path / "die"
    sizes = ("die.rows=3", "die.cols=2", "die.dtype=int8", "memory.word_bytes=16")
    options = [option for size in sizes for option in ("-P", size)]
    command = [sys.executable, "-m", "hecaton", "verilog", "-o", str(die), *options]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    run = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), str(die)], cwd=tmp_path, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "die_3x2_int8: 1 of 1 passed"), run.stdout


def test_it_imports_nothing_of_ours() -> None:
    for path in EXAMPLE.glob("*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert names
        assert not {name.split(".")[0] for name in names} & {*PACKAGES, "tests", "benchmarks"}
