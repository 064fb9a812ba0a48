"""Passes of the vector unit as steps: those of vector programs, and those that move or clear words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chiplet.graph.vector_pass import VectorPass
from chiplet.graph.vector_program import ProgramPass, Tensor, VectorProgram
from chiplet.layout.program_part import pass_pieces
from chiplet.layout.storage import Storage
from chiplet.layout.word_passes import CLEAR, COPY, PACK, UNPACK, copied_cols, word_cols
from chiplet.layout.words_to_clear import WordBlock
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.program.vector.pass_fields import WordPlace, pass_fields
from rtl.interface.isa import VECTOR, Opcode

__all__ = ["ProgramRun", "clear_steps", "copy_steps", "pack_steps", "program_steps", "unpack_steps"]

MOST_PITCH = (1 << VECTOR["a_pitch"].width) - 1
"""Most words from one row of a matrix to the next."""


@dataclass(frozen=True, kw_only=True)
class ProgramRun:
    """A vector program on tensors of a die.

    Attributes
    ----------
    program, rows, cols
        What is computed, and on which matrix.
    storages
        Where its tensors lie; those of one value have one word.
    causal, offset
        Whether the causal mask holds, and the column that a ``pick`` begins at.
    label
        The operator.
    """

    program: VectorProgram
    rows: int
    cols: int
    storages: Mapping[str, Storage]
    causal: bool
    offset: int
    label: str


def program_steps(run: ProgramRun) -> Iterator[DieStep]:
    """The passes in order; a pass over matrices that have gaps between their pieces goes over one piece at a time.

    Raises
    ------
    ValueError
        If a row is too long for a command, or a pass with gaps needs whole rows.
    """
    program = run.program
    for number, step in enumerate(program.passes):
        rows, cols = Tensor(*program.extents(step)).shape(run.rows, run.cols)
        work = program.operation(step, causal=run.causal and cols > 1)
        for piece, width in pass_pieces(program, step, work, run.storages, cols, run.label):
            yield _pass(run, number, step, work, rows, width, piece)


def _pass(
    run: ProgramRun,
    number: int,
    step: ProgramPass,
    work: VectorPass,
    rows: int,
    cols: int,
    piece: int | None,
) -> DieStep:
    touches: list[Touch] = []
    tensors = run.program.tensors

    def place(name: str) -> WordPlace:
        storage, tensor = run.storages[name], tensors[name]
        word, pitch, width = storage.run.word, 0, 1
        if tensor.spread == "matrix" and not step.statistics:
            pitch, width = storage.pitch, cols
            if piece is not None:
                word += storage.pieces[piece].word
        elif tensor.spread == "row":
            width = cols
            if piece is not None:
                raise ValueError(f"{run.label}: {name} is one row for all: cannot be taken in pieces")
        elif tensor.spread != "value":
            width = run.rows if tensor.rows == "rows" else 1
        if pitch > MOST_PITCH:
            raise ValueError(
                f"{run.label}: rows of {name} are {pitch} words apart: must be at most {MOST_PITCH}, as VECTOR has it"
            )
        written = name in step.results
        matrix = tensor.spread == "matrix" and not step.statistics
        touches.append(
            Touch(
                "scratchpad",
                word,
                storage.words_of(width),
                rows if matrix else 1,
                pitch if matrix else 0,
                written,
            )
        )
        if written and name in step.operands.values():
            touches.append(touches[-1]._replace(writes=False))
        return WordPlace(word, pitch, tensor.element == "bf16")

    fields = pass_fields(
        step, work, place, rows=rows, cols=cols, offset=run.offset if work.op1 == "pick" else 0
    )
    return DieStep(Opcode.VECTOR, fields, tuple(touches), f"{run.label} pass {number}")


# ---- words ----

_CLEAR = ProgramPass("zero", y="y")
_COPY = ProgramPass("x", y="y")
_PACK = ProgramPass("x", reduction="max", row="y")


def clear_steps(zero: int, block: WordBlock, *, word_bytes: int, label: str) -> DieStep:
    """Words become +0, which is the value at word ``zero``."""
    places = {"zero": WordPlace(zero, 0, False), "y": WordPlace(block.word, block.pitch, False)}
    cols = word_cols(block.words, word_bytes)
    fields = pass_fields(_CLEAR, CLEAR, places.__getitem__, rows=block.rows, cols=cols)
    touches = (
        Touch("scratchpad", zero, 1),
        Touch("scratchpad", block.word, block.words, block.rows, block.pitch, writes=True),
    )
    return DieStep(Opcode.VECTOR, fields, touches, f"{label} clear")


def copy_steps(source: Storage, target: Storage, label: str) -> DieStep:
    """Rows of one layout from ``source`` to ``target``, whose pitches may differ; bits stay as they are.

    Words are taken as fp32, so NaNs become canonical ones and subnormal numbers 0, as they are already where a unit
    left them.
    """
    words = source.row_words
    places = {
        "x": WordPlace(source.run.word, source.pitch, False),
        "y": WordPlace(target.run.word, target.pitch, False),
    }
    if source.element != "fp32":
        raise ValueError(f"{label}: copies of {source.element}")
    fields = pass_fields(
        _COPY,
        COPY,
        places.__getitem__,
        rows=source.rows,
        cols=copied_cols(source),
    )
    touches = (
        Touch("scratchpad", source.run.word, words, source.rows, source.pitch),
        Touch("scratchpad", target.run.word, words, source.rows, target.pitch, writes=True),
    )
    return DieStep(Opcode.VECTOR, fields, touches, f"{label} copy")


def unpack_steps(values: Storage, word: int, label: str) -> Iterator[DieStep]:
    """Values that lie in runs of words, each into a word of its own, from ``word`` on."""
    for run in values.runs:
        if not run.rows:
            continue
        places = {"x": WordPlace(run.word, 0, False), "y": WordPlace(word + run.row, 1, False)}
        fields = pass_fields(_COPY, UNPACK, places.__getitem__, rows=run.rows, cols=1)
        touches = (
            Touch("scratchpad", run.word, values.words_of(run.rows)),
            Touch("scratchpad", word + run.row, 1, run.rows, 1, writes=True),
        )
        yield DieStep(Opcode.VECTOR, fields, touches, f"{label} unpack")


def pack_steps(word: int, values: Storage, label: str) -> Iterator[DieStep]:
    """Values that lie in a word each, from ``word`` on, side by side into runs of words."""
    for run in values.runs:
        if not run.rows:
            continue
        places = {"x": WordPlace(word + run.row, 1, False), "y": WordPlace(run.word, 0, False)}
        fields = pass_fields(_PACK, PACK, places.__getitem__, rows=run.rows, cols=1)
        touches = (
            Touch("scratchpad", word + run.row, 1, run.rows, 1),
            Touch("scratchpad", run.word, values.words_of(run.rows), writes=True),
        )
        yield DieStep(Opcode.VECTOR, fields, touches, f"{label} pack")
