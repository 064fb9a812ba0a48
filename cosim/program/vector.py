"""The program of a die for one vector program: its inputs into the scratchpad, its passes, its outputs to memory.

Every tensor has a place of its own in the scratchpad. Inputs are loaded in the order in which passes need them, each
with a semaphore of its own, so that the first pass begins while later inputs are still on their way; outputs are stored
as soon as their last pass has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.vector_pass import VectorPass
from chiplet.graph.vector_program import ELEMENT_BYTES, ProgramPass, Tensor, VectorProgram
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_banks, scratchpad_depth
from cosim.program.command import Command
from rtl.interface import vector_operations as numbers
from rtl.interface.isa import COUNT_BITS, SEMAPHORES, VECTOR, Opcode

__all__ = ["DieVectorProgram", "TensorPlace", "schedule_vector"]

MOST_ROWS = (1 << COUNT_BITS) - 1
"""Most rows of a command, and most elements of a row."""

MOST_PITCH = (1 << VECTOR["a_pitch"].width) - 1
"""Most words from one row of a matrix to the next."""


@dataclass(frozen=True, kw_only=True)
class TensorPlace:
    """Where a tensor lies: as ``rows`` rows of ``pitch`` whole words, in the scratchpad and in memory.

    Attributes
    ----------
    tensor
        The tensor.
    word
        Its first word of the scratchpad.
    rows, cols
        Rows as they are stored, and elements of one: values of rows are one row.
    pitch
        Words of a row.
    source, target
        First word in memory, of an input and of an output.
    """

    tensor: Tensor
    word: int
    rows: int
    cols: int
    pitch: int
    source: int | None = None
    target: int | None = None

    @property
    def words(self) -> int:
        """Words of the whole tensor."""
        return self.rows * self.pitch


@dataclass(frozen=True, kw_only=True)
class DieVectorProgram:
    """A vector program on a die.

    Attributes
    ----------
    program, rows, cols
        What is computed, and on which matrix.
    causal, offset
        Whether the causal mask holds, and the offset of all commands.
    places
        Where each tensor lies.
    commands, program_address
        The die's program, and the memory word of its first command.
    result_address, result_words
        Memory words of all outputs together.
    memory_words
        Words of memory in use.
    """

    program: VectorProgram
    rows: int
    cols: int
    causal: bool
    offset: int
    places: dict[str, TensorPlace]
    commands: tuple[Command, ...]
    program_address: int
    result_address: int
    result_words: int
    memory_words: int

    @property
    def passes(self) -> Iterator[tuple[VectorPass, int, int]]:
        """Each pass, with the rows and columns that it goes over."""
        for step in self.program.passes:
            height, width = Tensor(*self.program.extents(step)).shape(self.rows, self.cols)
            yield self.program.operation(step, causal=self.causal), height, width

    def images(self, inputs: Mapping[str, NDArray[Any]], *, word_bytes: int) -> dict[int, bytes]:
        """Memory contents of the inputs, by their addresses."""
        images = {}
        for name in self.program.inputs:
            place = self.places[name]
            assert place.source is not None
            values = inputs[name]
            padded = np.zeros((place.rows, place.pitch * word_bytes // values.dtype.itemsize), values.dtype)
            padded[:, : place.cols] = values.reshape(place.rows, place.cols)
            images[place.source] = padded.astype(padded.dtype.newbyteorder("<")).tobytes()
        return images

    def outputs(
        self, image: bytes, expected: Mapping[str, NDArray[Any]], *, word_bytes: int
    ) -> dict[str, NDArray[Any]]:
        """The outputs that are in ``image``, the words of all results; shaped as those of ``expected``."""
        found: dict[str, NDArray[Any]] = {}
        for name in self.program.outputs:
            place = self.places[name]
            assert place.target is not None
            first = (place.target - self.result_address) * word_bytes
            words = image[first : first + place.words * word_bytes]
            element = expected[name].dtype.newbyteorder("<")
            rows = np.frombuffer(words, element).reshape(place.rows, -1)[:, : place.cols]
            found[name] = rows.astype(expected[name].dtype).reshape(expected[name].shape)
        return found


def schedule_vector(
    die: DieSpec,
    memory: MemorySpec,
    program: VectorProgram,
    *,
    rows: int,
    cols: int,
    causal: bool = False,
    offset: int = 0,
) -> DieVectorProgram:
    """The program of ``die`` for ``program`` on ``rows`` x ``cols``.

    Raises
    ------
    ValueError
        If the die has no vector unit, or the tensors do not fit its commands or its scratchpad.
    """
    name = f"vector program {program.name}"
    if die.dtype == "int8":
        raise ValueError(f"{name}: a die with int8 operands has no vector unit: die.dtype must be bf16")
    for what, size in (("rows", rows), ("cols", cols)):
        if not 1 <= size <= MOST_ROWS:
            raise ValueError(f"{name}: {what} = {size}: must be 1 to {MOST_ROWS}")
    if len(program.inputs) > SEMAPHORES - 2:
        raise ValueError(
            f"{name}: {len(program.inputs)} inputs: must be at most {SEMAPHORES - 2}, a semaphore each"
        )
    places = _places(program, rows, cols, memory)
    needed = max(place.word + place.words for place in places.values())
    depth = scratchpad_depth(die, memory)
    if needed > depth:
        raise ValueError(
            f"{name} on {rows} x {cols} needs {needed} words of the scratchpad: must be at most the {depth} of "
            f"die.scratchpad_bytes = {die.scratchpad_bytes}"
        )
    widest = max((place.pitch for place in places.values() if place.rows > 1), default=0)
    if widest > MOST_PITCH:
        raise ValueError(f"{name}: rows of {widest} words: must be at most {MOST_PITCH}")
    outputs = [places[output] for output in program.outputs]
    first = min(place.target for place in outputs if place.target is not None)
    last = max(place.target + place.words for place in outputs if place.target is not None)
    commands = tuple(_commands(program, places, rows, cols, causal=causal, offset=offset))
    return DieVectorProgram(
        program=program,
        rows=rows,
        cols=cols,
        causal=causal,
        offset=offset,
        places=places,
        commands=commands,
        program_address=last,
        result_address=first,
        result_words=last - first,
        memory_words=last + len(commands) * memory.command_words,
    )


def _places(program: VectorProgram, rows: int, cols: int, memory: MemorySpec) -> dict[str, TensorPlace]:
    """Places one after the other, in the scratchpad and in memory: inputs first, then outputs.

    Matrices begin in banks of their own, as far as there are any, so that those of a pass do not collide.
    """
    word = address = 0
    banks = scratchpad_banks(memory)
    places: dict[str, TensorPlace] = {}
    matrices = 0
    for name, tensor in program.tensors.items():
        height, width = tensor.shape(rows, cols)
        if tensor.spread == "column":
            height, width = 1, height
        pitch = -(-width * ELEMENT_BYTES[tensor.element] // memory.word_bytes)
        if tensor.spread == "matrix":
            word += (matrices - word) % banks
            matrices += 1
        place = TensorPlace(tensor=tensor, word=word, rows=height, cols=width, pitch=pitch)
        places[name] = place
        word += place.words
    for name in program.inputs:
        places[name] = replace(places[name], source=address)
        address += places[name].words
    for name in program.outputs:
        places[name] = replace(places[name], target=address)
        address += places[name].words
    return places


def _commands(
    program: VectorProgram,
    places: dict[str, TensorPlace],
    rows: int,
    cols: int,
    *,
    causal: bool,
    offset: int,
) -> Iterator[Command]:
    """Loads, passes and stores; each unit takes its own in this order."""
    last_write = {name: number for number, step in enumerate(program.passes) for name in step.results}
    semaphores: dict[str, int] = {}
    done = len(program.inputs) + 1
    for number, step in enumerate(program.passes):
        new = [
            name
            for name in dict.fromkeys(step.operands.values())
            if name in program.inputs and name not in semaphores
        ]
        for name in new:
            semaphores[name] = len(semaphores) + 1
            place = places[name]
            assert place.source is not None
            yield Command(Opcode.LOAD, {**_block(place, place.source), "post_0": semaphores[name]})
        wanted = [name for name in step.results if name in program.outputs and last_write[name] == number]
        fields = _pass_fields(program, step, places, rows, cols, causal=causal, offset=offset)
        fields |= {f"wait_{place}": semaphores[name] for place, name in enumerate(new)}
        yield Command(Opcode.VECTOR, {**fields, "post_0": done if wanted else 0})
        for position, name in enumerate(wanted):
            place = places[name]
            assert place.target is not None
            waits = {"wait_0": done} if position == 0 else {}
            yield Command(Opcode.STORE, {**_block(place, place.target), **waits})


def _block(place: TensorPlace, address: int) -> dict[str, int]:
    """Fields of LOAD and STORE."""
    return {
        "base": place.word,
        "pitch": place.pitch,
        "rows": place.rows,
        "words": place.pitch,
        "address": address,
        "memory_pitch": place.pitch,
    }


def _pass_fields(
    program: VectorProgram,
    step: ProgramPass,
    places: dict[str, TensorPlace],
    rows: int,
    cols: int,
    *,
    causal: bool,
    offset: int,
) -> dict[str, int]:
    """Fields of VECTOR, apart from semaphores."""
    work = program.operation(step, causal=causal)
    height, width = Tensor(*program.extents(step)).shape(rows, cols)
    fields = {
        "op1": numbers.FirstOp[work.op1.upper()],
        "function": numbers.Function[work.function.upper()],
        "negate": int(work.negate),
        "op2": numbers.SecondOp[work.op2.upper()],
        "reduction": numbers.Reduction[work.reduction.upper()],
        "causal": int(work.causal),
        "offset": offset % (1 << VECTOR["offset"].width) if work.causal or work.op1 == "pick" else 0,
        "result": {None: 0, "fp32": 1, "bf16": 2}[work.result],
        "rows": height,
        "cols": width,
    }
    for operand, name in step.operands.items():
        place, spread = places[name], work.operands[operand].spread
        fields |= {
            operand: place.word,
            f"{operand}_pitch": place.pitch if spread == "matrix" and height > 1 else 0,
            f"{operand}_spread": numbers.Spread[spread.upper()],
            f"{operand}_bf16": int(place.tensor.element == "bf16"),
        }
    if step.y is not None:
        fields |= {"y": places[step.y].word, "y_pitch": places[step.y].pitch if height > 1 else 0}
    if step.row is not None:
        fields["row"] = places[step.row].word
    return {name: int(value) for name, value in fields.items()}
