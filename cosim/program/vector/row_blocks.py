"""How the rows of a vector program can be cut for a die, and its program for one of these ways."""

from __future__ import annotations

from chiplet.graph.vector_program import ELEMENT_BYTES, VectorProgram
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.program.command import MOST_COUNT
from cosim.program.vector.die_vector_program import DieVectorProgram
from cosim.program.vector.tensor_places import RowBlocks, scratchpad_words, tensor_places
from rtl.interface.isa import COUNT_BITS, VECTOR

__all__ = ["row_blocks", "schedule_vector"]

MOST_ROWS = (1 << COUNT_BITS) - 1
"""Most rows of a command, and most elements of a row."""

MOST_PITCH = (1 << VECTOR["a_pitch"].width) - 1
"""Most words from one row of a matrix to the next."""

OFFSETS = 1 << VECTOR["offset"].width
"""Values of the signed field ``offset``."""


def row_blocks(
    die: DieSpec, memory: MemorySpec, program: VectorProgram, *, rows: int, cols: int
) -> list[RowBlocks]:
    """The ways to cut ``rows`` that fit ``die``, large blocks first.

    Neither the ways nor what each takes depends on the scratchpad: a larger one has all of a smaller one, and more.

    Raises
    ------
    ValueError
        If the die has no vector unit, or not even the smallest blocks fit its commands or its scratchpad.
    """
    name = f"vector program {program.name}"
    if die.dtype == "int8":
        raise ValueError(f"{name}: a die with int8 operands has no vector unit: die.dtype must be bf16")
    most_rows = 1 << 32 if program.rows_apart else MOST_ROWS
    for what, size, most in (("rows", rows, most_rows), ("cols", cols, MOST_ROWS)):
        if not 1 <= size <= most:
            raise ValueError(f"{name}: {what} = {size}: must be 1 to {most}")
    refusals: list[str] = []
    ways = []
    for blocks in _ways(program, rows, memory):
        refusal = _refusal(die, memory, program, rows, cols, blocks)
        if refusal:
            refusals.append(refusal)
        else:
            ways.append(blocks)
    if not ways:
        # The last one is that of the smallest blocks with one buffer.
        raise ValueError(f"{name} on {rows} x {cols} {refusals[-1]}")
    return ways


def schedule_vector(
    die: DieSpec,
    memory: MemorySpec,
    program: VectorProgram,
    *,
    rows: int,
    cols: int,
    causal: bool = False,
    offset: int = 0,
    blocks: RowBlocks | None = None,
) -> DieVectorProgram:
    """The program of ``die`` for ``program`` on ``rows`` x ``cols``.

    ``blocks`` is one of :func:`row_blocks`: the largest one unless given.

    Raises
    ------
    ValueError
        If the die has no vector unit, or the smallest blocks do not fit its commands or its scratchpad, or an offset
        of the causal mask does not fit its commands.
    """
    blocks = blocks or row_blocks(die, memory, program, rows=rows, cols=cols)[0]
    made = DieVectorProgram(
        program=program,
        rows=rows,
        cols=cols,
        causal=causal,
        offset=offset,
        blocks=blocks,
        places=tensor_places(program, rows, cols, blocks, memory),
        memory=memory,
    )
    for number in made.offsets:
        if not -OFFSETS // 2 <= number < OFFSETS // 2:
            raise ValueError(
                f"vector program {program.name} on {rows} x {cols}: offset = {number}: must be from "
                f"{-OFFSETS // 2} to {OFFSETS // 2 - 1}"
            )
    return made


def _ways(program: VectorProgram, rows: int, memory: MemorySpec) -> list[RowBlocks]:
    """All rows, half of them and so on, with two buffers and with one."""
    heights = [rows]
    while program.rows_apart and heights[-1] > 1:
        heights.append(-(-heights[-1] // 2))
    if program.total_passes:
        # Values of rows that are kept whole lie without gaps.
        elements = memory.word_bytes // min(ELEMENT_BYTES.values())
        heights = [rows, *(height for n in heights if (height := -(-n // elements) * elements) < rows)]
    return [
        RowBlocks(height, buffers)
        for height in dict.fromkeys(heights)
        for buffers in ((2, 1) if height < rows else (1,))
    ]


def _refusal(
    die: DieSpec, memory: MemorySpec, program: VectorProgram, rows: int, cols: int, blocks: RowBlocks
) -> str:
    """Why these blocks do not fit; empty if they do."""
    places = tensor_places(program, rows, cols, blocks, memory)
    widest = max((place.pitch for place in places.values() if place.tensor.spread == "matrix"), default=0)
    if blocks.rows > MOST_ROWS:
        return f"has blocks of {blocks.rows} rows: must be at most {MOST_ROWS}"
    if widest > MOST_PITCH and blocks.rows > 1:
        return f"has rows of {widest} words: must be at most {MOST_PITCH}"
    needed, there = (
        words * memory.word_bytes
        for words in (scratchpad_words(places, blocks), scratchpad_depth(die, memory))
    )
    if needed > there:
        whole = f", with {', '.join(program.kept_whole)} of all rows" if program.kept_whole else ""
        return (
            f"needs {needed} bytes of the scratchpad for {blocks.rows} row{'s'[: blocks.rows > 1]} at a time{whole}: "
            f"must be at most the {there} of die.scratchpad_bytes = {die.scratchpad_bytes}"
        )
    count = -(-rows // blocks.rows)
    moved = [*program.inputs, *program.outputs]
    commands = sum(count if places[name].varies else 1 for name in moved)
    commands += count * len(program.block_passes) + len(program.total_passes)
    if commands > MOST_COUNT:
        return (
            f"needs {commands} commands, {blocks.rows} row{'s'[: blocks.rows > 1]} at a time: must be at most "
            f"{MOST_COUNT}; a larger die.scratchpad_bytes takes more rows"
        )
    return ""
