"""Co-simulation of a GEMM: what it runs on."""

from __future__ import annotations

from chiplet.specs import DieSpec, MemorySpec
from cosim.gemm import emit_bench


def test_macros_are_simulated_as_the_memories_that_they_stand_for() -> None:
    memory = MemorySpec(word_bytes=4)
    dies = [DieSpec(rows=1, cols=1, dtype="int8", sram=sram) for sram in ("inferred", "macro")]
    assert emit_bench(dies[0], memory, 1).text == emit_bench(dies[1], memory, 1).text
