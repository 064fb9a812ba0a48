"""Functional model of the dies of a package for tests: runs a program on each, without a clock.

Chunks go from a send unit to the die that they are sent to in no time, and wait there in order. Everything else is that
of :mod:`cosim.golden.interpreter`.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.chunks import chunk_words, flits_per_word
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, SystemSpec
from cosim.golden.interleaving import UnitStep, steps_of
from cosim.golden.interpreter import Interpreter, ProgramError
from cosim.golden.numerics import fp32_add
from cosim.program.command import Command
from rtl.interface.isa import SET_PLACES, Opcode, Side

__all__ = ["run_package"]

_OPPOSITE = {Side.NORTH: Side.SOUTH, Side.SOUTH: Side.NORTH, Side.EAST: Side.WEST, Side.WEST: Side.EAST}

Words = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """A chunk of a SEND or RECEIVE."""

    opcode: Opcode
    fields: dict[str, int]
    number: int

    @property
    def last(self) -> bool:
        return self.number == self.fields["chunks"] - 1

    @property
    def address(self) -> int:
        field = self.fields
        wrap = field["wrap"] if field["lap"] and self.number >= field["lap"] else 0
        return (field["base"] + self.number * field["pitch"] + wrap) % (1 << BUFFER_ADDRESS_BITS)

    def steps(self, system: SystemSpec) -> int:
        """How often the chunk waits for, or posts, a semaphore: for each word, or each flit that is wider."""
        return -(-self.fields["flits"] // flits_per_word(system.nop, system.memory))

    def needs(self, steps: int) -> Counter[int]:
        """Semaphores that the chunk takes, and how often."""
        field = self.fields
        needs: Counter[int] = Counter()
        if self.number == 0:
            needs.update({field["wait_0"], field["wait_1"]} - {0})
        first = field["own"] if self.opcode == Opcode.SEND else field["forwarded"]
        if field["word_wait"] and self.number >= first:
            needs[field["word_wait"]] += steps
        return needs


_UnitQueue: TypeAlias = "deque[deque[UnitStep | _Chunk]]"
"""The commands of a unit, each with the steps that are left of it."""


class _DieAtWork:
    """A die: its program, its queues, and what waits between its engine's units."""

    def __init__(self, interpreter: Interpreter, commands: Sequence[Command], place: tuple[int, int]) -> None:
        self.interpreter, self.place = interpreter, place
        self.waiting = deque(enumerate(commands))
        self.queues: dict[tuple[int, ...], _UnitQueue] = defaultdict(deque)
        self.arrived: dict[int, deque[Words]] = defaultdict(deque)
        self.onward: dict[tuple[int, int], deque[Words]] = defaultdict(
            deque
        )  # by sides: came from, leaves by
        self.handed: dict[int, deque[Words]] = defaultdict(deque)  # by the side that joins it


def run_package(
    system: SystemSpec,
    interpreters: Sequence[Interpreter],
    programs: Sequence[Iterable[Command]],
    *,
    order: Callable[[int], int] | None = None,
) -> None:
    """Run a program on each die, in the order of the dies' numbers; ``order`` chooses one of so many steps, without it
    each unit goes on as long as it can.

    Raises
    ------
    ProgramError
        If all units of all dies wait, or something is left when the programs have ended; or as Interpreter.run.
    """
    dies = [
        _DieAtWork(die, list(program), divmod(number, system.package.cols))
        for number, (die, program) in enumerate(zip(interpreters, programs, strict=True))
    ]
    if order is None:
        while sum(_goes_on(system, dies, die) for die in dies):
            pass
    else:
        while choices := _choices(system, dies):
            _take(system, dies, *choices[order(len(choices))])
    for number, die in enumerate(dies):
        left = [queue[0][0] for queue in die.queues.values() if queue]
        if left or die.waiting or any(die.arrived.values()) or any(die.onward.values()):
            raise ProgramError(f"die {number} blocks: {[(step.opcode.name, step) for step in left]}")


def _goes_on(system: SystemSpec, dies: Sequence[_DieAtWork], die: _DieAtWork) -> bool:
    """Let each unit of a die go on as long as it can; return whether any did."""
    before = len(die.waiting)
    _hand_out(die, system.die.queue_depth)
    moved = len(die.waiting) < before
    for queue in die.queues.values():
        while queue and _can_start(system, die, queue[0][0]):
            _take(system, dies, die, queue)
            moved = True
    return moved


def _choices(system: SystemSpec, dies: Sequence[_DieAtWork]) -> list[tuple[_DieAtWork, _UnitQueue]]:
    """The queues whose next step can be taken now."""
    choices = []
    for die in dies:
        _hand_out(die, system.die.queue_depth)
        choices += [
            (die, queue) for queue in die.queues.values() if queue and _can_start(system, die, queue[0][0])
        ]
    return choices


def _can_start(system: SystemSpec, die: _DieAtWork, step: UnitStep | _Chunk) -> bool:
    if isinstance(step, UnitStep):
        return all(die.interpreter.semaphores[s] for s in step.needs)
    return _ready(die, step, step.steps(system))


def _take(system: SystemSpec, dies: Sequence[_DieAtWork], die: _DieAtWork, queue: _UnitQueue) -> None:
    step = _next(queue)
    if isinstance(step, UnitStep):
        die.interpreter._take(step)
    else:
        _exchange(system, dies, die, step)


def _next(queue: _UnitQueue) -> UnitStep | _Chunk:
    step = queue[0].popleft()
    if not queue[0]:
        queue.popleft()
    return step


def _hand_out(die: _DieAtWork, depth: int) -> None:
    while die.waiting:
        index, command = die.waiting[0]
        fields = command.all_fields
        if command.opcode == Opcode.SET:
            for place in range(SET_PLACES):
                if fields[f"semaphore_{place}"]:
                    die.interpreter.semaphores[fields[f"semaphore_{place}"]] = fields[f"value_{place}"]
        else:
            engine = command.opcode in (Opcode.SEND, Opcode.RECEIVE)
            key = (command.opcode, fields["side"]) if engine else (command.opcode,)
            if len(die.queues[key]) == depth:
                return
            steps: Iterable[UnitStep | _Chunk] = steps_of(index, command)
            if engine:
                steps = (
                    _Chunk(opcode=command.opcode, fields=fields, number=number)
                    for number in range(fields["chunks"])
                )
            die.queues[key].append(deque(steps))
        die.waiting.popleft()


def _came_from(send: Mapping[str, int]) -> Side:
    """The side by which what a SEND forwards has come."""
    side = Side(send["side"])
    return side if send["turn"] else _OPPOSITE[side]


def _ready(die: _DieAtWork, chunk: _Chunk, steps: int) -> bool:
    field, side = chunk.fields, chunk.fields["side"]
    if any(die.interpreter.semaphores[s] < count for s, count in chunk.needs(steps).items()):
        return False
    if chunk.opcode == Opcode.SEND:
        return not (field["forward"] and chunk.number >= field["own"]) or bool(
            die.onward[_came_from(field), side]
        )
    joins = field["join"] and chunk.number >= field["forwarded"]
    return bool(die.arrived[side]) and (not joins or bool(die.handed[side]))


def _exchange(
    system: SystemSpec,
    dies: Sequence[_DieAtWork],
    die: _DieAtWork,
    chunk: _Chunk,
) -> None:
    """Carry out a chunk."""
    field, side = chunk.fields, Side(chunk.fields["side"])
    steps = chunk.steps(system)
    semaphores = die.interpreter.semaphores
    for semaphore, count in chunk.needs(steps).items():
        semaphores[semaphore] -= count
    scratchpad = die.interpreter.scratchpad
    here = slice(chunk.address, chunk.address + chunk_words(field["flits"], system.nop, system.memory))
    if chunk.opcode == Opcode.SEND:
        if field["forward"] and chunk.number >= field["own"]:
            data = die.onward[_came_from(field), side].popleft()
        else:
            data = scratchpad.read(here)
        row, col = die.place
        target = (
            (field["target"] - 1, col) if side in (Side.NORTH, Side.SOUTH) else (row, field["target"] - 1)
        )
        dies[target[0] * system.package.cols + target[1]].arrived[_OPPOSITE[side]].append(data)
    else:
        data = die.arrived[side].popleft()
        forwards = chunk.number < field["forwarded"]
        if field["add"]:
            joins = field["join"] and not forwards
            data = _added(data, die.handed[side].popleft() if joins else scratchpad.read(here), system)
        if forwards and field["keep"] != 2:
            die.onward[side, side if field["turn"] else _OPPOSITE[side]].append(data)
        if not forwards and field["hand"]:
            die.handed[_OPPOSITE[side]].append(data)
        elif not forwards or field["keep"]:
            scratchpad.write(here, data)
            if forwards or field["keep"] == 0:
                semaphores[field["word_post"]] += steps if field["word_post"] else 0
    if chunk.last:
        for semaphore in {field["post_0"], field["post_1"]} - {0}:
            semaphores[semaphore] += 1


def _added(data: Words, own: Words, system: SystemSpec) -> Words:
    if system.die.dtype == "int8":
        total = data.view("<i4") + own.view("<i4")
    else:
        total = fp32_add(data.view("<u4"), own.view("<u4"))
    added: Words = np.ascontiguousarray(total).view(np.uint8).reshape(data.shape)
    return added
