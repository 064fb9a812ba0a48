"""Units: their signals are there, what is counted is a counter, and every command has its unit."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from cosim.observe.units import OBSERVED_UNITS, counter_signal, observed_signals, units
from cosim.observe.waves import unit_groups
from cosim.run.die import emit_bench
from rtl.bench.collective import CollectiveNode
from rtl.emit.emitter import emit
from rtl.interface.isa import Opcode, Side
from rtl.interface.register_map import COUNTERS


def test_what_is_counted_is_a_counter() -> None:
    for unit in OBSERVED_UNITS:
        assert {unit.busy, *unit.stalls.values()} <= {counter_signal(name) for name in COUNTERS}


def test_each_command_of_an_engine_has_a_unit() -> None:
    for opcode in (Opcode.SEND, Opcode.RECEIVE):
        for side in Side:
            (unit,) = (u for u in units(engine=True) if u.carries_out(opcode, {"side": side}))
            assert unit.name == f"{opcode.name} {side.name}".lower()
    assert [u.name for u in units(engine=True) if u.carries_out(Opcode.LOAD, {})] == ["load unit"]


@pytest.mark.parametrize("engine", [False, True])
def test_observed_signals_are_ports_of_one_bit(engine: bool) -> None:
    die, memory = DieSpec(rows=2, cols=3), MemorySpec()
    design = (
        emit(CollectiveNode(die=die, nop=NopSpec(), memory=memory, memory_depth=64), None)
        if engine
        else emit_bench(die, memory, 1)
    )
    groups = unit_groups(design.text, design.top, dies={"die": ""}, engine=engine, scope="")
    widths = {wave.name: wave.width for group in groups for wave in group.waves}
    names = observed_signals(engine=engine)
    assert {widths.get(f"die.{name}") for name in names} == {1}
    assert len(set(names)) == len(names)
