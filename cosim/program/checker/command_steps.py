"""Steps of a command as the checker sees them: which semaphores each step takes and posts.

A step is what a unit does between two semaphores that it may wait for or post: a row of a block, a panel of a GEMM, a
word or a chunk of a SEND or RECEIVE, a whole VECTOR. Steps of a unit begin in order and end in order; a step may begin
before the one before it has ended. Semaphores are taken before a step begins and posted when it has ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosim.program.command import Command
from rtl.control.command_processor import UNITS
from rtl.interface.isa import Opcode, Side

__all__ = ["CommandSteps", "SemaphoreUse", "opposite", "steps_of", "unit_of"]

_UNITS = {Opcode.SET: "command_processor", **{opcode: unit for unit, opcode in UNITS.items()}}

_STARTS = ("wait_0", "wait_1", "wait_2")


def unit_of(command: Command) -> str:
    """Unit that carries out a command, by its name in :data:`rtl.interface.error_codes.ERROR_UNITS`."""
    unit = _UNITS.get(command.opcode)
    if unit is not None:
        return unit
    return f"{command.opcode.name.lower()}_{Side(command.fields.get('side', 0)).name.lower()}"


def opposite(side: int) -> str:
    """Name of the other side of a die."""
    return Side((side + 2) % 4).name.lower()


@dataclass(frozen=True, slots=True)
class SemaphoreUse:
    """How a command uses a semaphore: the steps that take or post it, once each, in order."""

    semaphore: int
    steps: Sequence[int]

    def count(self, first: int, end: int) -> int:
        """Uses by the steps from ``first`` to before ``end``."""
        return bisect_left(self.steps, end) - bisect_left(self.steps, first)


@dataclass(frozen=True, slots=True)
class CommandSteps:
    """A command in its unit's queue.

    Attributes
    ----------
    index
        Number of the command in the program.
    command, fields, unit
        The command, all of its fields, and its unit.
    first
        Number of its first step among those of the unit.
    steps
        How many it has.
    takes, posts
        Semaphores, each once.
    chunk_steps
        Steps of a chunk of a SEND or RECEIVE, else 0.
    """

    index: int
    command: Command
    fields: Mapping[str, int]
    unit: str
    first: int
    steps: int
    takes: tuple[SemaphoreUse, ...]
    posts: tuple[SemaphoreUse, ...]
    chunk_steps: int = 0

    @property
    def opcode(self) -> Opcode:
        """What the command does."""
        return self.command.opcode

    @property
    def name(self) -> str:
        """The command as messages name it."""
        return f"command {self.index} ({self.opcode.name}, {self.unit.replace('_', ' ')} unit)"


def steps_of(index: int, command: Command, first: int, *, word_flits: int = 1) -> CommandSteps:
    """Steps of command number ``index``, of which the first one has number ``first`` in its unit.

    ``word_flits`` are the flits of a word, or 1 for wider flits: then a step is a flit.
    """
    fields = command.all_fields
    opcode = command.opcode
    chunk_steps = 0
    if opcode in (Opcode.SEND, Opcode.RECEIVE):
        by_word = fields["word_wait"] or fields.get("word_post", 0)
        chunk_steps = -(-fields["flits"] // word_flits) if by_word else 1
        steps = chunk_steps * fields["chunks"]
    elif opcode == Opcode.GEMM:
        steps = fields["panels"]
    elif opcode == Opcode.VECTOR:
        steps = 1
    else:
        steps = fields["rows"] * fields.get("panels", 1)
    rows = fields.get("rows", 1) if opcode != Opcode.GEMM else 1
    last = range(steps - 1, steps)
    takes = [(fields.get(name, 0), range(1)) for name in _STARTS]
    posts = [(fields["post_0"], last), (fields["post_1"], last)]
    if "panel_wait" in fields:
        takes.append((fields["panel_wait"], range(0, steps, rows)))
        posts.append((fields["panel_post"], range(rows - 1, steps, rows)))
    if "row_wait" in fields:
        takes.append((fields["row_wait"], range(steps)))
    if "row_post" in fields:
        posts.append((fields["row_post"], range(steps - rows, steps)))
    if "word_wait" in fields:
        takes.append((fields["word_wait"], _words_that_wait(opcode, fields, chunk_steps)))
    if "word_post" in fields:
        posts.append((fields["word_post"], _words_that_post(fields, chunk_steps)))
    return CommandSteps(
        index, command, fields, unit_of(command), first, steps, _uses(takes), _uses(posts), chunk_steps
    )


def _uses(uses: Sequence[tuple[int, range]]) -> tuple[SemaphoreUse, ...]:
    """Each semaphore once: where several fields of a step name it, it is taken or posted once."""
    steps: dict[int, Sequence[int]] = {}
    for semaphore, more in uses:
        if semaphore and len(more):
            before = steps.get(semaphore)
            steps[semaphore] = more if before is None else sorted({*before, *more})
    return tuple(SemaphoreUse(semaphore, of) for semaphore, of in steps.items())


def _words_that_wait(opcode: Opcode, fields: Mapping[str, int], chunk_steps: int) -> range:
    """Steps of a SEND or RECEIVE that take ``word_wait``."""
    if opcode == Opcode.SEND:
        first = fields["chunks"] if fields["forward"] else fields["own"]
    else:
        reads = fields["add"] and not fields["join"]
        first = fields["forwarded"] if reads else fields["chunks"]
    return range(first * chunk_steps, fields["chunks"] * chunk_steps)


def _words_that_post(fields: Mapping[str, int], chunk_steps: int) -> range:
    """Steps of a RECEIVE that post ``word_post``: those that write a word, with ``keep`` one that is forwarded."""
    first = 0 if fields["keep"] else fields["forwarded"]
    end = fields["forwarded"] if fields["keep"] or fields["hand"] else fields["chunks"]
    return range(first * chunk_steps, end * chunk_steps)
