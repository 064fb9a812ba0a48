"""Compute die: command processor, load, store and array units, buffers, array, registers; in a package, an engine."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Any, ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_banks, scratchpad_depth
from rtl.block import Block, Bundle, place
from rtl.compute.accumulator import AccumulatorBuffer
from rtl.compute.array import Array
from rtl.compute.array_unit import ArrayUnit
from rtl.compute.operand_buffer import OperandBuffer
from rtl.control.command_processor import UNITS, CommandProcessor
from rtl.control.counters import Registers
from rtl.engine.engine import ENGINE_UNITS, Engine
from rtl.engine.exchange_port import ExchangePort
from rtl.interface.flit import SIDES, flit_stream
from rtl.interface.host_port import HostPort
from rtl.interface.isa import LAYOUTS
from rtl.interface.memory_port import MemoryPort, request_layout, response_layout
from rtl.interface.register_map import COUNTER_BITS, COUNTERS, REGISTERS, counter_address
from rtl.memory.arbiter import Arbiter
from rtl.memory.load_unit import LoadUnit
from rtl.memory.scratchpad import Scratchpad
from rtl.memory.store_unit import StoreUnit

__all__ = ["Die", "EngineSide", "die_map"]


def die_map(die: DieSpec, memory: MemorySpec) -> dict[str, Any]:
    """What software and benches need to know of an emitted die, as JSON values.

    Registers and counters by address, fields of commands, requests and responses by their lowest bit and width, and
    the hierarchical names of the units.
    """

    def fields(layout: data.StructLayout) -> dict[str, dict[str, int]]:
        return {str(name): {"bit": field.offset, "width": field.width} for name, field in layout}

    return {
        "registers": {name: {"address": address, "use": use} for name, (address, use) in REGISTERS.items()},
        "counters": {
            name: {"address": counter_address(name), "bits": COUNTER_BITS, "use": use}
            for name, use in COUNTERS.items()
        },
        "commands": {
            opcode.name.lower(): {"opcode": opcode.value, "fields": fields(layout)}
            for opcode, layout in LAYOUTS.items()
        },
        "memory_port": {
            "request__payload": fields(request_layout(memory.word_bytes)),
            "response__payload": fields(response_layout(memory.word_bytes)),
        },
        "signals": {
            "cycles": "registers.cycles_count",
            "load_queue": "command_processor.load_queue",
            "array_queue": "command_processor.array_queue",
            "store_queue": "command_processor.store_queue",
            "semaphores": "command_processor.semaphores",
            "activation_banks": [f"activation_buffer.bank_{bank}" for bank in range(die.rows)],
            "weight_banks": [f"weight_buffer.bank_{bank}" for bank in range(die.cols)],
            "accumulator_banks": [
                f"accumulator_buffer.column_{column}.{half}"
                for column in range(die.cols)
                for half in ("even", "odd")
            ],
        },
    }


class EngineSide(Bundle):
    """What a die with an engine has on each side.

    Members
    -------
    i : In(stream), o : Out(stream)
        Flits from and to the router, see :class:`rtl.engine.engine.Engine`.
    replayed, error, dead : In(1)
        The link of that side sends a flit again, receives a frame with an error, or is dead.
    """

    def __init__(self, nop: NopSpec) -> None:
        super().__init__(
            {
                "i": In(flit_stream(nop)),
                "o": Out(flit_stream(nop)),
                "replayed": In(1),
                "error": In(1),
                "dead": In(1),
            },
            names={
                "i": "in",
                "o": "out",
                "replayed": "link_replayed",
                "error": "link_error",
                "dead": "link_dead",
            },
        )


class Die(Block):
    """A whole compute die.

    Parameters
    ----------
    die : DieSpec
        Array, buffers and queues.
    memory : MemorySpec
        Width of the memory port, and reads in flight.
    nop : NopSpec, optional
        Flits of the network-on-package: the die has an engine and an exchange buffer. Without it, the die stands alone.

    Members
    -------
    memory : Out(MemoryPort)
        Memory port, see :mod:`rtl.memory.arbiter`.
    host : In(HostPort)
        Registers, see :mod:`rtl.control.counters`.
    done, error : Out(1)
        The program has ended; it met a word that is not a command, or a link is dead.
    memory_idle : In(1)
        Only with an engine: all writes that were taken are in memory. The program ends when they are.
    row, col : In(nop.coordinate_bits)
        Only with an engine: place of the die.
    sides : Out(EngineSide).array(4)
        Only with an engine: flits to and from the router on each side, and what the link of the side reports.
    """

    port_names: ClassVar[Mapping[str, str]] = {
        f"engine_{side.text}_{name}": f"{name}_{side.text}"
        for side in SIDES
        for name in ("link_replayed", "link_error", "link_dead")
    }

    def __init__(self, *, die: DieSpec, memory: MemorySpec, nop: NopSpec | None = None) -> None:
        self._die, self._memory, self._nop = die, memory, nop
        engine: dict[str, Any] = {}
        if nop is not None:
            engine = {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "memory_idle": In(1, init=1),
                "sides": Out(EngineSide(nop)).array(len(SIDES)),
            }
        super().__init__(
            {
                "memory": Out(MemoryPort(memory.word_bytes)),
                "host": In(HostPort()),
                "done": Out(1),
                "error": Out(1),
                **engine,
            },
            names={"memory": "", "sides": lambda n: f"engine_{SIDES[n].text}"},
        )

    @property
    def block_name(self) -> str:
        name = f"die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"
        return f"{name}_engine" if self._nop else name

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die, memory = self._die, self._memory
        macro = die.sram == "macro"
        engine_units = ENGINE_UNITS if self._nop else ()
        processor = CommandProcessor(memory=memory, queue_depth=die.queue_depth, engine_units=engine_units)
        array_unit = ArrayUnit(die=die)
        depth = scratchpad_depth(die, memory, self._nop) if self._nop else None
        load_unit = LoadUnit(die=die, memory=memory, exchange_depth=depth)
        store_unit = StoreUnit(die=die, memory=memory, exchange_depth=depth)
        arbiter = Arbiter(word_bytes=memory.word_bytes)
        activation = OperandBuffer(
            lanes=die.rows, width=die.element_bits, depth=die.activation_depth, macro=macro
        )
        weight = OperandBuffer(lanes=die.cols, width=die.element_bits, depth=die.weight_depth, macro=macro)
        array = Array(rows=die.rows, cols=die.cols, dtype=die.dtype, stages=die.stages)
        accumulator = AccumulatorBuffer(
            cols=die.cols, dtype=die.dtype, stages=die.stages, depth=die.accumulator_depth, macro=macro
        )
        registers = Registers(macs_bits=ceil_log2(die.macs_per_cycle + 1), engine=self._nop is not None)
        for name, block in {
            "command_processor": processor,
            "array_unit": array_unit,
            "load_unit": load_unit,
            "store_unit": store_unit,
            "arbiter": arbiter,
            "activation_buffer": activation,
            "weight_buffer": weight,
            "array": array,
            "accumulator_buffer": accumulator,
            "registers": registers,
        }.items():
            place(m, platform, name, block)

        connect(m, processor.array, array_unit.command)
        connect(m, processor.load, load_unit.command)
        connect(m, processor.store, store_unit.command)
        for semaphores, unit in zip(processor.semaphores, (array_unit, load_unit, store_unit), strict=False):
            connect(m, semaphores, unit.semaphores)

        connect(m, processor.request, arbiter.fetch)
        connect(m, load_unit.request, arbiter.load)
        connect(m, store_unit.request, arbiter.store)
        memory_port = flipped(self.memory)
        engine_idle: Value = Const(1, 1)
        if self._nop is not None:
            memory_port, engine_idle = self._elaborate_engine(
                m, platform, processor, registers, load_unit, store_unit
            )
        connect(m, arbiter.request, memory_port.request)
        response = response_layout(memory.word_bytes)(memory_port.response.payload)
        m.d.comb += [
            processor.response.payload.eq(response.data),
            processor.response.valid.eq(memory_port.response.valid & response.tag),
            load_unit.response.payload.eq(response.data),
            load_unit.response.valid.eq(memory_port.response.valid & ~response.tag),
            memory_port.response.ready.eq(
                Mux(response.tag, processor.response.ready, load_unit.response.ready)
            ),
        ]

        connect(m, array_unit.activation, activation.read)
        connect(m, array_unit.weight, weight.read)
        connect(m, load_unit.activation, activation.write)
        connect(m, load_unit.weight, weight.write)
        m.d.comb += [
            array.a.eq(activation.read_data),
            array.w.eq(weight.read_data),
            array.swap.eq(array_unit.swap),
            array.load.eq(array_unit.load),
            array.count.eq(array_unit.count),
            accumulator.psum.eq(array.psum),
            accumulator.control.eq(array_unit.control),
            array_unit.panel_end.eq(accumulator.panel_end),
            array_unit.command_end.eq(accumulator.command_end),
            accumulator.store_start.eq(store_unit.start),
            accumulator.store_address.eq(store_unit.address),
            store_unit.busy.eq(accumulator.store_busy),
            store_unit.sums.eq(accumulator.store_data),
        ]

        connect(m, flipped(self.host), registers.host)
        m.d.comb += [
            processor.start.eq(registers.start),
            processor.address.eq(registers.program_address),
            processor.commands.eq(registers.commands),
            processor.units_idle.eq(
                array_unit.idle & load_unit.idle & store_unit.idle & arbiter.idle & engine_idle
            ),
            registers.running.eq(processor.running),
            registers.done.eq(processor.done),
            registers.error.eq(processor.error),
            self.done.eq(processor.done),
            self.error.eq(processor.error | (registers.dead.any() if self._nop else 0)),
            registers.array_first.eq(array_unit.weight_row),
            registers.array_last.eq(accumulator.result),
            registers.array_busy.eq(array_unit.busy),
            registers.array_stall_semaphore.eq(array_unit.stall_semaphore),
            registers.array_stall_weights.eq(array_unit.stall_weights),
            registers.macs.eq(Mux(array_unit.busy, array_unit.macs, 0)),
            registers.weight_reads.eq(array_unit.weight.enable),
            registers.sums.eq(accumulator.result),
            registers.load_busy.eq(load_unit.busy),
            registers.load_stall_semaphore.eq(load_unit.stall_semaphore),
            registers.load_stall_request.eq(load_unit.stall_request),
            registers.load_words.eq(load_unit.words),
            registers.store_busy.eq(store_unit.active),
            registers.store_stall_semaphore.eq(store_unit.stall_semaphore),
            registers.store_stall_request.eq(store_unit.stall_request),
            registers.store_words.eq(store_unit.words),
        ]
        return m

    def _elaborate_engine(
        self,
        m: Module,
        platform: object,
        processor: CommandProcessor,
        registers: Registers,
        load_unit: LoadUnit,
        store_unit: StoreUnit,
    ) -> tuple[Any, Value]:
        """Add engine, exchange buffer and exchange port; return the units' memory port, and whether all is idle."""
        assert self._nop is not None
        nop, memory = self._nop, self._memory
        depth = scratchpad_depth(self._die, memory, nop)
        engine = Engine(die=self._die, nop=nop, memory=memory)
        exchange = Scratchpad(
            word_bytes=memory.word_bytes,
            depth=depth,
            banks=scratchpad_banks(memory, nop),
            readers=len(ENGINE_UNITS) + 2,
            writers=len(SIDES) + 2,
            macro=self._die.sram == "macro",
        )
        port = ExchangePort(memory=memory, depth=depth)
        for name, block in {"engine": engine, "scratchpad": exchange, "exchange_port": port}.items():
            place(m, platform, name, block)

        # The exchange port's writes come last: they never wait.
        readers = [*(unit.read for unit in engine.units), store_unit.exchange, port.read]
        writers = [*(side.write for side in engine.sides), load_unit.exchange, port.write]
        for reader, read in zip(readers, exchange.read, strict=True):
            connect(m, reader, read)
        for writer, write in zip(writers, exchange.write, strict=True):
            connect(m, writer, write)
        connect(m, port.memory, flipped(self.memory))
        connect(m, processor.send, engine.send)
        connect(m, processor.receive, engine.receive)
        for semaphores, unit in zip(processor.semaphores[len(UNITS) :], engine.units, strict=True):
            connect(m, semaphores, unit.semaphores)
        for side, inner in zip(self.sides, engine.sides, strict=True):
            connect(m, inner.o, flipped(side.o))
            connect(m, flipped(side.i), inner.i)

        senders, receivers = engine.units[: len(SIDES)], engine.units[len(SIDES) :]
        for n, side in enumerate(self.sides):
            m.d.comb += [
                registers.flits_sent[n].eq(senders[n].flits),
                registers.flits_received[n].eq(receivers[n].flits),
                registers.link_replays[n].eq(side.replayed),
                registers.link_errors[n].eq(side.error),
            ]
        m.d.comb += [
            engine.row.eq(self.row),
            engine.col.eq(self.col),
            processor.host_post.eq(registers.post),
            registers.dead.eq(Cat(side.dead for side in self.sides)),
            registers.nop_first.eq(Cat(unit.flits for unit in senders).any()),
            registers.nop_last.eq(Cat(unit.flits for unit in receivers).any()),
            registers.send_stall_semaphore.eq(_sum(unit.stall_semaphore for unit in senders)),
            registers.send_stall_link.eq(_sum(side.stall_link for side in engine.sides)),
            registers.receive_stall_semaphore.eq(_sum(unit.stall_semaphore for unit in receivers)),
        ]
        return port.units, engine.idle & self.memory_idle


def _sum(bits: Iterable[Value]) -> Value:
    return reduce(add, bits)
