"""Timeline of a die whose program has passes of the vector unit: loads, passes, stores.

A pass is followed beat by beat: its operands come through read ports of the scratchpad that other units use too, and
its results wait for the write port.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chiplet.graph.pass_cycles import pass_cycles
from chiplet.machine.queue_depths import OPERAND_WORDS_SPARE
from chiplet.machine.specs import DieSpec, MemorySpec, function_lanes, vector_lanes
from chiplet.machine.terms import DieTerms
from chiplet.machine.vector_specs import VectorSpec
from cosim.predict.clock import BoundedQueue, Clock, Unit, Waiting
from cosim.predict.die import DieTimes
from cosim.predict.ports import ScratchpadReader, ScratchpadWriter, bench_memory_port
from cosim.program.command import Command
from cosim.program.vector.die_vector_program import DieVectorProgram
from rtl.interface.isa import Opcode
from rtl.interface.vector_operations import FirstOp, Function, Reduction, SecondOp, Spread

__all__ = ["least_vector_cycles", "predict_vector"]

VECTOR_POST = 1
"""Cycles from the end of a pass to what it posts."""
RESULT_WORDS = 2
"""Words of results, and as many of rows' values, that wait for the write port."""
SUM_BYTES = 4

_RowEnds = tuple[bool, bool]
"""Whether a beat is the last one of its row, and of its pass."""
_Places = Generator[None, tuple[_RowEnds | None, _RowEnds | None], None]


def predict_vector(
    commands: Sequence[Command],
    die: DieSpec,
    memory: MemorySpec,
    terms: DieTerms,
    *,
    vector: VectorSpec,
    interval: int = 1,
) -> float:
    """Return the cycles from start to done of a program with vector passes.

    ``interval`` are the least cycles between memory requests.
    """
    clock = Clock()
    machine = _VectorTimes(
        commands, die, memory, terms, clock, bench_memory_port(clock, memory, terms, interval)
    )
    machine.start_vector_unit(vector)
    clock.run()
    return machine.end


def least_vector_cycles(
    made: DieVectorProgram, die: DieSpec, memory: MemorySpec, *, vector: VectorSpec, interval: int = 1
) -> int:
    """Return cycles that no prediction goes below, from one look at each command.

    Each command takes at least the cycles of its words or of its pass, and begins when the commands that it waits for
    have ended. The memory port takes a request every ``interval`` cycles, fetch included.
    """
    sizes: dict[str, Any] = {
        "lanes": vector_lanes(vector, memory),
        "function_lanes": function_lanes(vector, memory),
        "word_bytes": memory.word_bytes,
        "die": die,
        "vector": vector,
    }
    passes = iter(made.passes)
    free: defaultdict[Opcode, int] = defaultdict(int)
    posts: defaultdict[int, deque[int]] = defaultdict(
        deque
    )  # a semaphore has one unit that posts and one that waits
    requests = len(made.commands) * memory.command_words
    for command in made.commands:
        fields = command.fields
        if command.opcode == Opcode.VECTOR:
            work, rows, cols = next(passes)
            cycles = int(pass_cycles(work, rows=rows, cols=cols, **sizes))
        else:
            cycles = fields["rows"] * fields["words"] * interval
            requests += fields["rows"] * fields["words"]
        waits = (fields.get(name, 0) for name in ("wait_0", "wait_1"))
        end = max(free[command.opcode], *(posts[wait].popleft() if wait else 0 for wait in waits)) + cycles
        free[command.opcode] = end
        for name in ("post_0", "post_1"):
            posts[fields.get(name, 0)].append(end)
    return max(*free.values(), (requests - 1) * interval)


@dataclass
class _ReadAhead:
    """Words of an operand that are here, and the part of the oldest one that comes next."""

    words: BoundedQueue
    by_row: bool
    column: bool
    parts: int
    part: int = 0

    def take(self, *, row_end: bool, pass_end: bool) -> Unit:
        """Use a beat's part, which must be here."""
        advances = self.by_row or (self.column and row_end)
        if pass_end or (self.by_row and row_end) or (advances and self.part == self.parts - 1):
            yield from self.words.get()
            self.part = 0
        elif advances:
            self.part += 1


@dataclass
class _ResultQueue:
    """Words that wait for the write port."""

    entries: deque[tuple[float, int]] = field(default_factory=deque)
    left: float = -1.0  # when the last one was taken out

    def has_room(self, now: float) -> bool:
        return len(self.entries) + (self.left == now) < RESULT_WORDS

    def put(self, now: float, word: int) -> None:
        self.entries.append((now + 1, word))

    def get(self, now: float) -> int | None:
        if not self.entries or self.entries[0][0] > now:
            return None
        self.left = now
        return self.entries.popleft()[1]


@dataclass
class _Results:
    """What a pass leaves: its words, those of rows' values, and whether the last one is among them."""

    words: _ResultQueue = field(default_factory=_ResultQueue)
    row_words: _ResultQueue = field(default_factory=_ResultQueue)
    complete: bool = False
    written: bool = False
    for_written: Waiting = field(default_factory=list)

    def has_room(self, now: float) -> bool:
        return self.words.has_room(now) and self.row_words.has_room(now)

    def get(self, now: float) -> int | None:
        """The next word to be written; values of rows come first."""
        word = self.row_words.get(now)
        return self.words.get(now) if word is None else word


class _VectorTimes(DieTimes):
    """A die with a vector unit."""

    def start_vector_unit(self, vector: VectorSpec) -> None:
        """Let the vector unit begin, with the start of the program."""
        self._vector_spec = vector
        self._lanes = int(vector_lanes(vector, self.memory))
        self._turns = self._lanes // function_lanes(vector, self.memory)
        self.queues[Opcode.VECTOR] = BoundedQueue(self.clock, self.die.queue_depth)
        self.clock.start(self._vector())

    def _vector(self) -> Unit:
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.VECTOR].get()
            yield self.clock.now + 1
            yield from self.semaphores.take(fields[f"wait_{number}"] for number in range(3))
            yield from self._pass(fields)
            self._end(fields, VECTOR_POST)

    def _pass(self, fields: dict[str, int]) -> Unit:
        """A pass from its semaphores to its last write."""
        clock = self.clock
        a = self._operand(fields, "a", ScratchpadReader.VECTOR_A)
        b = self._operand(fields, "b", ScratchpadReader.VECTOR_B) if fields["op1"] != FirstOp.NONE else None
        d = self._operand(fields, "d", ScratchpadReader.VECTOR_C) if fields["op2"] != SecondOp.NONE else None
        first, second, reduction = self._stages(fields)
        results = _Results()
        clock.start(self._write_results(results), clock.now + 1)
        places = self._result_places(fields, results)
        next(places)
        cols, left, rows, turn = fields["cols"], fields["cols"], fields["rows"], 0
        while not results.complete:
            yield clock.now + 1
            evaluated = first[-1]
            if not results.has_room(clock.now) or (evaluated and d and not d.words.is_shown):
                continue  # no register changes
            beat: _RowEnds | None = None
            if turn:
                turn -= 1
            elif rows and a.words.is_shown and (b is None or b.words.is_shown):
                row_end = left <= self._lanes
                beat = row_end, row_end and rows == 1
                for operand in (a, b):
                    if operand:
                        yield from operand.take(row_end=row_end, pass_end=beat[1])
                left = cols if row_end else left - self._lanes
                rows -= row_end
                turn = self._turns - 1 if fields["function"] != Function.NONE else 0
            if evaluated and d:
                yield from d.take(row_end=evaluated[0], pass_end=evaluated[1])
            come, row = second[-1], reduction[-1] if reduction else None
            first.appendleft(beat)
            second.appendleft(evaluated)
            reduction.appendleft(come if come and come[0] else None)
            places.send((come, row))
        if not results.written:
            yield results.for_written

    def _operand(self, fields: dict[str, int], name: str, port: ScratchpadReader) -> _ReadAhead:
        """Begin to read an operand."""
        sums = self.memory.word_bytes // SUM_BYTES
        bf16 = fields[f"{name}_bf16"]
        spread = fields[f"{name}_spread"]
        by_row = spread >= Spread.ROW
        across = fields["cols"] if by_row else fields["rows"] if spread == Spread.COLUMN else 1
        words = -(-across // (sums << bf16))
        pitch = fields[f"{name}_pitch"] if spread == Spread.MATRIX else 0
        come = BoundedQueue(
            self.clock, self.die.sram_latency + OPERAND_WORDS_SPARE, 1 + self.terms.scratchpad_read
        )
        places = (
            fields[name] + row * pitch + word
            for row in range(fields["rows"] if by_row else 1)
            for word in range(words)
        )
        self.clock.start(self._read_operand(port, come, places), self.clock.now + 1)
        parts = (sums // self._lanes if by_row else sums) << bf16
        return _ReadAhead(come, by_row=by_row, column=spread == Spread.COLUMN, parts=parts)

    def _read_operand(self, port: ScratchpadReader, come: BoundedQueue, places: Iterator[int]) -> Unit:
        for place in places:
            yield from come.room()
            yield from self.banks.access(port, place)
            yield from come.put(None)
            yield self.clock.now + 1

    def _stages(self, fields: dict[str, int]) -> tuple[deque[_RowEnds | None], ...]:
        """Beats between the first operands and that of op2, from there to the results, and in the reduction."""
        adder = self.die.stages

        def operation(multiplies: bool) -> int:
            return 1 + (self._vector_spec.multiplier_stages if multiplies else adder)

        first = operation(fields["op1"] == FirstOp.MUL)
        if fields["function"] != Function.NONE:
            first += self._vector_spec.function_stages + self._turns - 1
        second = operation(fields["op2"] == SecondOp.MUL)
        # The tree over the lanes, the partial sums, and two levels that add these.
        levels = (self._lanes - 1).bit_length() + 3 if fields["reduction"] != Reduction.NONE else 0
        return tuple(deque([None] * size, size) for size in (first, second, levels * adder))

    def _result_places(self, fields: dict[str, int], results: _Results) -> _Places:
        """Is sent beats of results and of rows' values; puts words into the queues when they are full."""
        sums = self.memory.word_bytes // SUM_BYTES
        beats = sums // self._lanes << (fields["result"] == 2)
        reduces = fields["reduction"] != Reduction.NONE
        place = row_place = fields["y"]
        value_place = fields["row"]
        part = values = 0
        while True:
            come, row = yield
            if come and fields["result"]:
                part += 1
                if come[0] or part == beats:
                    results.words.put(self.clock.now, place)
                    place, part = place + 1, 0
                if come[0]:
                    place = row_place = row_place + fields["y_pitch"]
            if row:
                values += 1
                if row[1] or values == sums:
                    results.row_words.put(self.clock.now, value_place)
                    value_place, values = value_place + 1, 0
            last = row if reduces else come
            results.complete = bool(last and last[1])

    def _write_results(self, results: _Results) -> Unit:
        clock = self.clock
        while True:
            word = results.get(clock.now)
            yield clock.now + 1
            if word is None:
                continue
            yield from self.banks.access(ScratchpadWriter.VECTOR, word)
            if results.complete and not results.words.entries and not results.row_words.entries:
                results.written = True
                clock.wake(results.for_written)
                return
