"""Time of one operation, one block and one pass, out of what the machine's resources are busy with.

A die's array, its vector unit, the links along each axis of the mesh and the DRAM work at the same time.
Within an operation the token tiles of a mini-batch form a pipeline: the busiest resource sets the pace, and
one tile's way through all others is the start and end that nothing hides. Without overlap the times add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from chiplet.methods.base import Method
from chiplet.methods.work import BlockPlan, CommStep, GemmStep, Operation
from chiplet.schedule import BlockSchedule, tile_choices
from chiplet.specs import SystemSpec
from chiplet.timing import GemmTerms


@dataclass(frozen=True)
class Machine:
    """The specification with the terms of its array."""

    system: SystemSpec
    terms: GemmTerms

    @property
    def vector_operations_per_second(self) -> float:
        """Operations of a die's vector unit in a second: one lane for each array column, one operation a
        cycle.
        """
        return self.system.die.cols * self.system.die.clock_hz


@dataclass(frozen=True)
class Busy:
    """Seconds of a stretch of the schedule: elapsed, and how they come about.

    ``compute`` is the array's own time; ``nop_exposed`` and ``vector_exposed`` are what the others add beyond
    it, so these three add up to ``elapsed``. ``vector`` and ``nop`` are the busy times of vector unit and
    busiest axis.
    """

    elapsed: float = 0.0
    compute: float = 0.0
    nop_exposed: float = 0.0
    vector_exposed: float = 0.0
    vector: float = 0.0
    nop: float = 0.0

    def __add__(self, other: Busy) -> Busy:
        return Busy(
            self.elapsed + other.elapsed,
            self.compute + other.compute,
            self.nop_exposed + other.nop_exposed,
            self.vector_exposed + other.vector_exposed,
            self.vector + other.vector,
            self.nop + other.nop,
        )

    def __mul__(self, times: float) -> Busy:
        return Busy(
            self.elapsed * times,
            self.compute * times,
            self.nop_exposed * times,
            self.vector_exposed * times,
            self.vector * times,
            self.nop * times,
        )


def comm_seconds(step: CommStep, system: SystemSpec, repeats: int = 1) -> float:
    """Time of one collective whose data is sent in ``repeats`` equal parts, each with the latency of all
    steps.
    """
    data = step.serial_elements * step.element_bytes / system.link.bytes_per_second
    return data + repeats * step.steps * step.hops * system.hop_seconds


def gemm_seconds(step: GemmStep, machine: Machine, tile: int) -> float:
    """Time of the GEMMs of ``step`` on the array, cut into token tiles of ``tile``."""
    die = machine.system.die
    if step.split is None:
        return step.count * machine.terms.on(die, step.m, step.k, step.n) / die.clock_hz
    tokens = step.m if step.split == "m" else step.k
    whole, rest = divmod(tokens, tile)

    def cycles(size: int) -> float:
        m, k = (size, step.k) if step.split == "m" else (step.m, size)
        return machine.terms.on(die, m, k, step.n)

    total = (whole * cycles(tile) if whole else 0.0) + (cycles(rest) if rest else 0.0)
    return step.count * total / die.clock_hz


def operation_busy(operation: Operation, machine: Machine, method: Method, tokens: int, tile: int) -> Busy:
    """Time of ``operation`` for a mini-batch of ``tokens`` in token tiles of ``tile``."""
    parts = method.tile_count(tokens, tile)
    repeats = parts if method.token_tiled else 1
    axes: dict[str, float] = {}
    for step in operation.comms:
        seconds = comm_seconds(step, machine.system, 1 if step.weights else repeats)
        axes[step.axis] = axes.get(step.axis, 0.0) + seconds
    compute = sum(gemm_seconds(step, machine, tile) for step in operation.gemms)
    work = sum(step.elements * step.operations for step in operation.vectors)
    vector = work / machine.vector_operations_per_second
    nop = max(axes.values(), default=0.0)
    total = compute + vector + sum(axes.values())
    if method.switches.overlap:
        if operation.strip_rows:
            parts = ceil(operation.strip_rows / machine.system.die.rows)
        busiest = max(compute, vector, nop)
        total = busiest + (total - busiest) / parts
    beyond = total - compute
    vector_exposed = min(beyond, vector) if vector > nop or not method.switches.overlap else 0.0
    return Busy(total, compute, beyond - vector_exposed, vector_exposed, vector, nop)


def block_busy(
    plan: BlockPlan, schedule: BlockSchedule, machine: Machine, method: Method
) -> tuple[tuple[Busy, int], tuple[Busy, int]]:
    """Time of one mini-batch forward and backward, each with the token tile that is quickest."""
    choices = tile_choices(schedule.tile_limit, machine.system.die.rows)
    if not method.token_tiled:
        choices = [schedule.batch.tokens]
    tokens = schedule.batch.tokens

    def best(operations: tuple[Operation, ...]) -> tuple[Busy, int]:
        runs = (
            (sum((operation_busy(each, machine, method, tokens, tile) for each in operations), Busy()), tile)
            for tile in choices
        )
        return min(runs, key=lambda run: run[0].elapsed)

    return best(plan.forward), best(plan.backward)
