"""Collectives on a package: the bits and the cycles of the bench of collectives, with links, IO dies and all."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from chiplet.machine.specs import DieSpec, Dtype, LinkSpec, MemorySpec, NopSpec, SystemSpec
from cosim.records.collective import CollectiveRequest, collective_request
from cosim.records.links import FaultyLinks
from cosim.run.collective import run_collective
from cosim.run.package_collective import on_package, run_package_collective

SYSTEM = SystemSpec(
    # A die of integers has no vector unit, which takes longest to emit and to simulate.
    die=DieSpec(rows=2, cols=2, dtype="int8", scratchpad_bytes=1024),
    nop=NopSpec(flit_bits=32, coordinate_bits=3),
    memory=MemorySpec(word_bytes=16, latency_cycles=2),
)


def request_of(op: str, rows: int, cols: int, axis: str, algorithm: str, flits: int) -> CollectiveRequest:
    return collective_request(
        op=op,
        rows=rows,
        cols=cols,
        axis=axis,
        algorithm=algorithm,
        flits=flits,
        die=SYSTEM.die,
        nop=SYSTEM.nop,
        memory=SYSTEM.memory,
        links=FaultyLinks.of(SYSTEM),
        operands="special",
        seed=rows + cols,
    )


@pytest.mark.parametrize(
    ("op", "rows", "cols", "axis", "algorithm", "flits", "io"),
    [
        pytest.param("all-gather", 1, 1, "both", "chain", 3, "both", marks=pytest.mark.slow),
        ("all-gather", 1, 3, "row", "chain", 9, "both"),
        pytest.param("reduce-scatter", 1, 4, "row", "ring", 3, "both", marks=pytest.mark.slow),
        pytest.param("reduce-scatter", 3, 1, "column", "chain", 11, "west", marks=pytest.mark.slow),
        pytest.param("all-gather", 2, 3, "both", "ring", 3, "east", marks=pytest.mark.slow),
        pytest.param("reduce-scatter", 2, 3, "both", "chain", 5, "east", marks=pytest.mark.slow),
    ],
)
def test_bits_and_cycles_are_those_of_the_bench(
    op: str, rows: int, cols: int, axis: str, algorithm: str, flits: int, io: Literal["west", "east", "both"]
) -> None:
    request = request_of(op, rows, cols, axis, algorithm, flits)
    system = SYSTEM.model_copy(update={"package": SYSTEM.package.model_copy(update={"io": io})})
    package, bench = run_package_collective(request, system), run_collective(request)
    assert package.mismatches == bench.mismatches == 0
    assert (package.cycles > 0) == (rows * cols > 1)
    assert (package.flits_sent, package.flits_received) == (bench.flits_sent, bench.flits_received)
    if axis == "both":
        # Rows and columns share banks, and whose turn it is in a bank depends on what it did before: here on loads.
        assert abs(package.cycles - bench.cycles) <= 1
    else:
        # Every die begins and ends in the same cycle of the collective, not the slowest one only.
        assert package.cycles == bench.cycles
        assert times(package.counters) == times(bench.counters)
    assert (package.floor_cycles, package.predicted_cycles) == (bench.floor_cycles, bench.predicted_cycles)
    assert set(package.phase_cycles) == {"load", "store"} | ({"collective"} if rows * cols > 1 else set())


def times(counters: tuple[dict[str, int], ...]) -> list[Any]:
    start = min(die["nop_first"] for die in counters)
    return [(die["nop_first"] - start, die["nop_last"] - start) for die in counters]


@pytest.mark.parametrize("dtype", ["int8", pytest.param("bf16", marks=pytest.mark.slow)])
def test_an_all_reduce_without_adapters(dtype: Dtype) -> None:
    die = SYSTEM.die.model_copy(update={"dtype": dtype})
    request = request_of("all-reduce", 1, 3, "row", "chain", 6).model_copy(update={"die": die})
    record = run_package_collective(request, SYSTEM.model_copy(update={"die": die}), direct=True)
    assert record.mismatches == 0
    assert record.request.links is None
    assert record.cycles >= 2 * 2 * 6 / 2
    assert record.file_name.startswith(f"package_all-reduce_1x3_row_chain_6_{dtype}_")


def test_faults_stay_on_a_package() -> None:
    request = request_of("all-gather", 1, 2, "row", "chain", 1)
    faulty = request.model_copy(update={"links": FaultyLinks.of(SYSTEM, flips=0.1)})
    assert on_package(faulty, SYSTEM) == faulty
    assert on_package(request.model_copy(update={"links": None}), SYSTEM) == request


def test_the_wires_of_a_package_have_no_flight() -> None:
    far = SYSTEM.model_copy(update={"link": LinkSpec(latency_seconds=7e-9)})
    request = request_of("all-gather", 1, 2, "row", "chain", 1)
    links = FaultyLinks.of(far)
    assert links.flight_cycles == 5
    found = on_package(request.model_copy(update={"links": links}), far)
    assert found.links == links.model_copy(update={"flight_cycles": 0})
    assert on_package(found, far) == found
