"""What software and benches need to know of an emitted die."""

from typing import Any

from amaranth.lib import data

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.vector_specs import VectorSpec
from rtl.control.command_processor import UNITS
from rtl.interface.isa import LAYOUTS
from rtl.interface.memory_port import request_layout, response_layout
from rtl.interface.register_map import COUNTER_BITS, COUNTERS, REGISTERS, counter_address

__all__ = ["DIE_SECTIONS", "die_map"]

DIE_SECTIONS = ("die", "memory", "vector")
"""Sections of the configuration that decide the Verilog of a die."""


def die_map(die: DieSpec, memory: MemorySpec, vector: VectorSpec | None = None) -> dict[str, Any]:
    """Facts of an emitted die, as JSON values.

    Registers and counters by address, fields of commands, requests and responses by their lowest bit and width, and
    the hierarchical names of the units. Arguments are those of :class:`rtl.die.die.Die`.
    """
    units = [unit for unit in UNITS if unit != "vector" or (vector and die.dtype == "bf16")]

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
            **{f"{unit}_queue": f"command_processor.{unit}_queue" for unit in units},
            "semaphores": "command_processor.semaphores",
            "activation_banks": [f"activation_buffer.bank_{bank}.sram" for bank in range(die.rows)],
            "weight_banks": [f"weight_buffer.bank_{bank}.sram" for bank in range(die.cols)],
            "accumulator_banks": [
                f"accumulator_buffer.column_{column}.{half}"
                for column in range(die.cols)
                for half in ("even", "odd")
            ],
        },
    }
