"""Checks the programs of all dies of a compiled step together, before anything runs.

Their collectives come in one order on all dies. Nothing can block, no chunk of one collective is taken for that of
another one, and whatever units do to the same place is kept in order (:mod:`cosim.program.checker`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

from cosim.compile.compiled_step import CompiledStep, DieProgram
from cosim.program.checker.die_checker import CheckedDie, refuse
from cosim.program.checker.package_checker import memory_violations, package_violations
from cosim.program.checker.package_run import Grid
from cosim.program.line_commands import PACKAGE_ORIGIN
from rtl.interface.isa import Opcode

__all__ = ["check_step", "step_violations"]


class _Occurrence(NamedTuple):
    """A collective of a die by its operator, and its number among those of that name."""

    label: str
    number: int


def step_violations(compiled: CompiledStep) -> list[str]:
    """What the programs break, one line for each violation."""
    lines = _steps_without_commands(compiled.dies) or _orders(compiled.dies)
    if lines:
        return lines
    system, lies = compiled.system, compiled.program_words
    checked = [
        CheckedDie(
            die=system.die,
            memory=system.memory,
            nop=system.nop,
            memory_words=compiled.memory_words,
            program_words=words,
            inputs=list(_inputs(compiled, die)),
        )
        for die, words in zip(compiled.dies, lies, strict=True)
    ]
    programs = [die.commands for die in compiled.dies]
    grid = Grid(system.package.rows, system.package.cols, PACKAGE_ORIGIN)
    lines = package_violations(grid, checked, programs)
    return lines + memory_violations([die.io_die for die in compiled.dies], programs, lies)


def check_step(compiled: CompiledStep) -> None:
    """Check the programs before they run.

    Raises
    ------
    ValueError
        If they break what programs must keep: a line with the first violation.
    """
    refuse(step_violations(compiled))


def _steps_without_commands(dies: Sequence[DieProgram]) -> list[str]:
    lines = []
    for number, die in enumerate(dies):
        try:
            die.step_numbers()
        except ValueError as error:
            lines.append(f"die {number}: {error}")
    return lines


def _inputs(compiled: CompiledStep, die: DieProgram) -> Iterator[range]:
    """Words of a memory that hold data before the step: what its graph keeps there, and constants."""
    for tensor in die.memory.values():
        if compiled.graph.tensors[tensor.name].home == "memory":
            yield tensor.words
    for word in die.constants.values():
        yield range(word, word + 1)


def _collectives(die: DieProgram) -> list[_Occurrence]:
    """The collectives of a die in the order in which they begin."""
    found: list[_Occurrence] = []
    groups: set[int | None] = set()
    counts: dict[str, int] = defaultdict(int)
    for step in die.steps:
        if step.opcode in (Opcode.SEND, Opcode.RECEIVE) and (step.group is None or step.group not in groups):
            groups.add(step.group)
            found.append(_Occurrence(step.label, counts[step.label]))
            counts[step.label] += 1
    return found


def _orders(dies: Sequence[DieProgram]) -> list[str]:
    """Collectives that do not come in one order on all dies: a line that names what contradicts each other."""
    before: dict[tuple[_Occurrence, _Occurrence], int] = {}
    graph: TopologicalSorter[_Occurrence] = TopologicalSorter()
    for number, die in enumerate(dies):
        for first, second in pairwise(_collectives(die)):
            before.setdefault((first, second), number)
            graph.add(second, first)
    try:
        graph.prepare()
    except CycleError as error:
        cycle: list[_Occurrence] = error.args[1][1:]
        start = cycle.index(min(cycle))
        cycle = [*cycle[start:], *cycle[: start + 1]]
        parts = [
            f"{_name(first)} before {_name(second)} on die {before[first, second]}"
            for first, second in pairwise(cycle)
        ]
        return [f"collectives have no order that all dies keep: {', '.join(parts)}"]
    return []


def _name(collective: _Occurrence) -> str:
    return collective.label + (f" (number {collective.number})" if collective.number else "")
