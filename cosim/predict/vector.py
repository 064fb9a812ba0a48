"""Timeline of a die whose program has passes of the vector unit: loads, passes, stores."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms
from chiplet.vectorized.elementwise import Number
from cosim.predict.clock import BoundedQueue, Clock, Unit
from cosim.predict.die import DieTimes
from cosim.predict.ports import bench_memory_port
from cosim.program.command import Command
from rtl.interface.isa import Opcode

__all__ = ["predict_vector"]

VECTOR_POST = 1
"""Cycles from the end of a pass to what it posts."""


class _VectorTimes(DieTimes):
    """A die with a vector unit, whose passes take ``passes`` cycles each, in their order."""

    def start_passes(self, passes: Sequence[Number]) -> None:
        """Let the vector unit begin, with the start of the program."""
        self.queues[Opcode.VECTOR] = BoundedQueue(self.clock, self.die.queue_depth)
        self.clock.start(self._vector(passes))

    def _vector(self, passes: Sequence[Number]) -> Unit:
        for cycles in passes:
            fields: dict[str, int] = yield from self.queues[Opcode.VECTOR].get()
            yield from self.semaphores.take(fields[f"wait_{number}"] for number in range(3))
            # Those of a pass count from the end of the pass before, the cycle before this one.
            yield self.clock.now + cycles
            self._end(fields, VECTOR_POST)


def predict_vector(
    commands: Sequence[Command],
    die: DieSpec,
    memory: MemorySpec,
    terms: DieTerms,
    *,
    passes: Sequence[Number],
    interval: int = 1,
) -> float:
    """Return the cycles from start to done of a program with vector passes of so many cycles each.

    ``interval`` are the least cycles between memory requests. Banks of the scratchpad that passes want at the same time
    as other units are not modelled.
    """
    clock = Clock()
    machine = _VectorTimes(
        commands, die, memory, terms, clock, bench_memory_port(clock, memory, terms, interval)
    )
    machine.start_passes(passes)
    clock.run()
    return machine.end
