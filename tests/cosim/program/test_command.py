"""Commands: checked when they are made, encoded once, and decoded by nobody who made them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.backends.base import Backend, Design
from cosim.backends.registry import BACKENDS
from cosim.jobs.collective import CollectiveJob
from cosim.jobs.die import DieJob
from cosim.jobs.package import PackageJob
from cosim.observe.observation import Observation
from cosim.program.command import Command, program_image
from cosim.records.collective import collective_request
from cosim.records.gemm import GemmRequest
from cosim.records.package import PackageGemmRequest
from cosim.run.collective import run_collective
from cosim.run.gemm import run_gemm
from cosim.run.package_collective import run_package_collective
from cosim.run.package_gemm import run_package_gemm
from rtl.interface import isa
from rtl.interface.isa import LAYOUTS, Opcode

DIE = DieSpec(rows=2, cols=2, dtype="int8")


@pytest.mark.parametrize(
    ("opcode", "fields", "message"),
    [
        (Opcode.GEMM, {"m": 65536}, "GEMM.m = 65536 is out of range: must be 1 to 65535"),
        (Opcode.LOAD, {"words": 1}, "LOAD.rows = 0 is out of range: must be 1 to 65535"),
        (
            Opcode.SET,
            {"value_10": 0},
            "command SET has no field value_10: has wait_0, wait_1, post_0, post_1",
        ),
    ],
)
def test_what_cannot_be_encoded_is_refused(opcode: Opcode, fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Command(opcode, fields)


def test_all_fields_are_those_of_the_layout() -> None:
    command = Command(Opcode.LOAD, {"words": 3, "rows": 1, "pitch": 2})
    assert list(command.all_fields) == [name for name, _ in LAYOUTS[Opcode.LOAD] if name != "opcode"]
    assert {name: value for name, value in command.all_fields.items() if value} == command.fields


@pytest.mark.parametrize(("word_bytes", "words"), [(4, 8), (32, 1), (64, 1)])
def test_an_image_has_whole_words_for_each_command(word_bytes: int, words: int) -> None:
    memory = MemorySpec(word_bytes=word_bytes)
    commands = [Command(Opcode.SET, {"semaphore_0": number, "value_0": 5}) for number in (1, 63)]
    image = program_image(commands, memory)
    assert len(image) == 2 * words * word_bytes
    for number, command in enumerate(commands):
        bits = int.from_bytes(image[number * words * word_bytes :][: words * word_bytes], "little")
        assert isa.decode(bits) == (Opcode.SET, command.all_fields)


class Prepared(Exception):
    """A run has got as far as the simulation."""


class CountingBackend(Backend):
    """Builds nothing, and counts the commands of a run instead of simulating it."""

    name = "icarus"

    def __init__(self) -> None:
        self.commands = 0

    def version(self) -> str:
        return "none"

    def build(self, design: Design) -> Path:
        return Path()

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        job: DieJob | CollectiveJob | PackageJob
        match bench.rpartition(".")[2]:
            case "die":
                job = DieJob.load(folder)
                self.commands = job.commands
            case "collective":
                job = CollectiveJob.load(folder)
                self.commands = sum(job.commands)
            case "package":
                job = PackageJob.load(folder)
                self.commands = sum(program.commands for phase in job.phases for program in phase.programs)
        raise Prepared


def gemm() -> None:
    run_gemm(GemmRequest(m=5, k=9, n=7, die=DIE, memory=MemorySpec()), observation=TRACE)


def mesh_collective() -> None:
    run_collective(request(), observation=TRACE)


def package_collective() -> None:
    run_package_collective(request(), SystemSpec(die=DIE), observation=TRACE)


def package_gemm() -> None:
    system = SystemSpec(die=DIE, package=PackageSpec(rows=2, cols=2))
    run_package_gemm(PackageGemmRequest(system=system, m=5, k=9, n=7), observation=TRACE)


TRACE = Observation(trace=Path("trace.json"))


def request() -> Any:
    return collective_request(
        op="all-reduce", rows=2, cols=2, axis="both", algorithm="chain", flits=4, die=DIE, nop=NopSpec()
    )


@pytest.mark.parametrize("work", [gemm, mesh_collective, package_collective, package_gemm])
def test_each_command_is_encoded_once_and_none_is_decoded(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collective on a package once encoded 62 commands 118 times and decoded 56 of them."""
    calls: Counter[str] = Counter()
    backend = CountingBackend()
    monkeypatch.setitem(BACKENDS, "icarus", backend)
    for name in ("encode", "decode"):
        count_calls(getattr(isa, name), calls, monkeypatch)
    with pytest.raises(Prepared):
        work()
    assert backend.commands > 0
    assert calls == {"encode": backend.commands}


def count_calls(function: Callable[..., Any], calls: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the calls of a function by its name, wherever it was imported."""

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[function.__name__] += 1
        return function(*arguments, **options)

    for module in [module for module in sys.modules.values() if hasattr(module, "__dict__")]:
        for name, value in list(vars(module).items()):
            if value is function:
                monkeypatch.setattr(module, name, counted)
