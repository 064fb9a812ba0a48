"""Activity of links: what array and vector unit hide, in one of several runs."""

from __future__ import annotations

from cosim.observe.activity import LinkActivity, activity_signals, link_activity
from cosim.observe.intervals import Change
from cosim.observe.units import RUNNING

DIE = "chiplets.die_0_0.die"


def changes_of(**drawn: str) -> list[Change]:
    """Changes of signals, drawn as one character a cycle by the ends of their names; those not drawn stay low."""
    changes: list[Change] = [(0, name, 0) for name in activity_signals(DIE)]
    for end, marks in drawn.items():
        (name,) = (name for name in activity_signals(DIE) if name.endswith(end))
        changes += [(cycle, name, int(mark == "#")) for cycle, mark in enumerate(marks)]
        changes.append((len(marks), name, 0))
    return sorted(changes, key=lambda change: change[0])


def test_a_link_is_exposed_while_array_and_vector_unit_are_idle() -> None:
    changes = changes_of(
        running="######....#####",
        send_east_flits=".##.......##...",
        receive_west_flits="..##......#....",
        send_north_flits="....#......#..#",
        array_busy="..#.........#..",
        weight_reads="...........#...",
        vector_busy=".##.......##...",
        vector_stall_semaphore=".#........#....",
    )
    assert RUNNING.endswith("running")
    # Cycles 1 to 3 along the row, 4 down the column; the array hides 2, and the vector unit waits in 1.
    assert link_activity(changes, DIE, 0) == LinkActivity(busy=3, exposed=3)
    # Cycles 10 and 11 along the row, 11 and 14 down the column; 11 is hidden twice.
    assert link_activity(changes, DIE, 1) == LinkActivity(busy=2, exposed=2)


def test_another_die_does_not_count() -> None:
    changes = changes_of(running="####", send_east_flits=".##.")
    more = [(cycle, name.replace("die_0_0", "die_0_1"), value) for cycle, name, value in changes]
    assert link_activity([*changes, *more], DIE, 0) == LinkActivity(busy=2, exposed=2)
