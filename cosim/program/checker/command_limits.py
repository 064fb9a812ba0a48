"""What each command must keep by itself: units of the die, places within its memories, sizes that belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from chiplet.machine.specs import DieSpec
from cosim.program.checker.accesses import Access, AccessMap
from cosim.program.checker.command_steps import CommandSteps
from cosim.program.command import Command
from rtl.interface.isa import SET_PLACES, Opcode
from rtl.interface.vector_operations import FirstOp, Function, Reduction, SecondOp

__all__ = ["CommandLimits", "set_limits"]

_NAMES = {
    "scratchpad": "the scratchpad",
    "memory": "the memory",
    "activation": "the activation buffer",
    "weight": "the weight buffer",
    "accumulator": "the accumulator buffer",
}
_OPERATIONS: dict[str, type[IntEnum]] = {
    "op1": FirstOp,
    "function": Function,
    "op2": SecondOp,
    "reduction": Reduction,
}
_COUNTED = {"row_wait", "word_wait"}
"""Semaphores that a step takes beside those that the command takes."""


def set_limits(command: Command) -> Iterator[str]:
    """What a SET must keep by itself."""
    fields = command.all_fields
    for name in ("wait_0", "wait_1", "post_0", "post_1"):
        if fields[name]:
            yield f"{name} is {fields[name]}, which a SET neither takes nor posts: must be 0"
    named = [place for place in range(SET_PLACES) if fields[f"semaphore_{place}"]]
    if named != list(range(len(named))) or not named:
        yield "names no semaphore in a place before its last one: must name them in its first places, at least one"


@dataclass(frozen=True)
class CommandLimits:
    """Limits of a die.

    Attributes
    ----------
    die
        The die.
    engine
        Whether it has an engine.
    accesses
        Places that commands read and write.
    sizes
        Places of each memory; one that is left out has no end.
    word_bytes
        Bytes of a word.
    """

    die: DieSpec
    engine: bool
    accesses: AccessMap
    sizes: Mapping[str, int]
    word_bytes: int

    def violations(self, command: CommandSteps) -> Iterator[str]:
        """What a command breaks, without its name."""
        opcode = command.opcode
        if opcode in (Opcode.SEND, Opcode.RECEIVE) and not self.engine:
            yield "needs an engine, which the die does not have"
            return
        if opcode == Opcode.VECTOR and self.die.dtype == "int8":
            yield "needs a vector unit, which a die with int8 operands does not have"
            return
        broken = [*self._waits(command), *self._sizes(command)]
        yield from broken
        if not broken:
            for access in self.accesses.of(command, 0, command.steps):
                size = self.sizes.get(access.memory)
                if size is not None and access.end > size:
                    yield (
                        f"{'writes' if access.writes else 'reads'} {_NAMES[access.memory]} to {access.end - 1}: "
                        f"must be at most {size - 1}"
                    )
                    return
            if opcode == Opcode.VECTOR:
                yield from self._results_apart(command)

    def _waits(self, command: CommandSteps) -> Iterator[str]:
        """A semaphore that is taken for a row or a word is not also one that is taken before."""
        fields = command.fields
        for name in _COUNTED & fields.keys():
            others = [
                other for other in ("wait_0", "wait_1", "panel_wait") if fields.get(other, 0) == fields[name]
            ]
            if fields[name] and others:
                yield f"{name} and {others[0]} are both {fields[name]}: must be two semaphores"

    def _sizes(self, command: CommandSteps) -> Iterator[str]:
        field, die = command.fields, self.die

        def within(name: str, most: int) -> Iterator[str]:
            if not 1 <= field[name] <= most:
                yield f"{name} is {field[name]}: must be 1 to {most}"

        match command.opcode:
            case Opcode.FEED_ACTIVATION | Opcode.FEED_WEIGHT:
                lanes = die.rows if command.opcode == Opcode.FEED_ACTIVATION else die.cols
                words = -(-field["cols"] * die.element_bytes // self.word_bytes)
                if field["words"] != words:
                    yield f"words is {field['words']}: must be the {words} of {field['cols']} elements"
                if field["lane"] >= lanes:
                    yield f"lane is {field['lane']}: must be at most {lanes - 1}"
                if field["cols"] > lanes and field["pitch"] < field["rows"]:
                    yield f"pitch is {field['pitch']}: must be at least the {field['rows']} rows"
            case Opcode.FEED_SUMS | Opcode.DRAIN:
                yield from within("last_cols", die.cols)
                if field.get("cast") and die.dtype == "int8":
                    yield "cast is 1: must be 0 on a die with int8 operands"
            case Opcode.GEMM:
                yield from within("last_cols", die.cols)
                yield from within("last_k", die.rows)
            case Opcode.VECTOR:
                for name, operations in _OPERATIONS.items():
                    if field[name] not in set(operations):
                        yield f"{name} is {field[name]}: must be 0 to {max(operations)}"
                if field["result"] > 2:
                    yield f"result is {field['result']}: must be 0 to 2"
                if not field["result"] and not field["reduction"]:
                    yield "result and reduction are 0: must write something"
            case Opcode.SEND:
                if field["own"] > field["chunks"]:
                    yield f"own is {field['own']}: must be at most the {field['chunks']} chunks"
            case Opcode.RECEIVE:
                yield from self._receive(field)

    def _receive(self, field: Mapping[str, int]) -> Iterator[str]:
        if field["forwarded"] > field["chunks"]:
            yield f"forwarded is {field['forwarded']}: must be at most the {field['chunks']} chunks"
        if field["keep"] > 2:
            yield f"keep is {field['keep']}: must be 0 to 2"
        if field["by_source"] and field["add"]:
            yield "by_source and add are 1: must be one of them at most"
        if field["by_source"] and field["word_post"]:
            yield f"by_source is 1 and word_post {field['word_post']}: must be one of them at most"
        for name in ("hand", "join"):
            if field[name] and not field["add"]:
                yield f"{name} is 1: must be 0 without add"
        if field["hand"] and field["join"]:
            yield "hand and join are 1: must be one of them at most"

    def _results_apart(self, command: CommandSteps) -> Iterator[str]:
        """A pass reads ahead: what it writes is no operand of it, unless each element takes the place of its own."""
        accesses = list(self.accesses.of(command, 0, command.steps))
        results = [access for access in accesses if access.writes]
        for number, result in enumerate(results):
            for other in [*(access for access in accesses if access.reads), *results[:number]]:
                same = (result.base, result.counts, result.pitches) == (
                    other.base,
                    other.counts,
                    other.pitches,
                )
                if _overlap(result, other) and not (same and other.reads):
                    yield (
                        f"writes scratchpad words {result.base} to {result.end - 1} while it "
                        f"{'reads' if other.reads else 'writes'} {other.base} to {other.end - 1}: must lie apart"
                    )
                    return


def _overlap(a: Access, b: Access) -> bool:
    """Whether two blocks may have a word in common; blocks that lie between each other's rows count as such."""
    return a.base < b.end and b.base < a.end
