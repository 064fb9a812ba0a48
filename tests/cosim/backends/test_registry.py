"""Backends by name; those that are there give the same cycles, counters and bits."""

from __future__ import annotations

from contextlib import suppress

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import SimulationError
from cosim.backends.registry import BACKENDS, backend
from cosim.records.gemm import GemmRequest
from cosim.run.gemm import run_gemm


def test_names() -> None:
    assert list(BACKENDS) == ["icarus", "cxxrtl", "verilator"]
    assert all(backend(name).name == name for name in BACKENDS)
    with pytest.raises(ValueError, match="^--sim vcs is unknown: must be one of icarus, cxxrtl, verilator$"):
        backend("vcs")


def test_all_that_are_there_agree() -> None:
    request = GemmRequest(
        m=3, k=5, n=4, die=DieSpec(rows=2, cols=3), memory=MemorySpec(), stall=0.3, seed=1, operands="special"
    )
    there = []
    for name, one in BACKENDS.items():
        with suppress(SimulationError):
            one.version()
            there.append(name)
    assert there[:2] == ["icarus", "cxxrtl"]
    records = [run_gemm(request.model_copy(update={"sim": name})) for name in there]
    assert [record.mismatches for record in records] == [0] * len(there)
    assert all(record.counters == records[0].counters for record in records)
