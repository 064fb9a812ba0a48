"""Random dies, memories and shapes that fit them, small enough to enumerate and with all the remainders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.golden.operands import random_operands
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.shape import FORMS, Operands, Shape


@dataclass(frozen=True)
class Case:
    """A die, its memory, and a program for them."""

    die: DieSpec
    memory: MemorySpec
    program: GemmProgram

    @property
    def shape(self) -> Shape:
        return self.program.shape

    def operands(self, seed: int = 0, operands: Operands = "special") -> tuple[NDArray[Any], NDArray[Any]]:
        """Random operands as they are stored."""
        rng = np.random.default_rng(seed)
        return random_operands(rng, self.shape, dtype=self.die.dtype, operands=operands)


def case(die: DieSpec, memory: MemorySpec, shape: Shape) -> Case:
    return Case(die, memory, schedule_gemm(die, memory, shape))


SIZES = st.sampled_from([1, 2, 3, 4, 5, 8])
WORDS = st.sampled_from([4, 8, 16, 32, 64, 128, 256])


@st.composite
def dies(draw: st.DrawFn) -> DieSpec:
    """Dies with buffers from the least possible on."""
    rows, cols = draw(SIZES), draw(SIZES)
    dtype: Dtype = draw(st.sampled_from(["bf16", "int8"]))
    element = 2 if dtype == "bf16" else 1

    def size(least: int) -> int:
        factor: int = draw(st.sampled_from([1, 2, 3, 4, 8, 16, 64]))
        return least * factor + draw(st.integers(0, 8))

    return DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        stages=draw(st.integers(1, 4)),
        weight_bytes=size(rows * cols * element),
        activation_bytes=size(rows * rows * element),
        accumulator_bytes=size(2 * cols * 4),
        queue_depth=draw(st.integers(2, 5)),
        scratchpad_bytes=draw(st.sampled_from([8192, 16384, 65536])),
    )


def memories() -> st.SearchStrategy[MemorySpec]:
    return st.builds(MemorySpec, word_bytes=WORDS)


def shapes(most: int = 40) -> st.SearchStrategy[Shape]:
    size = st.integers(1, 6) | st.integers(1, most)
    return st.builds(Shape, m=size, k=size, n=size, form=st.sampled_from(FORMS))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """What fits: about half of what is drawn."""
    die, memory, shape = draw(dies()), draw(memories()), draw(shapes())
    try:
        return case(die, memory, shape)
    except ValueError:
        assume(False)
        raise
