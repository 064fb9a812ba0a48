"""Counters of a die, and the registers through which software starts a program and reads them."""

from functools import partial

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block, port_values
from rtl.interface.error_codes import CODE_BITS, ERROR_COUNT_BITS, ERROR_UNITS, UNIT_BITS
from rtl.interface.host_port import HostPort
from rtl.interface.isa import COUNT_BITS, MEMORY_ADDRESS_BITS, SEMAPHORES
from rtl.interface.link_status import LINK_STATUS
from rtl.interface.register_map import (
    COMMANDS,
    CONTROL,
    COUNTER_BITS,
    COUNTERS,
    ENGINE_COUNTERS,
    ERROR,
    LINKS,
    MEMORY_LAST,
    POST,
    POST_HIGH,
    PROGRAM,
    SIDE_COUNTERS,
    SIDES,
    STATUS,
    WAITING,
    WATCHDOG,
    counter_address,
)

__all__ = ["FIRSTS", "LASTS", "Registers"]

FIRSTS = {"array_first", "nop_first"}
LASTS = {"array_last", "nop_last"}
"""Counters that hold a time: the value of ``cycles`` at the first, or at the last event."""
WIDE = {"send_stall_semaphore": 3, "send_stall_link": 3, "receive_stall_semaphore": 3}
"""Bits of the counters' inputs that can be more than 1 in a cycle, apart from multiply-adds."""
PROGRESS = (
    "commands_out",
    "fetch_words",
    "array_busy",
    "weight_reads",
    "sums",
    "load_words",
    "feed_activation_words",
    "feed_weight_words",
    "feed_sums_words",
    "drain_words",
    "store_words",
    *(f"flits_{way}_{side}" for way in ("sent", "received") for side in SIDES),
)
"""Counters whose events are progress of a program, beside the steps of the vector unit."""


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
    running, done : In(1)
        From it.
    error, error_code, error_unit, error_count : In
        From the error monitor.
    waiting : In(len(ERROR_UNITS))
        Units that wait for semaphores.
    memory_last : Out(MEMORY_ADDRESS_BITS)
        Last memory word that the program may use.
    expired : Out(1)
        The watchdog has seen no progress for as many cycles as software allows.
    post : Out(SEMAPHORES)
        Semaphores that software posts; only with an engine.
    links, memory_links : In(LINK_STATUS).array(4)
        What the links of the collective plane and of the memory plane say of themselves; only with an engine.
    link_failed : Out(1)
        A link is dead, or has timed out or restarted since software wrote to its register.
    {counter} : In
        Amount to add in this cycle; for a time, that the event is now. Those of the sides are arrays. What is counted
        shows two cycles later.
    """

    def __init__(self, *, macs_bits: int, engine: bool = False) -> None:
        self._macs_bits, self._engine = macs_bits, engine
        self._counters = [*COUNTERS, *ENGINE_COUNTERS] if engine else list(COUNTERS)
        of_sides = {f"{name}_{side}" for name in SIDE_COUNTERS for side in SIDES}
        plain = [name for name in self._counters if name != "cycles" and name not in of_sides]
        of_engine = {
            "post": Out(SEMAPHORES),
            "links": In(LINK_STATUS).array(len(SIDES)),
            "memory_links": In(LINK_STATUS).array(len(SIDES)),
        }
        widths = {**dict.fromkeys(("macs", "padding_k", "padding_n"), macs_bits), **WIDE}
        super().__init__(
            {
                "host": In(HostPort()),
                "start": Out(1),
                "program_address": Out(MEMORY_ADDRESS_BITS),
                "commands": Out(COUNT_BITS),
                "running": In(1),
                "done": In(1),
                "error": In(1),
                "error_code": In(CODE_BITS),
                "error_unit": In(UNIT_BITS),
                "error_count": In(ERROR_COUNT_BITS),
                "waiting": In(len(ERROR_UNITS)),
                "memory_last": Out(MEMORY_ADDRESS_BITS, init=(1 << MEMORY_ADDRESS_BITS) - 1),
                "expired": Out(1),
                "link_failed": Out(1),
                **(of_engine if engine else {}),
                **{name: In(widths.get(name, 1)) for name in plain},
                **{name: In(1).array(len(SIDES)) for name in SIDE_COUNTERS if engine},
            },
            names={
                "host": "",
                **{name: partial(_of_side, name) for name in (*SIDE_COUNTERS, "links", "memory_links")},
            },
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
        with m.If(self.host.write & (self.host.address == MEMORY_LAST)):
            m.d.sync += self.memory_last.eq(self.host.write_data)
        if self._engine:
            with m.If(self.host.write & (self.host.address == POST)):
                m.d.comb += self.post[1:32].eq(self.host.write_data[1:])
            with m.If(self.host.write & (self.host.address == POST_HIGH)):
                m.d.comb += self.post[32:].eq(self.host.write_data)

        links, failed = self._elaborate_links(m) if self._engine else ([], [])
        m.d.comb += self.link_failed.eq(Cat(failed).any())
        # All that is counted, and when, a cycle later: events may come late in their cycle.
        counted = {
            name: Signal.like(ports[name][1], name=f"{name}_event") for name in values if name in ports
        }
        begins = Signal()
        counts = Signal()
        m.d.sync += [
            begins.eq(self.start),
            counts.eq(self.running),
            *(event.eq(ports[name][1]) for name, event in counted.items()),
        ]
        limit = self._elaborate_watchdog(m, counts, counted)
        seen = {name: Signal(name=f"{name}_seen") for name in values if name in FIRSTS}
        with m.If(begins):
            m.d.sync += [value.eq(0) for value in (*values.values(), *seen.values())]
        with m.Elif(counts):
            m.d.sync += cycles.eq(cycles + 1)
            for name, value in values.items():
                if name == "cycles":
                    continue
                amount = counted[name]
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
                    status = Cat(self.running, self.done, self.error, Const(0, 1), *failed)
                    m.d.sync += self.host.read_data.eq(status)
                with m.Case(PROGRAM):
                    m.d.sync += self.host.read_data.eq(self.program_address)
                with m.Case(COMMANDS):
                    m.d.sync += self.host.read_data.eq(self.commands)
                with m.Case(ERROR):
                    m.d.sync += self.host.read_data.eq(
                        Cat(
                            self.error_code,
                            Const(0, 8 - CODE_BITS),
                            self.error_unit,
                            Const(0, 8 - UNIT_BITS),
                            self.error_count,
                        )
                    )
                with m.Case(WAITING):
                    m.d.sync += self.host.read_data.eq(self.waiting)
                with m.Case(MEMORY_LAST):
                    m.d.sync += self.host.read_data.eq(self.memory_last)
                with m.Case(WATCHDOG):
                    m.d.sync += self.host.read_data.eq(limit)
                for number, link in enumerate(links):
                    with m.Case(LINKS + number):
                        m.d.sync += self.host.read_data.eq(link)
                for name, value in values.items():
                    with m.Case(counter_address(name)):
                        m.d.sync += self.host.read_data.eq(value[:32])
                    with m.Case(counter_address(name) + 1):
                        m.d.sync += self.host.read_data.eq(value[32:])
        return m

    def _elaborate_links(self, m: Module) -> tuple[list[Value], list[Value]]:
        """Keep the events of the links until software writes to their registers; return these, and which have failed:
        that of each side in the collective plane, and any in the memory plane.
        """
        links, failed = [], []
        for number, link in enumerate((*self.links, *self.memory_links)):
            events = Cat(link.timed_out, link.restarted)
            kept = Signal.like(events, name=f"link_events_{number}")
            cleared = self.host.write & (self.host.address == LINKS + number)
            m.d.sync += kept.eq(Mux(cleared, 0, kept) | events)
            shown = Signal(LINK_STATUS, name=f"link_register_{number}")
            m.d.comb += [shown.eq(link), Cat(shown.timed_out, shown.restarted).eq(kept)]
            links.append(shown.as_value())
            failed.append(link.dead | kept.any())
        return links, [*failed[: len(SIDES)], Cat(failed[len(SIDES) :]).any()]

    def _elaborate_watchdog(self, m: Module, counts: Signal, counted: dict[str, Signal]) -> Signal:
        """Count the cycles without progress, as many as software allows; return how many these are."""
        events = [counted[name] for name in PROGRESS if name in counted]
        waits = Cat(counted[f"vector_stall_{what}"] for what in ("semaphore", "read", "write")).any()
        limit = Signal(32)
        waited = Signal(32)
        m.d.comb += self.expired.eq(counts & (limit != 0) & (waited == limit))
        with m.If(self.host.write & (self.host.address == WATCHDOG)):
            m.d.sync += limit.eq(self.host.write_data)
        with m.If(~counts | Cat(*events, counted["vector_busy"] & ~waits).any()):
            m.d.sync += waited.eq(0)
        with m.Elif(waited != limit):
            m.d.sync += waited.eq(waited + 1)
        return limit
