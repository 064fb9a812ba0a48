"""Records the changes of signals during a run. Python is called when a signal changes, not in every cycle."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, ValueChange
from cocotb.utils import get_sim_steps, get_sim_time

from cosim.jobs.base import CLOCK_NS

__all__ = ["Observer"]


class Observer:
    """Watches signals of one bit each.

    Attributes
    ----------
    changes
        Cycle, hierarchical name, and the value to which the signal settles in that cycle. The first change of a
        signal is its initial value.
    """

    def __init__(self, dut: Any, names: Iterable[str]) -> None:
        self.changes: list[tuple[int, str, int]] = []
        self._cycle_steps = get_sim_steps(CLOCK_NS, "ns")
        for name in names:
            cocotb.start_soon(self._watch(name, reduce(getattr, name.split("."), dut)))

    async def _watch(self, name: str, signal: Any) -> None:
        while True:
            await ReadOnly()  # earlier values are glitches
            cycle = int(get_sim_time("step")) // self._cycle_steps
            self.changes.append((cycle, name, int(str(signal.value) == "1")))
            await ValueChange(signal)
