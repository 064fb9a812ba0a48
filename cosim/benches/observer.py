"""Keeps the changes of signals during a run. Python is called when one changes, not in every cycle."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, ValueChange
from cocotb.utils import get_sim_steps, get_sim_time

from cosim.jobs.die import CLOCK_NS

__all__ = ["Observer"]


class Observer:
    """Watches signals of one bit each.

    Attributes
    ----------
    changes
        Cycle, hierarchical name and new value: what a signal settles to in that cycle. Its first value comes first.
    """

    def __init__(self, dut: Any, names: Iterable[str]) -> None:
        self.changes: list[tuple[int, str, int]] = []
        self._cycle_steps = get_sim_steps(CLOCK_NS, "ns")
        for name in names:
            cocotb.start_soon(self._watch(name, reduce(getattr, name.split("."), dut)))

    async def _watch(self, name: str, signal: Any) -> None:
        while True:
            await ReadOnly()  # what comes before is a glitch
            cycle = int(get_sim_time("step")) // self._cycle_steps
            self.changes.append((cycle, name, int(str(signal.value) == "1")))
            await ValueChange(signal)
