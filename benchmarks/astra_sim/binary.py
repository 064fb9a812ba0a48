"""Runs of ASTRA-sim: the export of a layer in a folder of its own, and what the program says of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["NAMES", "VARIABLE", "AstraSimError", "Finished", "find_binary", "run"]

NAMES = {
    "unaware": "AstraSim_Analytical_Congestion_Unaware",
    "aware": "AstraSim_Analytical_Congestion_Aware",
}
"""Programs of the analytical backend, without and with congestion."""

VARIABLE = "ASTRA_SIM"
"""Environment variable with the path of the program without congestion."""

SECONDS = 600
"""Time after which a run counts as failed."""

_FINISHED = re.compile(r"sys\[(\d+)\] finished, (\d+) cycles, exposed communication (\d+) cycles")


class AstraSimError(Exception):
    """A run that did not end as it should."""


@dataclass(frozen=True)
class Finished:
    """Cycles until the last NPU finished, and those of them that it did not compute."""

    cycles: int
    exposed: int


def find_binary() -> Path | None:
    """The program without congestion: that of the environment variable, or on the path; None if there is none."""
    found = os.environ.get(VARIABLE) or shutil.which(NAMES["unaware"])
    return Path(found) if found else None


def run(binary: Path, files: Iterable[tuple[str, str | bytes]], npus: int) -> Finished:
    """Run ``files`` of the export. Raises :class:`AstraSimError`, in one line, unless all ``npus`` finish."""
    with TemporaryDirectory(prefix="astra-sim-") as name:
        folder = Path(name)
        for file, content in files:
            (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
        command = [
            str(binary.resolve()),
            f"--workload-configuration={folder / 'layer'}",
            *(
                f"--{part}-configuration={folder / file}"
                for part, file in (
                    ("comm-group", "comm_group.json"),
                    ("system", "system.json"),
                    ("network", "network.yml"),
                    ("remote-memory", "memory.json"),
                )
            ),
        ]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise AstraSimError(f"{binary.name} did not end in {SECONDS} s") from None
        except OSError as error:
            raise AstraSimError(f"{binary}: {error.strerror or error}") from None
    ended = {int(npu): Finished(int(all_), int(bare)) for npu, all_, bare in _FINISHED.findall(done.stdout)}
    if done.returncode or len(ended) != npus:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise AstraSimError(
            f"{binary.name} ended with {done.returncode} and {len(ended)} of {npus} NPUs finished"
            f": {said[-1] if said else 'nothing said'}"
        )
    return max(ended.values(), key=lambda one: one.cycles)
