"""The program of a die for one vector program: its inputs into the scratchpad, its passes, its outputs to memory.

Blocks of rows follow each other. Inputs are loaded in the order in which passes need them, so that the first pass
begins while later inputs are still on their way; outputs are stored as soon as their last pass has ended. With two
buffers of each input and output, the next block is loaded, and the last one stored, while passes go over this one. What
a pass sums over all rows is kept whole, and the pass follows the last block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_pass import VectorPass
from chiplet.graph.vector_program import ELEMENT_BYTES, ProgramPass, Tensor, VectorProgram
from chiplet.machine.specs import MemorySpec
from cosim.program.command import Command
from cosim.program.vector.pass_fields import WordPlace, pass_fields
from cosim.program.vector.tensor_places import RowBlocks, TensorPlace
from rtl.interface.isa import Opcode

__all__ = ["DieVectorProgram"]

_SEMAPHORES = {
    (Opcode.LOAD, Opcode.VECTOR): 1,
    (Opcode.VECTOR, Opcode.STORE): 2,
    (Opcode.VECTOR, Opcode.LOAD): 3,
    (Opcode.STORE, Opcode.LOAD): 4,
    (Opcode.STORE, Opcode.VECTOR): 5,
}
"""By the unit that posts and the one that waits."""


_Buffer = tuple[str, int]
"""A tensor, and the number of one of its buffers."""


@dataclass
class _BufferCommand:
    """A command, with the buffers that it reads and writes."""

    opcode: Opcode
    fields: dict[str, int]
    reads: list[_Buffer]
    writes: list[_Buffer]


@dataclass(frozen=True, kw_only=True)
class DieVectorProgram:
    """A vector program on a die.

    Attributes
    ----------
    program, rows, cols
        What is computed, and on which matrix.
    causal, offset
        Whether the causal mask holds, and the offset of all passes over the first row.
    blocks
        How its rows are cut.
    places
        Where each tensor lies.
    memory
        The memory, whose words a scratchpad has, too.
    """

    program: VectorProgram
    rows: int
    cols: int
    causal: bool
    offset: int
    blocks: RowBlocks
    places: dict[str, TensorPlace]
    memory: MemorySpec

    @property
    def word_bytes(self) -> int:
        """Bytes of a word."""
        return self.memory.word_bytes

    @property
    def block_count(self) -> int:
        """Blocks of rows."""
        return -(-self.rows // self.blocks.rows)

    @property
    def passes(self) -> Iterator[tuple[VectorPass, int, int]]:
        """Each pass of each block, with the rows and columns that it goes over."""
        for block in range(self.block_count):
            for step in self.program.block_passes:
                height, width = self._extents(step, self._height(block))
                yield self._work(step, block), height, width
        for step in self.program.total_passes:
            height, width = self._extents(step, self.rows)
            yield self._work(step, 0), height, width

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The program of the die."""
        return tuple(_ordered([*self._steps()]))

    @property
    def result_address(self) -> int:
        """First memory word of all outputs together."""
        return min(self._target(name) for name in self.program.outputs)

    @property
    def program_address(self) -> int:
        """Memory word of the first command."""
        return max(self._target(name) + self.places[name].words for name in self.program.outputs)

    @property
    def result_words(self) -> int:
        """Memory words of all outputs together."""
        return self.program_address - self.result_address

    @property
    def memory_words(self) -> int:
        """Words of memory in use."""
        return self.program_address + len(self.commands) * self.memory.command_words

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of all passes that use one."""
        for block in range(self.block_count):
            for step in self.program.block_passes:
                work = self._work(step, block)
                if work.causal:
                    yield self._row_offset(block)
                elif work.op1 == "pick":
                    yield self.offset

    def images(self, inputs: Mapping[str, NDArray[Any]]) -> dict[int, bytes]:
        """Memory contents of the inputs, by their addresses."""
        images = {}
        for name in self.program.inputs:
            place = self.places[name]
            assert place.source is not None
            values = inputs[name]
            stored = np.zeros(place.rows * place.cols, values.dtype)
            stored[: values.size] = values.reshape(-1)
            padded = np.zeros(
                (place.rows, place.pitch * self.word_bytes // values.dtype.itemsize), values.dtype
            )
            padded[:, : place.cols] = stored.reshape(place.rows, place.cols)
            images[place.source] = padded.astype(padded.dtype.newbyteorder("<")).tobytes()
        return images

    def outputs(self, image: bytes, expected: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs that are in ``image``, the words of all results; shaped as those of ``expected``."""
        found: dict[str, NDArray[Any]] = {}
        for name in self.program.outputs:
            place, like = self.places[name], expected[name]
            first = (self._target(name) - self.result_address) * self.word_bytes
            words = image[first : first + place.words * self.word_bytes]
            stored = np.frombuffer(words, like.dtype.newbyteorder("<")).reshape(place.rows, -1)
            values = stored[:, : place.cols].reshape(-1)[: like.size]
            found[name] = values.astype(like.dtype).reshape(like.shape)
        return found

    def _target(self, name: str) -> int:
        target = self.places[name].target
        assert target is not None
        return target

    def _height(self, block: int) -> int:
        """Rows of a block."""
        return min(self.blocks.rows, self.rows - block * self.blocks.rows)

    def _extents(self, step: ProgramPass, rows: int) -> tuple[int, int]:
        return Tensor(*self.program.extents(step)).shape(rows, self.cols)

    def _row_offset(self, block: int) -> int:
        """The offset of the causal mask in a block, whose rows are counted from 0."""
        return self.offset + block * self.blocks.rows

    def _work(self, step: ProgramPass, block: int) -> VectorPass:
        """The pass in a block; without the causal mask where all columns are before it."""
        return self.program.operation(step, causal=self.causal and self._row_offset(block) < self.cols - 1)

    def _steps(self) -> Iterator[_BufferCommand]:
        """Loads, passes and stores; each unit takes its own in this order."""
        passes = self.program.block_passes
        inputs = self.program.input_uses
        varying = [name for name in inputs if self.places[name].varies]
        complete = max(first for first, _ in inputs.values())  # all inputs are there
        for block in range(self.block_count):
            ahead = block + 1 < self.block_count
            # With two buffers, before each of the first passes a load of the next block, but behind those of the first.
            begin = complete if block == 0 else 0
            early = {
                name: max(begin, min(number, len(passes) - 1)) for number, name in enumerate(varying) if ahead
            }
            for number, step in enumerate(passes):
                if block == 0:
                    yield from (self._load(name, 0) for name in inputs if inputs[name][0] == number)
                if self.blocks.buffers > 1:
                    yield from (self._load(name, block + 1) for name in early if early[name] == number)
                yield self._pass(step, block)
                yield from (self._store(name, block) for name in self.program.last_written(number))
                if self.blocks.buffers == 1:
                    yield from (self._load(name, block + 1) for name in early if inputs[name][1] == number)
        for number, step in enumerate(self.program.total_passes, len(passes)):
            yield self._pass(step, None)
            yield from (self._store(name, 0) for name in self.program.last_written(number))

    def _copied(self, name: str, block: int, address: int | None) -> dict[str, int]:
        """Fields of LOAD and STORE."""
        place, height = self.places[name], self._height(block)
        assert address is not None
        matrix = place.tensor.spread == "matrix"
        words = place.pitch
        if place.tensor.spread == "column":
            words = -(-height * ELEMENT_BYTES[place.tensor.element] // self.word_bytes)
        if place.varies:
            address += block * place.pitch * (self.blocks.rows if matrix else 1)
        return {
            "base": place.word(block),
            "pitch": place.pitch,
            "rows": height if matrix else 1,
            "words": words,
            "address": address,
            "memory_pitch": place.pitch,
        }

    def _load(self, name: str, block: int) -> _BufferCommand:
        fields = self._copied(name, block, self.places[name].source)
        return _BufferCommand(Opcode.LOAD, fields, [], self._buffers([name], block))

    def _store(self, name: str, block: int) -> _BufferCommand:
        fields = self._copied(name, block, self.places[name].target)
        return _BufferCommand(Opcode.STORE, fields, self._buffers([name], block), [])

    def _buffers(self, names: Iterable[str], block: int | None) -> list[_Buffer]:
        """The buffers of tensors that a block uses; all of them without a block."""
        return [
            (name, number)
            for name in names
            for number in range(len(self.places[name].buffers))
            if block is None or number == block % len(self.places[name].buffers)
        ]

    def _word_place(self, name: str, block: int) -> WordPlace:
        place = self.places[name]
        return WordPlace(place.word(block), place.pitch, place.tensor.element == "bf16")

    def _pass(self, step: ProgramPass, block: int | None) -> _BufferCommand:
        """A pass over a block, or over all rows."""
        here = block or 0
        work = self._work(step, here)
        height, width = self._extents(step, self.rows if block is None else self._height(here))
        offset = self._row_offset(here) if work.causal else self.offset
        fields = pass_fields(
            step, work, lambda name: self._word_place(name, here), rows=height, cols=width, offset=offset
        )
        return _BufferCommand(
            Opcode.VECTOR,
            fields,
            self._buffers(step.operands.values(), block),
            self._buffers(step.results, block),
        )


def _ordered(steps: list[_BufferCommand]) -> Iterator[Command]:
    """The commands, with semaphores that keep all uses of a buffer in the order of ``steps``.

    Both units of a semaphore take their commands in order, so what one post tells holds for all commands before it.
    """
    told: dict[tuple[Opcode, Opcode], int] = {}
    written: dict[_Buffer, int] = {}
    read: dict[_Buffer, dict[Opcode, int]] = {}
    for number, step in enumerate(steps):
        before = {written[buffer] for buffer in (*step.reads, *step.writes) if buffer in written}
        before |= {reader for buffer in step.writes for reader in read.get(buffer, {}).values()}
        for other in sorted(before):
            pair = steps[other].opcode, step.opcode
            if pair[0] == pair[1] or other <= told.get(pair, -1):
                continue
            # Only the last command of a unit that has to be waited for posts.
            if other != max(n for n in before if steps[n].opcode == pair[0]):
                continue
            told[pair] = other
            semaphore = _SEMAPHORES[pair]
            steps[other].fields["post_1" if "post_0" in steps[other].fields else "post_0"] = semaphore
            step.fields["wait_1" if "wait_0" in step.fields else "wait_0"] = semaphore
        for buffer in step.reads:
            read.setdefault(buffer, {})[step.opcode] = number
        for buffer in step.writes:
            written[buffer] = number
            read[buffer] = {}
    return (Command(step.opcode, step.fields) for step in steps)
