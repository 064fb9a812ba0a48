"""Busy cycles of units: of the die where they are most, without waits for semaphores."""

from __future__ import annotations

from collections import defaultdict

from cosim.run.training.training_record import unit_cycles


def counters(**given: int) -> dict[str, int]:
    return defaultdict(int, given)


def test_units_are_those_of_the_busiest_die() -> None:
    units = unit_cycles(
        [
            counters(array_busy=7, vector_busy=20, vector_stall_semaphore=15, flits_sent_east=4),
            counters(array_busy=5, vector_busy=9, vector_stall_semaphore=1, flits_received_west=6),
            counters(store_words=3, store_busy=9, flits_sent_north=2, flits_sent_south=1),
        ],
        defaultdict(int, vector=9),
    )
    assert units["vector"].predicted == 9
    assert {name: unit.measured for name, unit in units.items() if unit.measured} == {
        "array": 7,
        "vector": 8,
        "store": 3,
        "row links": 6,
        "column links": 2,
    }
