"""Predicted cycles of one program a die on a package, against cycles that were measured on the generated package."""

from __future__ import annotations

import numpy as np
import pytest

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.golden.operands import random_operands
from cosim.predict.package import PackageTimes, predict_package
from cosim.program.command import Command
from cosim.program.layout import Places
from cosim.program.package import DiePart
from cosim.program.package_gemm import gemm_parts
from cosim.program.shape import Shape
from rtl.interface.isa import Opcode


def parts_of(
    rows: int, cols: int, m: int, k: int, n: int, form: Form = "nn"
) -> tuple[SystemSpec, list[DiePart]]:
    system = SystemSpec(
        die=DieSpec(rows=4, cols=4), package=PackageSpec(rows=rows, cols=cols), memory=MemorySpec()
    )
    shape = Shape(m=m, k=k, n=n, form=form)
    a, b = random_operands(np.random.default_rng(0), shape, dtype="bf16", operands="normal")
    return system, gemm_parts(system, shape, a, b, algorithm="chain", places=Places())


def predicted(system: SystemSpec, parts: list[DiePart], programs: list[list[Command]]) -> PackageTimes:
    return predict_package(system, programs, [part.work.io_die for part in parts], direct=False)


@pytest.mark.parametrize(
    ("rows", "cols", "m", "k", "n", "form", "measured"),
    [
        (1, 1, 64, 64, 64, "nn", 17734),
        (2, 2, 64, 64, 64, "nn", 4830),
        (1, 3, 50, 40, 60, "nn", 4188),
        (3, 2, 101, 64, 50, "nt", 4920),
        (2, 2, 40, 100, 30, "tn", 2551),
    ],
)
def test_predicted_cycles_are_those_of_the_hardware(
    rows: int, cols: int, m: int, k: int, n: int, form: Form, measured: int
) -> None:
    system, parts = parts_of(rows, cols, m, k, n, form)
    times = predicted(system, parts, [part.work.programs[0] for part in parts])
    assert times.cycles == pytest.approx(measured, rel=0.02)
    assert times.array_cycles < times.cycles


@pytest.mark.parametrize(
    ("flit_bits", "m", "k", "n", "measured"),
    [(64, 3, 5, 7, 205), (256, 3, 5, 7, 163), (256, 8, 16, 16, 773)],
)
def test_short_programs_on_one_die(flit_bits: int, m: int, k: int, n: int, measured: int) -> None:
    """What a read and the last write spend on their way shows in runs of few words; measured with Icarus."""
    system = SystemSpec(
        die=DieSpec(rows=2, cols=2, dtype="int8"),
        package=PackageSpec(rows=1, cols=1),
        nop=NopSpec(flit_bits=flit_bits),
    )
    shape = Shape(m=m, k=k, n=n, form="nn")
    a, b = random_operands(np.random.default_rng(0), shape, dtype="int8", operands="normal")
    parts = gemm_parts(system, shape, a, b, algorithm="chain", places=Places())
    times = predicted(system, parts, [part.work.programs[0] for part in parts])
    assert times.cycles == pytest.approx(measured, abs=1)


def test_dies_that_share_an_io_die_wait_for_each_other() -> None:
    """Measured with Icarus; had each die half of the link at all times, it would be 183 cycles."""
    system = SystemSpec(
        die=DieSpec(rows=2, cols=2, dtype="int8"),
        package=PackageSpec(rows=1, cols=2, io="west"),
        nop=NopSpec(flit_bits=256),
    )
    shape = Shape(m=3, k=5, n=7, form="nn")
    a, b = random_operands(np.random.default_rng(0), shape, dtype="int8", operands="normal")
    parts = gemm_parts(system, shape, a, b, algorithm="chain", places=Places())
    times = predicted(system, parts, [part.work.programs[0] for part in parts])
    assert times.cycles == pytest.approx(174, abs=4)


def test_programs_that_block_are_refused() -> None:
    system, parts = parts_of(1, 2, 8, 8, 8)
    programs = [list(part.work.programs[0]) for part in parts]
    programs[0] = [command for command in programs[0] if command.opcode != Opcode.SEND]
    with pytest.raises(ValueError, match="^package: the programs block$"):
        predicted(system, parts, programs)
