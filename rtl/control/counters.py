"""Counters of a die, and the registers through which software starts a program and reads them."""

from functools import partial

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block, port_values
from rtl.interface.host_port import HostPort
from rtl.interface.isa import COUNT_BITS, MEMORY_ADDRESS_BITS, SEMAPHORES
from rtl.interface.register_map import (
    COMMANDS,
    CONTROL,
    COUNTER_BITS,
    COUNTERS,
    ENGINE_COUNTERS,
    POST,
    PROGRAM,
    SIDE_COUNTERS,
    SIDES,
    STATUS,
    counter_address,
)

__all__ = ["FIRSTS", "LASTS", "Registers"]

FIRSTS = {"array_first", "nop_first"}
LASTS = {"array_last", "nop_last"}
"""Counters that hold a time: the value of ``cycles`` at the first, or at the last event."""
WIDE = {"send_stall_semaphore": 3, "send_stall_link": 3, "receive_stall_semaphore": 3}
"""Bits of the counters' inputs that can be more than 1 in a cycle, apart from ``macs``."""


def _of_side(name: str, number: int) -> str:
    return f"{name}_{SIDES[number]}"


class Registers(Block):
    """Host registers and counters.

    Members
    -------
    host : In(HostPort)
        Reads and writes of the registers.
    start, program_address, commands : Out
        To the command processor.
    running, done, error : In(1)
        From it.
    post : Out(SEMAPHORES)
        Semaphores that software posts; only with an engine.
    dead : In(4)
        Sides whose link is dead; only with an engine.
    {counter} : In
        Amount to add in this cycle; for a time, that the event is now. Those of the sides are arrays.
    """

    def __init__(self, *, macs_bits: int, engine: bool = False) -> None:
        self._macs_bits, self._engine = macs_bits, engine
        self._counters = [*COUNTERS, *ENGINE_COUNTERS] if engine else list(COUNTERS)
        of_sides = {f"{name}_{side}" for name in SIDE_COUNTERS for side in SIDES}
        plain = [name for name in self._counters if name != "cycles" and name not in of_sides]
        widths = {"macs": macs_bits, **WIDE}
        super().__init__(
            {
                "host": In(HostPort()),
                "start": Out(1),
                "program_address": Out(MEMORY_ADDRESS_BITS),
                "commands": Out(COUNT_BITS),
                "running": In(1),
                "done": In(1),
                "error": In(1),
                **({"dead": In(4), "post": Out(SEMAPHORES)} if engine else {}),
                **{name: In(widths.get(name, 1)) for name in plain},
                **{name: In(1).array(len(SIDES)) for name in SIDE_COUNTERS if engine},
            },
            names={"host": "", **{name: partial(_of_side, name) for name in SIDE_COUNTERS}},
        )

    @property
    def block_name(self) -> str:
        return f"registers_{self._macs_bits}" + ("_engine" if self._engine else "")

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = port_values(self)
        values = {name: Signal(COUNTER_BITS, name=f"{name}_count") for name in self._counters}
        cycles = values["cycles"]
        m.d.comb += self.start.eq(
            self.host.write & (self.host.address == CONTROL) & self.host.write_data[0] & ~self.running
        )
        with m.If(self.host.write & (self.host.address == PROGRAM)):
            m.d.sync += self.program_address.eq(self.host.write_data)
        with m.If(self.host.write & (self.host.address == COMMANDS)):
            m.d.sync += self.commands.eq(self.host.write_data)
        if self._engine:
            with m.If(self.host.write & (self.host.address == POST)):
                m.d.comb += self.post.eq(self.host.write_data)

        seen = {name: Signal(name=f"{name}_seen") for name in values if name in FIRSTS}
        with m.If(self.start):
            m.d.sync += [value.eq(0) for value in (*values.values(), *seen.values())]
        with m.Elif(self.running):
            m.d.sync += cycles.eq(cycles + 1)
            for name, value in values.items():
                if name == "cycles":
                    continue
                _, amount = ports[name]
                if name in FIRSTS:
                    with m.If(amount & ~seen[name]):
                        m.d.sync += [seen[name].eq(1), value.eq(cycles)]
                elif name in LASTS:
                    with m.If(amount):
                        m.d.sync += value.eq(cycles)
                else:
                    with m.If(amount.any()):
                        m.d.sync += value.eq(value + amount)

        with m.If(self.host.read):
            m.d.sync += self.host.read_data.eq(0)
            with m.Switch(self.host.address):
                with m.Case(STATUS):
                    dead = [Const(0, 1), self.dead] if self._engine else []
                    m.d.sync += self.host.read_data.eq(Cat(self.running, self.done, self.error, *dead))
                with m.Case(PROGRAM):
                    m.d.sync += self.host.read_data.eq(self.program_address)
                with m.Case(COMMANDS):
                    m.d.sync += self.host.read_data.eq(self.commands)
                for name, value in values.items():
                    with m.Case(counter_address(name)):
                        m.d.sync += self.host.read_data.eq(value[:32])
                    with m.Case(counter_address(name) + 1):
                        m.d.sync += self.host.read_data.eq(value[32:])
        return m
