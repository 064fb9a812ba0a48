"""What links and units of a die do at the same time: cycles of the links that nothing else hides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cosim.observe.intervals import Change, Interval, both, either, high, length, without
from cosim.observe.units import ENGINE_UNITS, OBSERVED_UNITS, RUNNING, VECTOR_UNIT
from rtl.interface.isa import Opcode, Side

__all__ = ["LinkActivity", "activity_signals", "link_activity"]

_AXES = ((Side.EAST, Side.WEST), (Side.NORTH, Side.SOUTH))
_ARRAY = [unit.busy for unit in OBSERVED_UNITS if unit.opcode == Opcode.GEMM]
_LINKS = {side: [unit.busy for unit in ENGINE_UNITS if unit.side == side] for side in Side}
_WAITS = VECTOR_UNIT.stalls["semaphore"]


class LinkActivity(NamedTuple):
    """Cycles of a die in a run.

    Attributes
    ----------
    busy
        In which a flit leaves or enters its engine along the busier axis.
    exposed
        In which one does along any axis while no vector enters the array and the vector unit has no pass.
    """

    busy: int
    exposed: int


def activity_signals(path: str) -> list[str]:
    """The signals of the die at ``path`` from which its activity follows."""
    links = [signal for signals in _LINKS.values() for signal in signals]
    return [f"{path}.{name}" for name in (RUNNING, *_ARRAY, VECTOR_UNIT.busy, _WAITS, *links)]


def link_activity(changes: Sequence[Change], path: str, run: int) -> LinkActivity:
    """The activity of the die at ``path`` in its run with the number ``run``, from 0 on.

    ``changes`` are at least those of :func:`activity_signals`.
    """
    prefix = f"{path}."
    own = [
        (cycle, signal.removeprefix(prefix), value)
        for cycle, signal, value in changes
        if signal.startswith(prefix)
    ]
    end = max((cycle for cycle, _, _ in own), default=0) + 1
    signals = high(own, end)
    window = [signals[RUNNING][run]]

    def active(*names: str) -> list[Interval]:
        return both(either(*(signals[name] for name in names)), window)

    vector = without(active(VECTOR_UNIT.busy), active(_WAITS), end)
    hidden = either(active(*_ARRAY), vector)
    axes = [active(*(signal for side in sides for signal in _LINKS[side])) for sides in _AXES]
    return LinkActivity(
        busy=max(length(axis) for axis in axes), exposed=length(without(either(*axes), hidden, end))
    )
