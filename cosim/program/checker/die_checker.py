"""Checks the program of one die: what each command must keep, that it cannot block, and the order of its accesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chiplet.machine.chunks import flits_per_word, words_per_flit
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_depth
from cosim.program.checker.access_order import AccessOrder
from cosim.program.checker.accesses import AccessMap
from cosim.program.checker.command_limits import CommandLimits, set_limits
from cosim.program.checker.command_steps import CommandSteps, unit_of
from cosim.program.checker.queue_run import DieRun, QueuedProgram
from cosim.program.checker.step_clocks import StepClocks
from cosim.program.command import MOST_COUNT, Command
from rtl.interface.isa import SEMAPHORE_BITS, Opcode

__all__ = [
    "ORDERED_COMMANDS",
    "CheckedDie",
    "access_order",
    "check_program",
    "command_words",
    "die_violations",
    "meet",
    "refuse",
]

ORDERED_COMMANDS = 1024
"""Commands of a program, the first ones, whose accesses are checked before it runs: places have then been taken many
times. All else is checked for all commands."""

MOST_VALUE = (1 << SEMAPHORE_BITS) - 1


@dataclass(frozen=True, kw_only=True)
class CheckedDie:
    """A die whose program is checked.

    Attributes
    ----------
    die, memory, nop
        The die; ``nop`` is None for one without an engine.
    memory_words
        Words of memory that the program may use, or None for any.
    program_words
        Words of memory that hold the program, which it must not write.
    inputs
        Words of memory that hold data before the program starts, or None for all.
    host_posts
        Semaphores that software posts once while the program runs.
    scratchpad_written
        Whether the scratchpad holds data before the program starts.
    """

    die: DieSpec
    memory: MemorySpec
    nop: NopSpec | None = None
    memory_words: int | None = None
    program_words: range = range(0)
    inputs: Sequence[range] | None = None
    host_posts: Sequence[int] = ()
    scratchpad_written: bool = False

    @property
    def word_flits(self) -> int:
        """Flits of a word; 1 without an engine."""
        return 1 if self.nop is None else flits_per_word(self.nop, self.memory)

    @property
    def flit_words(self) -> int:
        """Words of a flit; 1 without an engine."""
        return 1 if self.nop is None else words_per_flit(self.nop, self.memory)

    @property
    def sizes(self) -> dict[str, int]:
        """Words of the scratchpad and addresses of the buffers, by their names."""
        die = self.die
        return {
            "scratchpad": scratchpad_depth(die, self.memory, self.nop),
            "activation": die.activation_depth,
            "weight": die.weight_depth,
            "accumulator": die.accumulator_depth,
        }

    @property
    def accesses(self) -> AccessMap:
        """Places that its commands read and write."""
        return AccessMap(self.die, self.memory, self.word_flits, self.flit_words)

    def program(self, commands: Sequence[Command]) -> QueuedProgram:
        """The queues of its units for a program."""
        return QueuedProgram(commands, queue_depth=self.die.queue_depth, word_flits=self.word_flits)

    def command_violations(self, program: QueuedProgram) -> list[str]:
        """What single commands, and the uses of single semaphores, break."""
        lines = []
        if len(program.commands) > MOST_COUNT:
            lines.append(f"program has {len(program.commands)} commands: must be at most {MOST_COUNT}")
        sizes = self.sizes
        if self.memory_words is not None:
            sizes["memory"] = self.memory_words
        limits = CommandLimits(self.die, self.nop is not None, self.accesses, sizes, self.memory.word_bytes)
        used: set[int] = set()
        stored = [_span(steps.fields) for steps in program.queues.get("store", [])]
        for index, (command, (_, steps)) in enumerate(zip(program.commands, program.order, strict=True)):
            if steps is None:
                name = f"command {index} (SET, {unit_of(command).replace('_', ' ')})"
                lines += [f"{name}: {line}" for line in set_limits(command)]
                early = sorted(used & program.set_values(index).keys())
                if early:
                    lines.append(
                        f"{name}: gives semaphore {early[0]} a value, which an earlier command uses: must come before"
                    )
                continue
            used.update(use.semaphore for use in (*steps.takes, *steps.posts))
            lines += [f"{steps.name}: {line}" for line in limits.violations(steps)]
            if command.opcode == Opcode.STORE:
                lines += self._program_kept(steps)
            if command.opcode == Opcode.LOAD and self.inputs is not None:
                lines += self._data_there(steps, stored)
        for semaphore, units in sorted(program.waits.items()):
            if len(units) > 1:
                names = " and ".join(name.replace("_", " ") for name in sorted(units))
                lines.append(f"semaphore {semaphore}: {names} unit wait on it: must be one unit")
        return lines

    def _program_kept(self, steps: CommandSteps) -> list[str]:
        written, words = _span(steps.fields), self.program_words
        if not meet(written, words):
            return []
        return [f"{steps.name} writes memory words {_text(written)}: the program lies in {_text(words)}"]

    def _data_there(self, steps: CommandSteps, stored: Sequence[range]) -> list[str]:
        read = _span(steps.fields)
        if any(read.start in words and read[-1] in words for words in _joined(self.inputs or ())):
            return []
        if any(meet(read, words) for words in stored):
            return []
        return [f"{steps.name} reads memory words {_text(read)}, not all of which hold data"]

    def sure_posts(self, program: QueuedProgram) -> tuple[dict[int, dict[str, list[int]]], list[str]]:
        """Posts of each unit that have come for sure, for semaphores with several posters; and overflows.

        The unit that waits is held back before each of its takes: what is posted then may come before the take, and so
        may stand in for posts of other units.
        """
        sure, lines = {}, []
        initial = program.initial_values
        for semaphore, (waiter,) in program.waits.items():
            posters = sorted(program.posts.get(semaphore, ()))
            posters += ["host"] if semaphore in self.host_posts else []
            if len(posters) > 1:
                sure[semaphore] = self._sure(program, semaphore, waiter, posters, initial.get(semaphore, 0))
        for semaphore, posts in sorted(program.total_posts.items()):
            total = initial.get(semaphore, 0) + (semaphore in self.host_posts) + posts
            if total > MOST_VALUE:
                most = self._most_value(program, semaphore)
                if most > MOST_VALUE:
                    lines.append(f"semaphore {semaphore}: may count to {most}: must be at most {MOST_VALUE}")
        return sure, lines

    def _sure(
        self, program: QueuedProgram, semaphore: int, waiter: str, posters: list[str], initial: int
    ) -> dict[str, list[int]]:
        sure: dict[str, list[int]] = {unit: [] for unit in posters}
        run = DieRun(program, host_posts=self.host_posts, held={waiter: 0})
        taken = initial_taken = 0
        for steps in program.queues[waiter]:
            for use in steps.takes:
                if use.semaphore != semaphore:
                    continue
                for step in use.steps:
                    run.held[waiter] = steps.first + step
                    run.run()
                    taken += 1
                    may = {unit: run.posted[semaphore, unit] for unit in posters}
                    for unit in posters:
                        others = sum(count for other, count in may.items() if other != unit)
                        needed = taken - initial - others
                        before = sure[unit][-1] if sure[unit] else initial_taken
                        sure[unit].append(max(before, needed))
        sure.pop("host", None)
        return sure

    def _most_value(self, program: QueuedProgram, semaphore: int) -> int:
        """Largest value that a semaphore may have: when the unit that waits on it is late."""
        waiter = next(iter(program.waits.get(semaphore, {""})))
        run = DieRun(program, host_posts=self.host_posts, held={waiter: 0})
        most = 0
        for steps in program.queues.get(waiter, []):
            between = any(use.steps[0] < steps.steps - 1 for use in steps.posts)
            for use in steps.takes:
                if use.semaphore == semaphore:
                    # Only what the command itself posts can raise the value between its takes.
                    for step in use.steps if between else use.steps[:1]:
                        run.held[waiter] = steps.first + step
                        run.run()
                        most = max(most, run.tokens[semaphore])
        run.held.clear()
        run.run()
        return max(most, run.tokens[semaphore])


def die_violations(
    checked: CheckedDie, commands: Sequence[Command], *, ordered: int | None = None
) -> list[str]:
    """What the program of a die breaks, one line for each violation.

    The order of accesses is checked for the first ``ordered`` commands, or for all.
    """
    program = checked.program(commands)
    lines = checked.command_violations(program)
    if lines:
        return lines
    sure, lines = checked.sure_posts(program)
    short = ordered is None or len(program.commands) <= ordered
    first = program if short else checked.program(commands[:ordered])
    observer = access_order(checked, first, sure)
    run = DieRun(first, observer=observer, host_posts=checked.host_posts)
    run.run()
    if not short:
        run = DieRun(program, host_posts=checked.host_posts)
        run.run()
    if not run.over:
        return [f"the program blocks: {line}" for line in run.blocked()]
    return [*lines, *observer.violations]


def access_order(
    checked: CheckedDie,
    program: QueuedProgram,
    sure: Mapping[int, Mapping[str, Sequence[int]]],
    *,
    offset: int = 0,
    width: int = 0,
) -> AccessOrder:
    """What checks the order of accesses while the program runs."""
    sizes = checked.sizes
    memory = _shared_memory(program)
    if memory:
        sizes["memory"] = memory
    order = AccessOrder(
        program, StepClocks(program, sure=sure, offset=offset, width=width), checked.accesses, sizes
    )
    if checked.scratchpad_written:
        order.holds_data("scratchpad", [range(sizes["scratchpad"])])
    if memory:
        order.holds_data("memory", [range(memory)] if checked.inputs is None else checked.inputs)
    return order


def _shared_memory(program: QueuedProgram) -> int:
    """Words of memory whose order is checked: 0 if no STORE comes near what a LOAD reads."""
    loads, stores = (
        [_span(steps.fields) for steps in program.queues.get(unit, [])] for unit in ("load", "store")
    )
    if not loads or not stores:
        return 0
    read, written = (
        range(min(span.start for span in spans), max(span.stop for span in spans))
        for spans in (loads, stores)
    )
    return max(read.stop, written.stop) if meet(read, written) else 0


def command_words(command: Command) -> range:
    """Memory words from the first to the last one of a LOAD or STORE."""
    return _span(command.all_fields)


def _span(fields: Mapping[str, int]) -> range:
    rows = (fields["rows"] - 1) * fields["memory_pitch"]
    return range(fields["address"], fields["address"] + rows + fields["words"])


def meet(a: range, b: range) -> bool:
    """Whether two spans of words have one in common."""
    return a.start < b.stop and b.start < a.stop


def _joined(spans: Sequence[range]) -> list[range]:
    """Words that are one behind the other as one range."""
    joined: list[range] = []
    for span in sorted(spans, key=lambda span: span.start):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(span.stop, joined[-1].stop))
        else:
            joined.append(span)
    return joined


def _text(span: range) -> str:
    return f"{span.start} to {span.stop - 1}"


def check_program(checked: CheckedDie, commands: Sequence[Command]) -> None:
    """Check the program of a die before it runs.

    Raises
    ------
    ValueError
        If it breaks what a program must keep: a line with the first violation.
    """
    refuse(die_violations(checked, commands, ordered=ORDERED_COMMANDS))


def refuse(lines: Sequence[str]) -> None:
    """Raise ValueError if there are violations: one line with the first of them, and how many more there are."""
    if lines:
        more = f"; and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise ValueError(f"the program breaks what it must keep: {lines[0]}{more}")
