"""GEMMs on every die of a package at once, out of shared IO dies: every bit, whatever links and memories do."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.specs import DieSpec, Dtype, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim import golden
from cosim.backends.base import SimulationError
from cosim.package import PackageGemmRecord, PackageGemmRequest, moved, run_package_gemm
from cosim.scheduler import schedule_gemm
from cosim.tiling import FORMS, Shape

DIE = DieSpec(rows=2, cols=3, weight_bytes=2048, activation_bytes=2048, accumulator_bytes=2048)


def system(
    rows: int, cols: int, io: Literal["west", "east", "both"] = "both", *, dtype: Dtype = "bf16"
) -> SystemSpec:
    return SystemSpec(
        die=DIE.model_copy(update={"dtype": dtype}),
        package=PackageSpec(rows=rows, cols=cols, io=io),
        nop=NopSpec(flit_bits=32, coordinate_bits=3),
        memory=MemorySpec(word_bytes=16, outstanding=4),
    )


def check(record: PackageGemmRecord) -> None:
    dies = record.request.system.package.dies
    assert record.mismatches == (0,) * dies
    assert len(record.counters) == dies
    assert record.cycles == max(counters["cycles"] for counters in record.counters) > 0
    macs = record.request.m * record.request.k * record.request.n
    assert [counters["macs"] for counters in record.counters] == [macs] * dies


@pytest.mark.parametrize(
    ("rows", "cols", "io", "direct"),
    [
        (1, 1, "both", False),
        (1, 4, "both", True),
        (3, 1, "east", True),
        (2, 2, "both", False),
        (2, 3, "both", True),
    ],
)
def test_every_die_gets_its_own_result(
    rows: int, cols: int, io: Literal["west", "east", "both"], direct: bool
) -> None:
    check(
        run_package_gemm(
            PackageGemmRequest(
                m=4, k=5, n=7, system=system(rows, cols, io), operands="special", seed=rows, direct=direct
            )
        )
    )


@pytest.mark.parametrize("form", FORMS)
def test_memories_that_stall_change_no_bit(form: Literal["nn", "nt", "tn"]) -> None:
    request = PackageGemmRequest(
        m=6, k=9, n=4, form=form, system=system(1, 2), stall=0.5, interval=3, seed=1, direct=True
    )
    check(run_package_gemm(request))


def test_both_simulators_agree() -> None:
    request = PackageGemmRequest(m=3, k=4, n=5, system=system(1, 2, dtype="int8"), direct=True)
    icarus, cxxrtl = (
        run_package_gemm(request.model_copy(update={"sim": sim})) for sim in ("icarus", "cxxrtl")
    )
    check(icarus)
    assert icarus.counters == cxxrtl.counters
    assert icarus.mismatches == cxxrtl.mismatches


def test_dies_that_share_an_io_die_wait_for_each_other() -> None:
    """With an IO die at one end only, twice as many dies share it."""
    cycles = [
        run_package_gemm(PackageGemmRequest(m=4, k=5, n=7, system=system(1, 4, io), direct=True)).cycles
        for io in ("both", "west")
    ]
    assert cycles[1] > 1.5 * cycles[0]


def test_a_wrong_bit_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: object, **kwargs: object) -> NDArray[np.uint32]:
        return np.zeros((4, 7), dtype=np.uint32)

    monkeypatch.setattr(golden, "gemm", wrong)
    record = run_package_gemm(PackageGemmRequest(m=4, k=5, n=7, system=system(1, 2), direct=True))
    assert record.mismatches == (28,) * 2


def test_a_word_that_is_no_command_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def cleared(self: object, memory: MemorySpec) -> list[int]:
        return [0] * 2 * memory.command_words

    monkeypatch.setattr("cosim.scheduler.GemmProgram.program_words", cleared)
    with pytest.raises(SimulationError, match="die 0 met a word that is no command"):
        run_package_gemm(PackageGemmRequest(m=4, k=5, n=7, system=system(1, 2), direct=True))


def test_moved_programs_differ_in_addresses_only() -> None:
    program = schedule_gemm(DIE, MemorySpec(word_bytes=16), Shape(m=9, k=8, n=7, form="nn"))
    other = moved(program, 1000)
    assert other.memory_words == program.memory_words + 1000
    assert other.program_address == program.program_address + 1000
    for old, new in zip((program.a, program.b, program.y), (other.a, other.b, other.y), strict=True):
        assert new.address == old.address + 1000
    for was, now in zip(program.commands, other.commands, strict=True):
        assert {**now.fields, "address": 0} == {**was.fields, "address": 0}
        assert now.fields.get("address", 1000) == was.fields.get("address", 0) + 1000
    assert moved(other, -1000) == program


def test_what_does_not_fit_is_refused_before_it_runs() -> None:
    tight = system(1, 4).model_copy(update={"memory": MemorySpec(word_bytes=16, bench_bytes=4096)})
    message = "must be at least that, is 4096"
    with pytest.raises(ValueError, match=re.escape(message)):
        run_package_gemm(PackageGemmRequest(m=20, k=20, n=20, system=tight))
    with pytest.raises(ValueError, match="nothing"):
        run_package_gemm(PackageGemmRequest(m=1, k=1, n=1, system=system(1, 1), sim="nothing"))
