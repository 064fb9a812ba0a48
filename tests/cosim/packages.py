"""Small packages: tests of one size share a design and its models. Dies of integers have no vector unit, which takes
longest to emit and to simulate."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec, NopSpec, PackageSpec, SystemSpec

DIE = DieSpec(
    rows=2, cols=3, weight_bytes=512, activation_bytes=512, accumulator_bytes=512, scratchpad_bytes=4096
)


def system(
    rows: int, cols: int, io: Literal["west", "east", "both", "all"] = "both", *, dtype: Dtype = "int8"
) -> SystemSpec:
    return SystemSpec(
        die=DIE.model_copy(update={"dtype": dtype}),
        package=PackageSpec(rows=rows, cols=cols, io=io),
        nop=NopSpec(flit_bits=32, coordinate_bits=3),
        memory=MemorySpec(word_bytes=16, outstanding=4),
    )
