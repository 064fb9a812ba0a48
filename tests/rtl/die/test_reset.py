"""Die with engine and vector unit: a reset in any cycle of a program, while memory goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.backends.icarus import Icarus
from rtl.bench.collective import CollectiveMesh
from rtl.emit.emitter import emit
from tests.rtl.die import reset_bench


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_program_after_a_reset_gives_the_right_results(step: int, tmp_path: Path) -> None:
    """Two dies are reset together: load, feed, vector, send and receive units, with words on their way from memory."""
    dut = CollectiveMesh(
        die=DieSpec(
            rows=1, cols=1, scratchpad_bytes=2048, activation_bytes=16, weight_bytes=16, accumulator_bytes=32
        ),
        memory=MemorySpec(word_bytes=reset_bench.WORD_BYTES, outstanding=4),
        nop=NopSpec(flit_bits=reset_bench.FLIT_BITS),
        memory_depth=reset_bench.MEMORY_WORDS,
        rows=1,
        cols=2,
        vector=VectorSpec(lanes=1),
    )
    emitted = emit(dut, None)
    icarus = Icarus()
    model = icarus.build(emitted)
    icarus.run(model, emitted.top, reset_bench.__name__, tmp_path, {reset_bench.STEP: str(step)})
    resets = int((tmp_path / reset_bench.RESETS).read_text())
    assert (resets - 1) * step > 60
