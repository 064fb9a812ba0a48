"""Backends by name; those that are there give the same cycles, counters and bits."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from cosim.backends.registry import BACKENDS, backend
from cosim.backends.verilator_program import packaged_path
from cosim.records.gemm import GemmRequest
from cosim.run.gemm import run_gemm
from tests.simulators import installed, is_installed


def die(dtype: Dtype) -> DieSpec:
    """The integers are those of the quick benchmark, so that its models are built once; less to build than bf16."""
    return DieSpec(rows=3, cols=2, dtype=dtype, weight_bytes=256, activation_bytes=256, accumulator_bytes=256)


def test_names() -> None:
    assert list(BACKENDS) == ["icarus", "cxxrtl", "verilator"]
    assert all(backend(name).name == name for name in BACKENDS)
    with pytest.raises(ValueError, match="^--sim vcs is unknown: must be one of icarus, cxxrtl, verilator$"):
        backend("vcs")


@pytest.mark.parametrize("dtype", ["int8", pytest.param("bf16", marks=pytest.mark.slow)])
def test_all_that_are_there_agree(dtype: Dtype) -> None:
    request = GemmRequest(
        m=3, k=5, n=4, die=die(dtype), memory=MemorySpec(), stall=0.3, seed=1, operands="special"
    )
    there = installed()
    assert there[:2] == ["icarus", "cxxrtl"]
    assert is_installed("verilator") or packaged_path() is None
    records = [run_gemm(request.model_copy(update={"sim": name})) for name in there]
    assert [record.mismatches for record in records] == [0] * len(there)
    assert all(record.counters == records[0].counters for record in records)
