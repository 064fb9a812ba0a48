"""Faults of the links of a package: they change cycles and never a word, and dead links are named."""

from __future__ import annotations

import re

import pytest

from chiplet.machine.specs import DieSpec, LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.backends.base import SimulationError
from cosim.records.collective import CollectiveRequest, collective_request
from cosim.records.links import Death, FaultyLinks
from cosim.records.package import package_gemm_request
from cosim.run.package_collective import prepare, run_package_collective
from cosim.run.package_gemm import run_package_gemm

SYSTEM = SystemSpec(
    die=DieSpec(rows=1, cols=1, dtype="int8", scratchpad_bytes=1024),
    nop=NopSpec(flit_bits=32, coordinate_bits=3, buffer_flits=2),
    memory=MemorySpec(word_bytes=16, latency_cycles=2),
    link=LinkSpec(timeout_cycles=100),
    package=PackageSpec(rows=1, cols=2, io="west"),
)
DEATHS = (Death(source=0, target=1, cycle=9), Death(source=1, target=0, cycle=4))


def request_of(links: FaultyLinks, flits: int = 20) -> CollectiveRequest:
    return collective_request(
        op="all-reduce",
        rows=1,
        cols=2,
        axis="row",
        algorithm="chain",
        flits=flits,
        die=SYSTEM.die,
        nop=SYSTEM.nop,
        memory=SYSTEM.memory,
        links=links,
        seed=5,
    )


def test_flips_and_stalls_cost_cycles_and_no_word() -> None:
    links = FaultyLinks.of(SYSTEM, flips=0.05, burst=3, stalls=0.01)
    record = run_package_collective(request_of(links), SYSTEM)
    assert record.mismatches == 0
    assert record.cycles > record.predicted_cycles
    faults = record.link_faults
    assert faults is not None
    assert min(faults.flips, faults.stalls, faults.replayed, faults.crc_errors) > 0
    ends = record.link_ends
    assert ends is not None
    assert (ends.ends, ends.up, ends.dead, ends.lost, ends.pending) == (6 - 1, 6 - 1, 0, 0, 0)


def test_two_links_that_die_are_named_with_the_cycles_since_each_death() -> None:
    with pytest.raises(SimulationError) as found:
        run_package_collective(request_of(FaultyLinks.of(SYSTEM, deaths=DEATHS)), SYSTEM)
    named = re.findall(
        r"link (\d:\d) is dead, found (\d+) cycles after it died \(bound (\d+)\)", str(found.value)
    )
    assert [name for name, _, _ in named] == ["1:0", "0:1"]
    assert all(90 <= int(late) <= int(bound) for _, late, bound in named)


def test_a_link_that_dies_in_a_gemm_is_named_and_one_after_its_end_as_well() -> None:
    late = Death(source=1, target=0, cycle=10**8)
    request = package_gemm_request(
        m=2, k=2, n=2, system=SYSTEM, links=FaultyLinks.of(SYSTEM, deaths=(*DEATHS[:1], late))
    )
    with pytest.raises(
        SimulationError,
        match=r"^link 0:1 is dead, found \d+ .*; link 1:0 was to die in cycle 100000000, but the run had ended before$",
    ):
        run_package_gemm(request)


def test_deaths_that_cannot_be_are_refused() -> None:
    links = FaultyLinks.of(SYSTEM, deaths=(Death(source=0, target=0, cycle=1),))
    with pytest.raises(ValueError, match=r"^link 0:0 is not a link of the mesh"):
        prepare(request_of(links), SYSTEM)
    with pytest.raises(ValueError, match=r"^link 0:1 dies twice: must die once$"):
        prepare(request_of(FaultyLinks.of(SYSTEM, deaths=DEATHS[:1] * 2)), SYSTEM)
    with pytest.raises(ValueError, match="^links without adapters have no faults: leave out --direct"):
        prepare(request_of(FaultyLinks.of(SYSTEM, flips=0.1)), SYSTEM, direct=True)
