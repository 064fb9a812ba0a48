"""Upper bounds on the cycles of programs on a package, by which a bench gives up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from chiplet.layout.block_sizes import tile_cycles
from chiplet.machine.specs import SystemSpec
from cosim.program.command import Command
from cosim.program.package import DieWork
from rtl.interface.isa import Opcode

__all__ = ["CycleBound"]

PATIENCE = 20
"""Cycles before a run is given up, relative to those of everything one after the other."""


class CycleBound:
    """Bounds on a package whose memories take a request every ``interval`` cycles and ``stall`` by chance."""

    def __init__(self, system: SystemSpec, *, interval: int, stall: float) -> None:
        self._system = system
        self._word = _word_cycles(system, interval) / (1 - stall)

    def fetch(self, work: Sequence[DieWork], programs: Sequence[Sequence[Command]]) -> int:
        """Upper bound on the cycles in which all programs are fetched."""
        commands: dict[str, int] = defaultdict(int)
        for die, program in zip(work, programs, strict=True):
            commands[die.io_die] += len(program)
        return round(self._word * self._system.memory.command_words * max(commands.values()))

    def most(self, work: Sequence[DieWork], programs: Sequence[Sequence[Command]]) -> int:
        """Cycles after which a run of all programs is given up."""
        cycles = 1000 + self.fetch(work, programs) + sum(self._cycles(program) for program in programs)
        return PATIENCE * cycles

    def _cycles(self, program: Sequence[Command]) -> int:
        """Upper bound on the cycles of the commands of a program one after the other."""
        die, memory = self._system.die, self._system.memory
        cycles = 0.0
        for command in program:
            opcode, fields = command.opcode, command.fields
            if opcode == Opcode.GEMM:
                cycles += fields["panels"] * fields["k_tiles"] * tile_cycles(die, fields["m"])
            elif opcode in (Opcode.SEND, Opcode.RECEIVE):
                cycles += 4 * fields["chunks"] * fields["flits"] * (die.stages + 1)
            elif opcode == Opcode.VECTOR:
                # An element at a time, and as many cycles again from the first operand to the last result.
                cycles += 100 + 2 * fields["rows"] * (fields["cols"] + memory.word_bytes)
            elif opcode != Opcode.SET:
                words = fields.get("words", -(-4 * die.cols // memory.word_bytes) + 1)
                cycles += fields["rows"] * fields.get("panels", 1) * words * self._word
        return round(cycles)


def _word_cycles(system: SystemSpec, interval: int) -> int:
    """Upper bound on the cycles of a memory word alone: its request, its way through the package and back, and its
    elements one by one into a buffer."""
    memory = system.memory
    flits = -(-8 * memory.word_bytes // system.nop.flit_bits) + 1
    longest = max(system.package.rows, system.package.cols)
    return interval + memory.latency_cycles + flits * (longest + 2) + memory.word_bytes
