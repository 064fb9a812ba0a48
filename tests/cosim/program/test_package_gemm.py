"""A GEMM on a package: every element has one die, and the programs compute it, whatever the sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.golden.gemm import gemm
from cosim.golden.interpreter import Interpreter
from cosim.golden.operands import random_operands
from cosim.golden.package import expected_parts
from cosim.golden.package_interpreter import run_package
from cosim.program.layout import Places
from cosim.program.overlap.token_tiles import token_tiles
from cosim.program.package import DiePart
from cosim.program.package_gemm import gemm_parts
from cosim.program.shape import FORMS, Shape, gemm_forms
from rtl.interface.isa import Opcode, Side

SIZES = st.sampled_from([1, 2, 3, 5, 8, 13])


@st.composite
def systems(draw: st.DrawFn) -> SystemSpec:
    word_bytes = draw(st.sampled_from([4, 8, 32]))
    return SystemSpec(
        die=DieSpec(
            rows=draw(st.integers(1, 4)),
            cols=draw(st.integers(1, 4)),
            dtype=draw(st.sampled_from(["bf16", "int8"])),
            weight_bytes=1024,
            activation_bytes=1024,
            accumulator_bytes=1024,
        ),
        package=PackageSpec(
            rows=draw(st.integers(1, 4)),
            cols=draw(st.integers(1, 4)),
            io=draw(st.sampled_from(["west", "east", "both", "all"])),
        ),
        nop=NopSpec(flit_bits=draw(st.sampled_from([32, 8 * word_bytes, 16 * word_bytes, 24 * word_bytes]))),
        memory=MemorySpec(word_bytes=word_bytes),
    )


@settings(max_examples=60)
@given(
    systems(),
    SIZES,
    SIZES,
    SIZES,
    st.sampled_from(FORMS),
    st.sampled_from(["chain", "ring"]),
    st.integers(0, 99),
)
def test_the_programs_give_every_element(
    system: SystemSpec, m: int, k: int, n: int, form: Any, algorithm: Any, seed: int
) -> None:
    shape = Shape(m=m, k=k, n=n, form=form)
    rng = np.random.default_rng(seed)
    dtype = system.die.dtype
    a, b = random_operands(rng, shape, dtype=dtype, operands="special")
    places = Places()
    try:
        parts = gemm_parts(system, shape, a, b, algorithm=algorithm, places=places)
    except ValueError:  # tiles of whole flits do not fit
        assume(system.nop.flit_bits <= 8 * system.memory.word_bytes)
        raise
    assert sum(part.macs for part in parts) == m * k * n
    covered = np.zeros((m, n), int)
    for part in parts:
        covered[part.rows[part.rows >= 0], part.cols.start : part.cols.stop] += 1
    assert (covered == 1).all()

    expected = expected_parts(system, shape, a, b, algorithm)
    results = carried_out(system, parts, max(places.used.values()), seed)
    for part, result, right in zip(parts, results, expected, strict=True):
        elements = part.elements(result, dtype)
        assert np.array_equal(elements, right)
        if dtype == "int8":
            whole = gemm(*gemm_forms(a, b, form=form), rows=1, dtype="int8")
            rows = part.rows[part.rows >= 0]
            assert np.array_equal(elements, whole[rows, part.cols.start : part.cols.stop])


def carried_out(system: SystemSpec, parts: list[DiePart], words: int, seed: int) -> list[bytes]:
    """Results of the dies, whose units take their steps in a random order."""
    dies = [Interpreter(die=system.die, memory=system.memory, words=words) for _ in parts]
    for die, part in zip(dies, parts, strict=True):
        for address, content in part.work.image.items():
            die.write_memory(address, content)
    rng = np.random.default_rng(seed)
    programs = [program for part in parts for program in part.work.programs]
    run_package(system, dies, programs, order=lambda steps: int(rng.integers(steps)))
    return [
        die.read_memory(result.address, result.words) if result.words else b""
        for die, part in zip(dies, parts, strict=True)
        for (result,) in part.work.reads
    ]


@pytest.mark.parametrize(
    ("rows", "cols", "m", "k", "n", "form", "algorithm"),
    [
        (1, 1, 70, 9, 11, "nn", "chain"),
        (2, 2, 70, 9, 11, "nn", "chain"),
        (3, 2, 101, 19, 23, "nn", "chain"),
        (1, 3, 70, 9, 11, "nt", "ring"),
        (3, 2, 101, 19, 23, "nt", "chain"),
        (5, 1, 90, 7, 33, "nt", "ring"),
        (2, 3, 9, 77, 7, "tn", "chain"),
        (3, 1, 19, 100, 23, "tn", "ring"),
    ],
)
def test_tiles_take_two_places_in_turn(
    rows: int, cols: int, m: int, k: int, n: int, form: Any, algorithm: Any
) -> None:
    """A last tile that is smaller once took the place of rows that were not fed yet."""
    system = SystemSpec(
        die=DieSpec(rows=3, cols=4), package=PackageSpec(rows=rows, cols=cols), memory=MemorySpec()
    )
    shape = Shape(m=m, k=k, n=n, form=form)
    assert len(token_tiles(system, shape)) > 2
    for seed in range(2):
        a, b = random_operands(np.random.default_rng(seed), shape, dtype="bf16", operands="normal")
        places = Places()
        parts = gemm_parts(system, shape, a, b, algorithm=algorithm, places=places)
        results = carried_out(system, parts, max(places.used.values()), seed)
        expected = expected_parts(system, shape, a, b, algorithm)
        for part, result, right in zip(parts, results, expected, strict=True):
            assert np.array_equal(part.elements(result, "bf16"), right)


def test_a_die_without_neighbours_on_a_line_sends_nothing_along_it() -> None:
    system = SystemSpec(
        die=DieSpec(rows=2, cols=2), package=PackageSpec(rows=1, cols=3), nop=NopSpec(), memory=MemorySpec()
    )
    shape = Shape(m=4, k=4, n=4)
    a, b = random_operands(np.random.default_rng(0), shape, dtype="bf16", operands="normal")
    for part in gemm_parts(system, shape, a, b, algorithm="chain", places=Places()):
        (program,) = part.work.programs
        sides = {command.fields["side"] for command in program if command.opcode == Opcode.SEND}
        assert sides <= {Side.EAST, Side.WEST}
        assert sides


@pytest.mark.parametrize("buffer", ["scratchpad", "activation", "weight", "accumulator"])
def test_what_does_not_fit_a_buffer_is_refused(buffer: str) -> None:
    system = SystemSpec(
        die=DieSpec.model_validate(
            {"rows": 2, "cols": 2, f"{buffer}_bytes": 512 if buffer == "scratchpad" else 64}
        ),
        package=PackageSpec(rows=1, cols=2),
        memory=MemorySpec(),
    )
    a, b = (np.zeros((40, 40), np.uint16) for _ in range(2))
    message = rf"^package: 40x40x40 \(nn\): die\.{buffer}_bytes must be at least \d+, has (512|64) in use$"
    with pytest.raises(ValueError, match=message):
        gemm_parts(system, Shape(m=40, k=40, n=40), a, b, algorithm="chain", places=Places())
