"""A GEMM on a package: every element has one die, and the programs compute it, whatever the sizes."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec, scratchpad_depth
from cosim.golden.gemm import gemm
from cosim.golden.interpreter import Interpreter
from cosim.golden.numerics import fp32_add
from cosim.golden.operands import random_operands
from cosim.golden.package import expected_parts
from cosim.program.layout import Places
from cosim.program.line_commands import LineCollective, sum_order
from cosim.program.package_gemm import GEMM_PHASES, DiePart, gemm_parts
from cosim.program.shape import FORMS, Shape, gemm_forms
from nop.collectives import line
from nop.forwarding import slots
from rtl.interface.memory_port import EXCHANGE_ADDRESS

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
            io=draw(st.sampled_from(["west", "east", "both"])),
        ),
        nop=NopSpec(flit_bits=32),
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
    parts = gemm_parts(system, shape, a, b, algorithm=algorithm, places=places)
    assert sum(part.macs for part in parts) == m * k * n
    covered = np.zeros((m, n), int)
    for part in parts:
        covered[part.rows.start : part.rows.stop, part.cols.start : part.cols.stop] += 1
    assert (covered == 1).all()

    expected = expected_parts(system, shape, a, b, algorithm)
    results = carried_out(system, parts, max(places.used.values()))
    for part, result, right in zip(parts, results, expected, strict=True):
        elements = part.elements(result, dtype)
        assert np.array_equal(elements, right)
        if dtype == "int8":
            whole = gemm(*gemm_forms(a, b, form=form), rows=1, dtype="int8")
            rows, cols = part.rows, part.cols
            assert np.array_equal(elements, whole[rows.start : rows.stop, cols.start : cols.stop])


def carried_out(system: SystemSpec, parts: list[DiePart], words: int) -> list[bytes]:
    """Results of the dies: each die an interpreter, and the collectives between them in Python."""
    depth = scratchpad_depth(system.die, system.memory, system.nop)
    dies = [
        Interpreter(die=system.die, memory=system.memory, words=words, exchange_words=depth) for _ in parts
    ]
    for die, part in zip(dies, parts, strict=True):
        for address, content in part.work.image.items():
            die.write_memory(address, content)
    for number, name in enumerate(GEMM_PHASES):
        if name in ("gather", "scatter"):
            communicate(system, dies, parts, name)
            continue
        for die, part in zip(dies, parts, strict=True):
            die.run(part.work.programs[number])
    return [
        die.read_memory(part.work.result.address, part.work.result.words) if part.work.result.words else b""
        for die, part in zip(dies, parts, strict=True)
    ]


def communicate(system: SystemSpec, dies: list[Interpreter], parts: list[DiePart], name: str) -> None:
    """Carry out the schedules between the exchange buffers. A chunk may have another place in each."""
    works = [part.gathers if name == "gather" else part.sums for part in parts]
    lines: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, own in enumerate(works):
        row, col = divmod(number, system.package.cols)
        for axis in own:
            lines[axis, row if axis == "row" else col].append(number)
    for (axis, _), numbers in lines.items():
        work = works[numbers[0]][axis]
        if work.nodes == 1:
            continue
        op = "all-gather" if name == "gather" else "reduce-scatter"
        assert work.op == op
        for _, sender, receiver, chunk in sum_order(work.algorithm, line(op, work.nodes, work.algorithm)):
            source, target = numbers[sender], numbers[receiver]
            content = dies[source].read_memory(_address(works[source][axis], chunk), work.pitch)
            address = _address(works[target][axis], chunk)
            if name == "scatter":
                sent, own_sums = (
                    np.frombuffer(words, np.uint32)
                    for words in (content, dies[target].read_memory(address, work.pitch))
                )
                total = sent + own_sums if system.die.dtype == "int8" else fp32_add(sent, own_sums)
                content = total.tobytes()
            dies[target].write_memory(address, content)


def _address(work: LineCollective, chunk: int) -> int:
    return EXCHANGE_ADDRESS + work.base + slots(work.algorithm, work.nodes)[chunk] * work.pitch


def test_programs_begin_to_send_only_where_there_are_neighbours() -> None:
    system = SystemSpec(
        die=DieSpec(rows=2, cols=2), package=PackageSpec(rows=1, cols=3), nop=NopSpec(), memory=MemorySpec()
    )
    shape = Shape(m=4, k=4, n=4)
    rng = np.random.default_rng(0)
    a, b = random_operands(rng, shape, dtype="bf16", operands="normal")
    for part in gemm_parts(system, shape, a, b, algorithm="chain", places=Places()):
        used = [name for name, program in zip(GEMM_PHASES, part.work.programs, strict=True) if program]
        assert "gather" in used
        assert "scatter" not in used


def test_what_does_not_fit_the_scratchpad_is_refused() -> None:
    system = SystemSpec(
        die=DieSpec(rows=2, cols=2, scratchpad_bytes=1024),
        package=PackageSpec(rows=1, cols=2),
        memory=MemorySpec(),
    )
    a, b = (np.zeros((20, 20), np.uint16) for _ in range(2))
    message = "a block of 20x20x10 (nn) needs 81 words of a die's scratchpad: must be at most the 32 of "
    with pytest.raises(ValueError, match=re.escape(message)):
        gemm_parts(system, Shape(m=20, k=20, n=20), a, b, algorithm="chain", places=Places())
