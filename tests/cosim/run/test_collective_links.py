"""Collectives over link adapters: faults change cycles and never a word; a dead link is named."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chiplet.machine.config import load_system
from cosim.backends.base import SimulationError
from cosim.records.collective import CollectiveRecord, collective_request
from cosim.records.links import Death, FaultyLinks
from cosim.run.collective import run_collective
from nop.lower_bound import line_floor

SYSTEM = load_system(None, [], preset="bench")


def run(
    op: str, algorithm: str, flits: int, seed: int = 9, stall_cycles: int = 16, **faults: Any
) -> CollectiveRecord:
    """On 1x3 dies: one model for all of these tests."""
    return run_collective(
        collective_request(
            op=op,
            rows=1,
            cols=3,
            axis="row",
            algorithm=algorithm,
            flits=flits,
            links=FaultyLinks.of(SYSTEM, **faults).model_copy(update={"stall_cycles": stall_cycles}),
            operands="special",
            seed=seed,
            sim="cxxrtl",
        )
    )


@pytest.mark.parametrize(
    ("op", "algorithm", "flits"),
    [("all-gather", "chain", 64), ("reduce-scatter", "chain", 20), ("all-gather", "ring", 7)],
)
def test_links_add_their_latency_to_every_hop(op: str, algorithm: str, flits: int) -> None:
    record = run(op, algorithm, flits)
    assert record.mismatches == 0
    assert record.cycles == record.predicted_cycles
    assert record.link_totals is not None
    assert record.link_totals.replayed == record.link_totals.crc_errors == 0
    hop = 1 + record.link_totals.latency_cycles
    assert record.floor_cycles == line_floor(record.op, 3, record.algorithm, flits, hop_cycles=hop)


@pytest.mark.parametrize("algorithm", ["chain", "ring"])
def test_flips_and_stalls_cost_cycles_and_no_word(algorithm: str) -> None:
    clean = run("all-reduce", algorithm, 200)
    faulty = run("all-reduce", algorithm, 200, flips=0.02, burst=3, stalls=0.005)
    assert clean.mismatches == faulty.mismatches == 0
    assert faulty.cycles > clean.cycles
    assert faulty.link_totals is not None
    assert faulty.link_totals.replayed > 0
    assert faulty.link_totals.flips > 0
    assert faulty.link_totals.stalls > 0


@pytest.mark.parametrize("algorithm", ["chain", "ring"])
@pytest.mark.parametrize(
    ("flits", "seed"),
    [(1, 4), (20, 5), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 1), (4, 3)))],
)
def test_a_link_that_stalls_changes_no_order(algorithm: str, flits: int, seed: int) -> None:
    """Around a ring, a die at the end of the line took a chunk of the all-gather for one of the reduce-scatter."""
    record = run("all-reduce", algorithm, flits, seed, stalls=0.03, stall_cycles=64)
    assert record.mismatches == 0
    assert record.link_totals is not None
    assert record.link_totals.stalls > 0


def test_dead_links_are_named_within_their_bound() -> None:
    """Cycles from each death on: what the set-up takes does not count."""
    deaths = (Death(source=1, target=2, cycle=100), Death(source=1, target=0, cycle=3))
    with pytest.raises(SimulationError, match=r"^link 1:0 is dead, found .*; link 1:2 is dead") as found:
        run("all-gather", "chain", 500, deaths=deaths)
    named = re.findall(r"found (\d+) cycles after it died \(bound (\d+)\)", str(found.value))
    assert [0 < int(after) <= int(bound) for after, bound in named] == [True, True]


def test_a_death_just_before_the_end_is_found_and_one_after_it_is_said() -> None:
    last = run("all-gather", "chain", 4).cycles - 1
    with pytest.raises(SimulationError, match=r"^link 0:1 is dead, found \d+ cycles after it died"):
        run("all-gather", "chain", 4, deaths=[Death(source=0, target=1, cycle=last)])
    text = "^link 0:1 was to die in cycle 1000000, but the run had ended before$"
    with pytest.raises(SimulationError, match=text):
        run("all-gather", "chain", 4, deaths=[Death(source=0, target=1, cycle=1000000)])
