"""Compute die: command processor, load, store and array units, buffers, array, registers."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.specs import DieSpec, MemorySpec
from rtl.accumulator import AccumulatorBuffer
from rtl.array import Array
from rtl.array_unit import ArrayUnit
from rtl.block import Block, place
from rtl.buffer import OperandBuffer
from rtl.command import UNITS, CommandProcessor
from rtl.counters import ADDRESS_BITS, COUNTER_BITS, COUNTERS, REGISTERS, Registers, counter_address
from rtl.isa import LAYOUTS
from rtl.load_unit import LoadUnit
from rtl.memory_port import Arbiter, request_layout, response_layout
from rtl.store_unit import StoreUnit

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

    Members
    -------
    request : Out(stream), response : In(stream)
        Memory port, see :mod:`rtl.memory_port`.
    host_address, host_write, host_write_data, host_read, host_read_data
        Registers, see :mod:`rtl.counters`.
    done, error : Out(1)
        The program has ended; it met something that is no command.
    """

    def __init__(self, *, die: DieSpec, memory: MemorySpec) -> None:
        self._die, self._memory = die, memory
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
            }
        )

    @property
    def block_name(self) -> str:
        return f"die_{self._die.rows}x{self._die.cols}_{self._die.dtype}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die, memory = self._die, self._memory
        macro = die.sram == "macro"
        processor = CommandProcessor(memory=memory, queue_depth=die.queue_depth)
        array_unit = ArrayUnit(die=die)
        load_unit = LoadUnit(die=die, memory=memory)
        store_unit = StoreUnit(die=die, memory=memory)
        arbiter = Arbiter(word_bytes=memory.word_bytes)
        activation = OperandBuffer(
            lanes=die.rows, width=die.element_bits, depth=die.activation_depth, macro=macro
        )
        weight = OperandBuffer(lanes=die.cols, width=die.element_bits, depth=die.weight_depth, macro=macro)
        array = Array(rows=die.rows, cols=die.cols, dtype=die.dtype, stages=die.stages)
        accumulator = AccumulatorBuffer(
            cols=die.cols, dtype=die.dtype, stages=die.stages, depth=die.accumulator_depth, macro=macro
        )
        registers = Registers(macs_bits=ceil_log2(die.macs_per_cycle + 1))
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
        response = response_layout(memory.word_bytes)(self.response.payload)
        m.d.comb += [
            self.request.payload.eq(arbiter.request.payload),
            self.request.valid.eq(arbiter.request.valid),
            arbiter.request.ready.eq(self.request.ready),
            processor.response.payload.eq(response.data),
            processor.response.valid.eq(self.response.valid & response.tag),
            load_unit.response.payload.eq(response.data),
            load_unit.response.valid.eq(self.response.valid & ~response.tag),
            self.response.ready.eq(Mux(response.tag, processor.response.ready, load_unit.response.ready)),
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
            processor.units_idle.eq(array_unit.idle & load_unit.idle & store_unit.idle & arbiter.idle),
            registers.running.eq(processor.running),
            registers.done.eq(processor.done),
            registers.error.eq(processor.error),
            self.done.eq(processor.done),
            self.error.eq(processor.error),
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
