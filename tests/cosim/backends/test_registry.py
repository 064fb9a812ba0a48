"""Backends by name; those that are there give the same cycles, counters and bits."""

from __future__ import annotations

import pytest

from benchmarks.simulation import QUICK_DIE
from chiplet.machine.specs import Dtype, MemorySpec
from cosim.backends.registry import BACKENDS, backend
from cosim.backends.verilator_program import packaged_path
from cosim.records.gemm import GemmRequest
from cosim.run.gemm import run_gemm
from tests.simulators import installed, is_installed


def test_names() -> None:
    assert list(BACKENDS) == ["icarus", "cxxrtl", "verilator"]
    assert all(backend(name).name == name for name in BACKENDS)
    with pytest.raises(ValueError, match="^--sim vcs is unknown: must be one of icarus, cxxrtl, verilator$"):
        backend("vcs")


@pytest.mark.parametrize("dtype", ["int8", pytest.param("bf16", marks=pytest.mark.slow)])
def test_all_that_are_there_agree(dtype: Dtype) -> None:
    # The integers are those of the quick benchmark, so that its models are built once; less to build than bf16.
    request = GemmRequest(
        m=3,
        k=5,
        n=4,
        die=QUICK_DIE.model_copy(update={"dtype": dtype}),
        memory=MemorySpec(),
        stall=0.3,
        seed=1,
        operands="special",
    )
    there = installed()
    assert there[:2] == ["icarus", "cxxrtl"]
    assert is_installed("verilator") or packaged_path() is None
    records = [run_gemm(request.model_copy(update={"sim": name})) for name in there]
    assert [record.mismatches for record in records] == [0] * len(there)
    assert all(record.counters == records[0].counters for record in records)
