"""Places that the steps of a command read and write: words, or addresses of a buffer, as blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec
from cosim.program.checker.command_steps import CommandSteps
from rtl.interface.isa import Opcode
from rtl.interface.vector_operations import FirstOp, Reduction, SecondOp, Spread

__all__ = ["Access", "AccessMap", "chunk_address", "panel_addresses"]


@dataclass(frozen=True, slots=True)
class Access:
    """A block of places that steps of a command read or write.

    Attributes
    ----------
    memory
        What the places are of: ``memory``, ``scratchpad``, ``activation``, ``weight`` or ``accumulator``.
    writes, reads
        What is done to them.
    base
        First place.
    counts, pitches
        How many along each dimension, and how far apart.
    first
        Step of the first place.
    by_row
        Whether each index of the first dimension belongs to a step of its own; else all to the step ``first``.
    last
        Last step of a block that is not ``by_row``.
    """

    memory: str
    writes: bool
    reads: bool
    base: int
    counts: tuple[int, ...]
    pitches: tuple[int, ...]
    first: int
    by_row: bool
    last: int

    @property
    def end(self) -> int:
        """First place behind the block."""
        return 1 + self.base + sum((n - 1) * p for n, p in zip(self.counts, self.pitches, strict=True))

    @property
    def rows_overlap(self) -> bool:
        """Whether rows of the block may have a place in common.

        They have none if they lie one behind the other, or between each other: those of a FEED, or panels side by side.
        """
        pitch = self.pitches[0]
        for count, inner in zip(self.counts[1:], self.pitches[1:], strict=True):
            if count > 1 and (
                inner < self.counts[0] * pitch if inner >= pitch else (count - 1) * inner >= pitch
            ):
                return True
        return pitch == 0

    def rows(self) -> Iterator[Access]:
        """The block row by row, for a block whose rows overlap."""
        for row in range(self.counts[0]):
            step = self.first + row if self.by_row else self.first
            yield Access(
                self.memory,
                self.writes,
                self.reads,
                self.base + row * self.pitches[0],
                (1, *self.counts[1:]),
                self.pitches,
                step,
                False,
                step if self.by_row else self.last,
            )


def panel_addresses(
    base: int, step: int, wrap: int, first: int, panels: int
) -> Iterator[tuple[int, int, int]]:
    """Runs of panels in the accumulator buffer: number of the first panel, its address, and how many in a row.

    ``first`` and ``panels`` say which panels of a command.
    """
    address, panel = base, 0
    while panel < first + panels:
        count = first + panels - panel
        # The address becomes 0 where it would be the wrap.
        if step and wrap > address and (wrap - address) % step == 0:
            count = min(count, (wrap - address) // step)
        elif not step and wrap == address:
            count = 1
        skip = max(0, first - panel)
        if skip < count:
            yield panel + skip, address + skip * step, count - skip
        panel += count
        address += count * step
        if address == wrap:
            address = 0


class AccessMap:
    """Accesses of commands on a die.

    Parameters
    ----------
    die, memory : DieSpec, MemorySpec
        Array, buffers and words.
    word_flits, flit_words : int
        Flits of a word, and words of a flit; the wider one is a whole number of the other.
    """

    def __init__(self, die: DieSpec, memory: MemorySpec, word_flits: int = 1, flit_words: int = 1) -> None:
        self.die, self._word = die, memory.word_bytes
        self._word_flits, self._flit_words = word_flits, flit_words
        self._of = {
            Opcode.LOAD: self._copy,
            Opcode.STORE: self._copy,
            Opcode.FEED_ACTIVATION: self._feed,
            Opcode.FEED_WEIGHT: self._feed,
            Opcode.FEED_SUMS: self._sums,
            Opcode.DRAIN: self._sums,
            Opcode.GEMM: self._gemm,
            Opcode.VECTOR: self._vector,
            Opcode.SEND: self._chunks,
            Opcode.RECEIVE: self._chunks,
        }

    def of(
        self, command: CommandSteps, first: int, end: int, sources: Sequence[int] = ()
    ) -> Iterator[Access]:
        """Accesses of the steps ``first`` to before ``end``.

        ``sources`` are the senders whose chunks a RECEIVE with ``by_source`` may take.
        """
        if command.opcode == Opcode.RECEIVE:
            yield from self._chunks(command, first, end, sources)
        else:
            yield from self._of[command.opcode](command, first, end)

    def _copy(self, command: CommandSteps, first: int, end: int) -> Iterator[Access]:
        field, loads = command.fields, command.opcode == Opcode.LOAD
        counts = (end - first, field["words"])
        for memory, base, pitch, writes in (
            ("memory", field["address"], field["memory_pitch"], not loads),
            ("scratchpad", field["base"], field["pitch"], loads),
        ):
            yield Access(
                memory, writes, not writes, base + first * pitch, counts, (pitch, 1), first, True, end - 1
            )

    def _feed(self, command: CommandSteps, first: int, end: int) -> Iterator[Access]:
        field, die = command.fields, self.die
        activation = command.opcode == Opcode.FEED_ACTIVATION
        lanes = die.rows if activation else die.cols
        rows, pitch = end - first, field["source_pitch"]
        yield Access(
            "scratchpad",
            False,
            True,
            field["source"] + first * pitch,
            (rows, field["words"]),
            (pitch, 1),
            first,
            True,
            end - 1,
        )
        yield Access(
            "activation" if activation else "weight",
            True,
            False,
            field["base"] + first,
            (rows, -(-field["cols"] // lanes)),
            (1, field["pitch"]),
            first,
            True,
            end - 1,
        )

    def _sums(self, command: CommandSteps, first: int, end: int) -> Iterator[Access]:
        """Of a DRAIN or FEED_SUMS, whose steps are the rows of each panel."""
        field, cols = command.fields, self.die.cols
        drains = command.opcode == Opcode.DRAIN
        size = 2 if drains and field["cast"] else 4
        word, pitch = (
            (field["target"], field["target_pitch"]) if drains else (field["source"], field["source_pitch"])
        )
        rows = field["rows"]
        panel = first // rows
        last_panel = (end - 1) // rows
        for number, address, count in panel_addresses(
            field["base"], field["step"], field["wrap"], panel, last_panel + 1 - panel
        ):
            for more in range(count):
                at = number + more
                begin, stop = max(first, at * rows), min(end, (at + 1) * rows)
                row = begin - at * rows
                width = field["last_cols"] if at == field["panels"] - 1 else cols
                left, right = at * cols * size, (at * cols + width) * size
                words = -(-right // self._word) - left // self._word
                yield Access(
                    "accumulator",
                    not drains,
                    drains,
                    address + more * field["step"] + row,
                    (stop - begin,),
                    (1,),
                    begin,
                    True,
                    stop - 1,
                )
                yield Access(
                    "scratchpad",
                    drains,
                    not drains,
                    word + row * pitch + left // self._word,
                    (stop - begin, words),
                    (pitch, 1),
                    begin,
                    True,
                    stop - 1,
                )

    def _gemm(self, command: CommandSteps, first: int, end: int) -> Iterator[Access]:
        field, die = command.fields, self.die
        rows, cols, m = die.rows, die.cols, field["m"]
        k = (field["k_tiles"] - 1) * rows + field["last_k"]
        stored, lines = (k, -(-m // rows)) if field["activation_column"] else (m, field["k_tiles"])
        # The first of these panels reads them before the others do, and the last one behind them.
        yield Access(
            "activation",
            False,
            True,
            field["activation_base"],
            (lines, stored),
            (field["activation_pitch"], 1),
            first,
            False,
            end - 1,
        )
        pitch, base = field["weight_pitch"], field["weight_base"]
        last = field["panels"] - 1
        if field["weight_column"]:
            for begin, stop, width in (
                (first, min(end, last), cols),
                (max(first, last), end, field["last_cols"]),
            ):
                if begin < stop:
                    yield Access(
                        "weight",
                        False,
                        True,
                        base + begin * cols,
                        (stop - begin, -(-k // cols), width),
                        (cols, pitch, 1),
                        begin,
                        True,
                        stop - 1,
                    )
        else:
            yield Access(
                "weight",
                False,
                True,
                base + first * pitch,
                (end - first, k),
                (pitch, 1),
                first,
                True,
                end - 1,
            )
        step = field["accumulator_step"]
        for panel, address, count in panel_addresses(
            field["accumulator_base"], step, field["accumulator_wrap"], first, end - first
        ):
            yield Access(
                "accumulator",
                True,
                bool(field["accumulate"]),
                address,
                (count, m),
                (step, 1),
                panel,
                True,
                panel + count - 1,
            )

    def _vector(self, command: CommandSteps, first: int, end: int) -> Iterator[Access]:
        field = command.fields
        rows, cols = field["rows"], field["cols"]

        def words(elements: int, bf16: int) -> int:
            return -(-elements * (2 if bf16 else 4) // self._word)

        def block(base: int, counts: tuple[int, int], pitch: int, *, writes: bool) -> Access:
            return Access("scratchpad", writes, not writes, base, counts, (pitch, 1), first, False, end - 1)

        used = {
            "a": True,
            "b": field["op1"] != FirstOp.NONE,
            "d": field["op2"] != SecondOp.NONE,
        }
        for name in (name for name, is_used in used.items() if is_used):
            bf16 = field[f"{name}_bf16"]
            counts = {
                Spread.VALUE: (1, 1),
                Spread.COLUMN: (1, words(rows, bf16)),
                Spread.ROW: (1, words(cols, bf16)),
                Spread.MATRIX: (rows, words(cols, bf16)),
            }[Spread(field[f"{name}_spread"])]
            yield block(field[name], counts, field[f"{name}_pitch"], writes=False)
        if field["result"]:
            counts = (rows, words(cols, field["result"] == 2))
            yield block(field["y"], counts, field["y_pitch"], writes=True)
        if field["reduction"] != Reduction.NONE:
            yield block(field["row"], (1, words(rows, 0)), 0, writes=True)

    def _chunks(
        self, command: CommandSteps, first: int, end: int, sources: Sequence[int] = ()
    ) -> Iterator[Access]:
        field, steps = command.fields, command.chunk_steps
        for number in range(first // steps, (end - 1) // steps + 1):
            begin, stop = max(first, number * steps), min(end, (number + 1) * steps)
            address = chunk_address(field, number)
            if command.opcode == Opcode.SEND:
                if not field["forward"] or number < field["own"]:
                    yield self._chunk(command, address, begin, stop, writes=False)
                continue
            forwards = number < field["forwarded"]
            if field["add"] and (forwards or not field["join"]):
                yield self._chunk(command, address, begin, stop, writes=False)
            if field["keep"] if forwards else not field["hand"]:
                places = [address]
                if field["by_source"]:
                    places = [
                        (field["base"] + source * field["pitch"]) % (1 << BUFFER_ADDRESS_BITS)
                        for source in sources
                    ]
                for place in places:
                    yield self._chunk(command, place, begin, stop, writes=True)

    def _chunk(self, command: CommandSteps, address: int, begin: int, stop: int, *, writes: bool) -> Access:
        """Words of a chunk at ``address`` that the steps ``begin`` to before ``stop`` read or write."""
        steps, flit_words = command.chunk_steps, self._flit_words
        several = stop - begin if steps > 1 else -(-command.fields["flits"] // self._word_flits)
        # Chunks of several senders come in any order.
        any_order = command.fields.get("by_source", 0)
        return Access(
            "scratchpad",
            writes,
            not writes,
            address + begin % steps * flit_words,
            (several, flit_words),
            (flit_words, 1),
            begin,
            steps > 1 and not any_order,
            command.steps - 1 if any_order else stop - 1,
        )


def chunk_address(field: Mapping[str, int], number: int) -> int:
    """First word of a chunk in the scratchpad."""
    wrap = field["wrap"] if field["lap"] and number >= field["lap"] else 0
    return (field["base"] + number * field["pitch"] + wrap) % (1 << BUFFER_ADDRESS_BITS)
