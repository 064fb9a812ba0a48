"""Compute die: command processor, load, store and array units, buffers, array, registers."""

from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, exchange_depth
from rtl.block import Block, place
from rtl.compute.accumulator import AccumulatorBuffer
from rtl.compute.array import Array
from rtl.compute.array_unit import ArrayUnit
from rtl.compute.operand_buffer import OperandBuffer
from rtl.control.command_processor import ENGINE, UNITS, CommandProcessor
from rtl.control.counters import Registers
from rtl.engine.engine import ENGINE_UNITS, Engine
from rtl.engine.exchange_buffer import ExchangeBuffer
from rtl.engine.exchange_port import ExchangePort
from rtl.interface.flit import SIDES, flit_layout
from rtl.interface.isa import LAYOUTS
from rtl.interface.memory_port import request_layout, response_layout
from rtl.interface.register_map import ADDRESS_BITS, COUNTER_BITS, COUNTERS, REGISTERS, counter_address
from rtl.memory.arbiter import Arbiter
from rtl.memory.load_unit import LoadUnit
from rtl.memory.store_unit import StoreUnit

__all__ = ["Die", "die_map"]


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


class Die(Block):
    """A whole compute die.

    Parameters
    ----------
    die : DieSpec
        Array, buffers and queues.
    memory : MemorySpec
        Width of the memory port, and reads in flight.
    nop : NopSpec, optional
        Flits of the network-on-package: with an engine and its exchange buffer; without, a die that stands alone.

    Members
    -------
    request : Out(stream), response : In(stream)
        Memory port, see :mod:`rtl.memory.arbiter`.
    host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.control.counters`.
    done, error : Out(1)
        The program has ended; it met something that is no command, or a link is dead.
    memory_idle : In(1)
        Only with an engine: all writes that were taken are in memory. The program ends when they are.
    row, col, engine_{side}_in, engine_{side}_out
        Only with an engine: place of the die, and flits from and to the router, see :class:`rtl.engine.engine.Engine`.
    link_replayed_{side}, link_error_{side}, link_dead_{side} : In(1)
        Only with an engine: the link of that side sends a flit again, gets a frame with an error, is dead.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec, nop: NopSpec | None = None) -> None:
        self._die, self._memory, self._nop = die, memory, nop
        engine: dict[str, Any] = {}
        if nop is not None:
            flit = stream.Signature(flit_layout(nop).size)
            engine = {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "memory_idle": In(1, init=1),
            }
            for side in SIDES:
                engine |= {
                    f"engine_{side.text}_in": In(flit),
                    f"engine_{side.text}_out": Out(flit),
                    **{f"link_{name}_{side.text}": In(1) for name in ("replayed", "error", "dead")},
                }
        super().__init__(
            {
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(response_layout(memory.word_bytes).size)),
                "host_address": In(ADDRESS_BITS),
                "host_write": In(1),
                "host_write_data": In(32),
                "host_read": In(1),
                "host_read_data": Out(32),
                "done": Out(1),
                "error": Out(1),
                **engine,
            }
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
        depth = exchange_depth(self._nop, memory) if self._nop else None
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

        for unit, block in zip(UNITS, (array_unit, load_unit, store_unit), strict=True):
            commands = getattr(processor, unit)
            m.d.comb += [
                block.command.payload.eq(commands.payload),
                block.command.valid.eq(commands.valid),
                commands.ready.eq(block.command.ready),
                block.needs_ok.eq(getattr(processor, f"{unit}_ok")),
                getattr(processor, f"{unit}_wait").eq(block.needs),
                getattr(processor, f"{unit}_take").eq(block.take),
                getattr(processor, f"{unit}_post").eq(block.post),
            ]

        for name, source in (("fetch", processor), ("load", load_unit), ("store", store_unit)):
            to_memory = getattr(arbiter, name)
            m.d.comb += [
                to_memory.payload.eq(source.request.payload),
                to_memory.valid.eq(source.request.valid),
                source.request.ready.eq(to_memory.ready),
            ]
        if self._nop is None:
            requests, responses = self.request, self.response
            engine_idle: Value = Const(1, 1)
        else:
            units = (load_unit, store_unit)
            requests, responses, engine_idle = self._elaborate_engine(
                m, platform, processor, registers, *units
            )
        response = response_layout(memory.word_bytes)(responses.payload)
        m.d.comb += [
            requests.payload.eq(arbiter.request.payload),
            requests.valid.eq(arbiter.request.valid),
            arbiter.request.ready.eq(requests.ready),
            processor.response.payload.eq(response.data),
            processor.response.valid.eq(responses.valid & response.tag),
            load_unit.response.payload.eq(response.data),
            load_unit.response.valid.eq(responses.valid & ~response.tag),
            responses.ready.eq(Mux(response.tag, processor.response.ready, load_unit.response.ready)),
        ]

        for name, buffer in (("activation", activation), ("weight", weight)):
            for port in ("enable", "address", "rotate", "column", "count"):
                m.d.comb += getattr(buffer, f"read_{port}").eq(getattr(array_unit, f"{name}_{port}"))
            for port in ("enable", "address", "next", "rotate", "split", "count", "data"):
                m.d.comb += getattr(buffer, f"write_{port}").eq(getattr(load_unit, f"{name}_{port}"))

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

        m.d.comb += [
            registers.address.eq(self.host_address),
            registers.write.eq(self.host_write),
            registers.write_data.eq(self.host_write_data),
            registers.read.eq(self.host_read),
            self.host_read_data.eq(registers.read_data),
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
            registers.weight_reads.eq(array_unit.weight_enable),
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
    ) -> tuple[Any, Any, Value]:
        """Engine, exchange buffer and the port to it; return the memory port of the units, and whether all is idle."""
        assert self._nop is not None
        nop, memory = self._nop, self._memory
        depth = exchange_depth(nop, memory)
        engine = Engine(die=self._die, nop=nop, memory=memory)
        exchange = ExchangeBuffer(
            word_bytes=memory.word_bytes,
            depth=depth,
            banks=nop.exchange_banks(memory.word_bytes),
            readers=len(ENGINE_UNITS) + 2,
            writers=len(SIDES) + 2,
            macro=self._die.sram == "macro",
        )
        port = ExchangePort(memory=memory, depth=depth)
        for name, block in {"engine": engine, "exchange": exchange, "exchange_port": port}.items():
            place(m, platform, name, block)

        # The exchange port's writes come last: they never wait.
        for kind, ports, mover, inputs, outputs in (
            ("read", len(ENGINE_UNITS), store_unit, ("valid", "address"), ("ready", "data")),
            ("write", len(SIDES), load_unit, ("valid", "address", "strobe", "data"), ("ready",)),
        ):
            users: list[tuple[Block, str]] = [(engine, f"{kind}_{n}") for n in range(ports)]
            for n, (user, prefix) in enumerate([*users, (mover, "exchange"), (port, kind)]):
                for name in inputs:
                    m.d.comb += getattr(exchange, f"{kind}_{n}_{name}").eq(getattr(user, f"{prefix}_{name}"))
                for name in outputs:
                    m.d.comb += getattr(user, f"{prefix}_{name}").eq(getattr(exchange, f"{kind}_{n}_{name}"))
        m.d.comb += [
            self.request.payload.eq(port.memory_request.payload),
            self.request.valid.eq(port.memory_request.valid),
            port.memory_request.ready.eq(self.request.ready),
            port.memory_response.payload.eq(self.response.payload),
            port.memory_response.valid.eq(self.response.valid),
            self.response.ready.eq(port.memory_response.ready),
            engine.row.eq(self.row),
            engine.col.eq(self.col),
        ]
        for name in ENGINE:
            commands, taker = getattr(processor, name), getattr(engine, name)
            m.d.comb += [
                taker.payload.eq(commands.payload),
                taker.valid.eq(commands.valid),
                commands.ready.eq(taker.ready),
            ]
        for unit in ENGINE_UNITS:
            m.d.comb += getattr(engine, f"{unit}_ok").eq(getattr(processor, f"{unit}_ok"))
            for name in ("wait", "take", "post"):
                m.d.comb += getattr(processor, f"{unit}_{name}").eq(getattr(engine, f"{unit}_{name}"))
        for side in SIDES:
            outside, inside = (
                getattr(self, f"engine_{side.text}_out"),
                getattr(self, f"engine_{side.text}_in"),
            )
            sender, receiver = getattr(engine, f"{side.text}_out"), getattr(engine, f"{side.text}_in")
            m.d.comb += [
                outside.payload.eq(sender.payload),
                outside.valid.eq(sender.valid),
                sender.ready.eq(outside.ready),
                receiver.payload.eq(inside.payload),
                receiver.valid.eq(inside.valid),
                inside.ready.eq(receiver.ready),
                getattr(registers, f"flits_sent_{side.text}").eq(getattr(engine, f"send_{side.text}_flits")),
                getattr(registers, f"flits_received_{side.text}").eq(
                    getattr(engine, f"receive_{side.text}_flits")
                ),
                getattr(registers, f"link_replays_{side.text}").eq(
                    getattr(self, f"link_replayed_{side.text}")
                ),
                getattr(registers, f"link_errors_{side.text}").eq(getattr(self, f"link_error_{side.text}")),
            ]

        def over_sides(name: str) -> Value:
            return Cat(getattr(engine, name.format(side.text)) for side in SIDES)

        def number(bits: Value) -> Value:
            return reduce(add, bits)

        m.d.comb += [
            processor.host_post.eq(registers.post),
            registers.dead.eq(Cat(getattr(self, f"link_dead_{side.text}") for side in SIDES)),
            registers.nop_first.eq(over_sides("send_{}_flits").any()),
            registers.nop_last.eq(over_sides("receive_{}_flits").any()),
            registers.send_stall_semaphore.eq(number(over_sides("send_{}_stall_semaphore"))),
            registers.send_stall_link.eq(number(over_sides("send_{}_stall_link"))),
            registers.receive_stall_semaphore.eq(number(over_sides("receive_{}_stall_semaphore"))),
        ]
        return port.request, port.response, engine.idle & self.memory_idle
