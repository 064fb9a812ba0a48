"""One run of the queues of all dies, without time: units take what semaphores allow, as far as they come.

Only one unit waits on a semaphore, and each unit takes its commands in order. So whatever a step waits for, nothing but
that step can use up; a step that can begin stays able to, and every order of the steps ends in the same place. If this
run carries out all commands, every run does. A unit that is held back shows what does not depend on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from chiplet.machine.queue_depths import COMMANDS_WAITING
from cosim.program.checker.command_steps import CommandSteps, steps_of, unit_of
from cosim.program.command import Command
from rtl.interface.isa import SEMAPHORES, SET_PLACES, Opcode

__all__ = ["DieRun", "QueuedProgram", "RunObserver"]


class RunObserver(Protocol):
    """What follows a run."""

    def take(self, command: CommandSteps, first: int, end: int) -> None:
        """The steps ``first`` to before ``end`` of a command begin and end."""


class QueuedProgram:
    """A program, cut into the queues of its units.

    Parameters
    ----------
    commands : sequence of Command
        The program.
    queue_depth : int
        Commands that a unit's queue holds.
    word_flits : int
        Flits of a scratchpad word, at least 1.

    Attributes
    ----------
    queues
        Commands of each unit, in order.
    waits, posts
        Units that wait on a semaphore, and units that post it, by its number.
    total_posts
        How often each semaphore is posted.
    order
        Unit and steps of each command, in order; a SET has no steps.
    """

    def __init__(self, commands: Sequence[Command], *, queue_depth: int, word_flits: int = 1) -> None:
        self.commands = tuple(commands)
        self.queue_depth = queue_depth
        self.queues: dict[str, list[CommandSteps]] = {}
        self.waits: dict[int, set[str]] = defaultdict(set)
        self.posts: dict[int, set[str]] = defaultdict(set)
        self.total_posts: Counter[int] = Counter()
        self.order: list[tuple[str, CommandSteps | None]] = []
        for index, command in enumerate(self.commands):
            unit = unit_of(command)
            if command.opcode == Opcode.SET:
                self.order.append((unit, None))
                continue
            queue = self.queues.setdefault(unit, [])
            first = queue[-1].first + queue[-1].steps if queue else 0
            steps = steps_of(index, command, first, word_flits=word_flits)
            queue.append(steps)
            self.order.append((unit, steps))
            for use in steps.takes:
                self.waits[use.semaphore].add(unit)
            for use in steps.posts:
                self.posts[use.semaphore].add(unit)
                self.total_posts[use.semaphore] += len(use.steps)

    @property
    def initial_values(self) -> dict[int, int]:
        """Values that SETs give semaphores; no earlier command uses them."""
        values: dict[int, int] = {}
        for index, (_, steps) in enumerate(self.order):
            if steps is None:
                values |= self.set_values(index)
        return values

    def set_values(self, index: int) -> dict[int, int]:
        """Semaphores that the SET with number ``index`` gives a value."""
        fields = self.commands[index].all_fields
        values: dict[int, int] = {}
        for place in range(SET_PLACES):
            semaphore = fields[f"semaphore_{place}"]
            if place and not semaphore:
                break
            values[semaphore] = fields[f"value_{place}"]
        values.pop(0, None)
        return values

    def depth_of(self, unit: str) -> int:
        """Commands that a unit accepts before it has ended the first one; a die may take more."""
        engine = unit.startswith(("send_", "receive_"))
        return COMMANDS_WAITING + 1 if engine else self.queue_depth


class DieRun:
    """A run of one die.

    Parameters
    ----------
    program : QueuedProgram
        What the die does. Each semaphore has one unit that waits.
    observer : RunObserver, optional
        What follows the run.
    host_posts : sequence of int
        Semaphores that software posts once.
    passive : bool
        Whether the engine's units only move as others say, with :meth:`move`.

    Attributes
    ----------
    tokens
        Value of each semaphore.
    posted
        Posts so far, by semaphore and unit.
    held
        Steps of a unit that may begin, of one that is held back.
    """

    def __init__(
        self,
        program: QueuedProgram,
        *,
        observer: RunObserver | None = None,
        host_posts: Sequence[int] = (),
        passive: bool = False,
        held: Mapping[str, int] | None = None,
    ) -> None:
        self.program = program
        self.tokens = [0] * SEMAPHORES
        self.posted: dict[tuple[int, str], int] = defaultdict(int)
        self.held = dict(held or {})
        self._observer = observer
        self._passive = passive
        self._next = 0  # command that is handed out next
        self._handed = dict.fromkeys(program.queues, 0)
        self._ended = dict.fromkeys(program.queues, 0)
        self._step = dict.fromkeys(program.queues, 0)
        self._waiter = {semaphore: next(iter(units)) for semaphore, units in program.waits.items()}
        for semaphore in host_posts:
            self.tokens[semaphore] += 1
            self.posted[semaphore, "host"] += 1

    @property
    def over(self) -> bool:
        """Whether all commands have ended."""
        return self._next == len(self.program.order) and self._ended == self._handed

    def current(self, unit: str) -> tuple[CommandSteps, int] | None:
        """The command that a unit is at, and its next step."""
        if unit not in self._handed or self._ended[unit] == self._handed[unit]:
            return None
        return self.program.queues[unit][self._ended[unit]], self._step[unit]

    def _hand_out(self, waiting: deque[str]) -> None:
        order = self.program.order
        while self._next < len(order):
            unit, steps = order[self._next]
            if steps is None:
                for semaphore, value in self.program.set_values(self._next).items():
                    self.tokens[semaphore] = value
                    if semaphore in self._waiter:
                        waiting.append(self._waiter[semaphore])
            elif self._handed[unit] - self._ended[unit] == self.program.depth_of(unit):
                return
            else:
                self._handed[unit] += 1
                waiting.append(unit)
            self._next += 1

    def run(self) -> bool:
        """Go on as far as possible; return whether anything moved."""
        waiting: deque[str] = deque()
        self._hand_out(waiting)
        waiting.extend(unit for unit in self._handed if unit not in waiting)
        moved = False
        while waiting:
            unit = waiting.popleft()
            while True:
                here = self.current(unit)
                if here is None or (self._passive and here[0].chunk_steps):
                    break
                command, step = here
                end = self.possible(command, step)
                if end == step:
                    break
                moved = True
                self._take(command, step, end, waiting)
                if end == command.steps:
                    self._hand_out(waiting)
        return moved

    def possible(self, command: CommandSteps, step: int) -> int:
        """First step of the command, from ``step`` on, that cannot begin now."""
        end = command.steps
        if command.unit in self.held:
            end = max(step, min(end, self.held[command.unit] - command.first))
        for use in command.takes:
            reach = use.count(0, step) + self.tokens[use.semaphore]
            if reach < len(use.steps):
                end = min(end, use.steps[reach])
        return max(step, end)

    def move(self, unit: str, steps: int) -> None:
        """Let a unit of the engine do its next ``steps`` steps, for which it has all semaphores."""
        here = self.current(unit)
        assert here is not None
        command, step = here
        self._take(command, step, step + steps, deque())

    def _take(self, command: CommandSteps, first: int, end: int, waiting: deque[str]) -> None:
        for use in command.takes:
            self.tokens[use.semaphore] -= use.count(first, end)
        if self._observer is not None:
            self._observer.take(command, first, end)
        for use in command.posts:
            count = use.count(first, end)
            if count:
                self.tokens[use.semaphore] += count
                self.posted[use.semaphore, command.unit] += count
                if use.semaphore in self._waiter:
                    waiting.append(self._waiter[use.semaphore])
        unit = command.unit
        if end == command.steps:
            self._ended[unit] += 1
            self._step[unit] = 0
        else:
            self._step[unit] = end

    def blocked(self) -> list[str]:
        """What the units that are left wait for, a line each."""
        lines = []
        for unit in self._handed:
            here = self.current(unit)
            if here is None:
                continue
            command, step = here
            missing = [
                use.semaphore
                for use in command.takes
                if use.count(0, step) + self.tokens[use.semaphore] < use.count(0, step + 1)
            ]
            if missing:
                names = " and ".join(map(str, missing))
                lines.append(
                    f"{command.name}: step {step} of {command.steps} waits for ever for semaphore {names}"
                )
            elif command.chunk_steps:
                lines.append(
                    f"{command.name}: chunk {step // command.chunk_steps} waits for ever for another die"
                )
        if self._next < len(self.program.order):
            unit = self.program.order[self._next][0]
            lines.append(f"command {self._next}: the queue of the {unit.replace('_', ' ')} unit stays full")
        return lines
