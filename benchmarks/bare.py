"""The bare CXXRTL model: clocked by a few lines of C++, without Python and VPI, as the upper reference."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from cosim.backends.base import Backend, Design, SimulationError
from cosim.backends.cxxrtl import Cxxrtl, compile_cxx, runtime
from cosim.jobs.die import DieJob, DieOutcome
from rtl.interface.register_map import COMMANDS, CONTROL, COUNTERS, PROGRAM, counter_address

__all__ = ["Bare"]

SOURCE = Path(__file__).with_name("bare.cc")


class Bare(Backend):
    """Runs the same object code as the cxxrtl backend, on the job that the bench of one die gets."""

    name = "bare"

    def __init__(self) -> None:
        self._cxxrtl = Cxxrtl()

    def version(self) -> str:
        return self._cxxrtl.version()

    def build(self, design: Design) -> Path:
        return self._cxxrtl.build(design)

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:  # noqa: ARG002
        program = folder / "bare"
        objects = [model / "model.o", self._cxxrtl.provider() / "cxxrtl_capi.o"]
        compile_cxx([SOURCE, *objects, f"-I{runtime()}", "-o", program], folder / "build.log", SOURCE.name)
        job = DieJob.load(folder)
        settings = {
            "latency": job.latency,
            "interval": job.interval,
            "stall": job.stall,
            "seed": job.seed,
            "most_cycles": job.most_cycles,
            "words": job.result_words,
        }
        images = [f"image={path}@{path.stem.removeprefix('image_')}" for path in folder.glob("image_*.bin")]
        writes = {PROGRAM: job.program_address, COMMANDS: job.commands, CONTROL: 1}
        counters = [address for name in COUNTERS for address in _addresses(name)]
        done = subprocess.run(
            [
                program,
                *(f"{name}={value}" for name, value in settings.items()),
                *images,
                *(f"write={value}@{address}" for address, value in writes.items()),
                f"result={folder / 'result_0.bin'}@{job.result_address}",
                *(f"read={address}" for address in counters),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SimulationError(f"{top}: {done.stderr.strip()}")
        seconds, cpu_seconds, *values = done.stdout.split()
        read = dict(zip(counters, map(int, values), strict=True))
        counts = {}
        for name in COUNTERS:
            low, high = _addresses(name)
            counts[name] = read[high] << 32 | read[low]
        result = (folder / "result_0.bin").read_bytes()
        (folder / "undefined_0.bin").write_bytes(bytes(len(result)))
        DieOutcome(counters=counts, seconds=float(seconds), cpu_seconds=float(cpu_seconds)).save(folder)


def _addresses(counter: str) -> tuple[int, int]:
    """Registers of the low and of the high bits."""
    low = counter_address(counter)
    return low, low + 1
