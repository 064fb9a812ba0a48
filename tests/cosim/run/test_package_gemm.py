"""GEMMs spread over the dies of a package, out of the memories behind its IO dies: every bit, whatever links and
memories do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chiplet.machine.specs import MemorySpec, PackageSpec, SystemSpec
from cosim.backends.base import SimulationError
from cosim.golden import package as golden
from cosim.jobs.folder import save_image
from cosim.records.package import PackageGemmRecord, package_gemm_request
from cosim.run.package_gemm import prepare, run_package_gemm
from rtl.interface.register_map import SIDES
from tests.cosim.packages import system
from tests.simulators import is_installed


def run(spec: SystemSpec, m: int, k: int, n: int, **fields: Any) -> PackageGemmRecord:
    return run_package_gemm(package_gemm_request(m=m, k=k, n=n, system=spec, **fields))


def check(record: PackageGemmRecord) -> None:
    request = record.request
    system = request.system
    assert record.mismatches == 0
    assert sum(die.macs for die in record.dies) == record.m * record.k * record.n
    assert len(record.dies) == system.package.dies
    assert [phase.name for phase in record.phases] == ["gemm"]
    assert record.cycles == record.phases[0].cycles
    assert 0 < record.utilization <= record.array_utilization <= 1
    for phase in record.phases:
        counters = record.counters[phase.name]
        assert phase.cycles == max(die["cycles"] for die in counters)
        assert phase.nop_flits == sum(die[f"flits_sent_{side}"] for die in counters for side in SIDES)
    moved = {name: sum(words[name] for words in record.axi_bytes.values()) for name in ("reads", "writes")}
    words = sum(phase.axi_reads + phase.axi_writes for phase in record.phases)
    assert sum(moved.values()) == words * system.memory.word_bytes >= record.least_axi_bytes
    stored = 4 * record.m * record.n
    assert stored <= moved["writes"]


@pytest.mark.parametrize(
    ("rows", "cols", "form", "algorithm", "direct"),
    [
        (2, 2, "tn", "chain", True),
        (1, 3, "nn", "ring", True),
        pytest.param(1, 1, "nn", "chain", False, marks=pytest.mark.slow),
        pytest.param(1, 3, "nt", "chain", True, marks=pytest.mark.slow),
    ],
)
def test_the_dies_of_a_package_make_one_product(
    rows: int, cols: int, form: Any, algorithm: Any, direct: bool
) -> None:
    record = run(
        system(rows, cols),
        4,
        5,
        7,
        form=form,
        algorithm=algorithm,
        operands="special",
        seed=rows,
        direct=direct,
    )
    check(record)


def test_link_adapters_and_an_io_die_at_one_end() -> None:
    check(run(system(2, 1, "east"), 5, 7, 2, form="nn", operands="special"))


def test_fewer_rows_and_columns_than_dies() -> None:
    check(run(system(1, 3), 1, 2, 2, form="nt", direct=True))


def test_dies_that_compute_in_bf16() -> None:
    check(run(system(1, 2, dtype="bf16"), 4, 5, 7, operands="special", direct=True))


def test_memories_that_stall_change_no_bit() -> None:
    check(run(system(1, 2), 6, 9, 4, stall=0.5, interval=3, seed=1, direct=True))


@pytest.mark.parametrize("sim", ["cxxrtl", pytest.param("verilator", marks=pytest.mark.slow)])
def test_all_simulators_agree(sim: str) -> None:
    if not is_installed(sim):
        pytest.skip(f"{sim} is not installed")
    icarus, other = (run(system(1, 2), 3, 4, 5, direct=True, sim=name) for name in ("icarus", sim))
    check(icarus)
    assert icarus.counters == other.counters
    assert icarus.phases == other.phases
    assert icarus.axi_bytes == other.axi_bytes
    assert icarus.mismatches == other.mismatches


def test_a_wrong_bit_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(a: NDArray[Any], b: NDArray[Any], **kwargs: object) -> NDArray[np.uint32]:
        return np.full((len(a), b.shape[1]), 0x12345678, dtype=np.uint32)

    monkeypatch.setattr(golden, "gemm", wrong)
    record = run(system(1, 2), 4, 5, 7, direct=True, sim="cxxrtl")
    assert record.mismatches == 28
    assert [die.mismatches for die in record.dies] == [12, 16]


def test_a_word_that_is_no_command_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def cleared(folder: Path, segments: Mapping[int, bytes]) -> None:
        save_image(folder, {address: bytes(len(content)) for address, content in segments.items()})

    monkeypatch.setattr("cosim.run.package.save_image", cleared)
    with pytest.raises(
        SimulationError, match="gemm: die 0: command processor read a word that is not a command of this die"
    ):
        run(system(1, 2), 4, 5, 7, direct=True)


def test_what_does_not_fit_is_refused_before_it_runs() -> None:
    tight = system(1, 4).model_copy(update={"memory": MemorySpec(word_bytes=16, bench_bytes=4096)})
    message = "must be at least that, is 4096"
    with pytest.raises(ValueError, match=re.escape(message)):
        run(tight, 300, 8, 8)
    with pytest.raises(ValueError, match="nothing"):
        run(system(1, 1), 1, 1, 1, sim="nothing")
    with pytest.raises(ValueError, match="^form = 'xx': input should be 'nn', 'nt' or 'tn'$"):
        run(system(1, 1), 1, 1, 1, form="xx")
    many = system(1, 1).model_copy(update={"package": PackageSpec(rows=20, cols=20)})
    with pytest.raises(ValueError, match="package: 20 x 20 dies: must be at most 256 for a simulation"):
        prepare(package_gemm_request(m=1, k=1, n=1, system=many))
