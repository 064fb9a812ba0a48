"""Time from the start of `hecaton cosim gemm` to the start of the die.

The command runs in a process of its own, which begins with no module loaded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import SimulationError

__all__ = ["start_seconds"]

# The unchanged command, which in addition prints when the bench started the die.
COMMAND = """
import sys

from cosim.jobs.die import DieOutcome
from hecaton.cli import main

load = DieOutcome.load


def noted(folder):
    outcome = load(folder)
    print(outcome.started, file=sys.stderr)
    return outcome


DieOutcome.load = noted
main()
"""


def start_seconds(die: DieSpec, memory: MemorySpec, simulator: str) -> float:
    """Seconds from the start of the process to the start of the die in ``simulator``.

    Raises
    ------
    SimulationError
        If the command fails.
    """
    with tempfile.TemporaryDirectory(prefix="hecaton-") as folder:
        specs = {"die": die.model_dump(), "memory": memory.model_dump()}
        overrides = [
            part
            for name, spec in specs.items()
            for key, value in spec.items()
            if value != ""
            for part in ("-P", f"{name}.{key}={value}")
        ]
        # A file: `-c` would put the working directory, and not this package, on the path.
        script = Path(folder) / "command.py"
        script.write_text(COMMAND)
        options = ["--sim", simulator, "--json", "--records", str(Path(folder) / "records")]
        start = time.time()
        done = subprocess.run(
            [
                sys.executable,
                script,
                "cosim",
                "gemm",
                "--m",
                "1",
                "--k",
                "1",
                "--n",
                "1",
                *overrides,
                *options,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SimulationError(f"hecaton cosim gemm --sim {simulator}: {done.stderr.strip()}")
    return float(done.stderr.split()[-1]) - start
