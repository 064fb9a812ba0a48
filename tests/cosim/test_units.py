"""Units: their signals are there, and their counters are counters."""

from __future__ import annotations

from chiplet.specs import DieSpec, MemorySpec
from cosim.gemm import emit_bench
from cosim.units import UNITS, observed_signals
from cosim.waves import unit_groups
from rtl.register_map import COUNTERS


def test_what_is_counted_is_a_counter() -> None:
    for unit in UNITS:
        assert {unit.busy, *unit.stalls.values()} <= COUNTERS.keys()


def test_observed_signals_are_ports_of_one_bit() -> None:
    design = emit_bench(DieSpec(rows=2, cols=3), MemorySpec(), 1)
    groups = unit_groups(design.text, design.top, die="die", scope="")
    widths = {wave.name: wave.width for group in groups for wave in group.waves}
    assert {widths.get(f"die.{name}") for name in observed_signals()} == {1}
    assert len(set(observed_signals())) == len(observed_signals())
