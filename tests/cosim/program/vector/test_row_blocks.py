"""The rows of a vector program are cut so that they fit the die; what does not fit is refused in one line."""

from __future__ import annotations

import re

import pytest

from chiplet.graph.vector_program import ProgramPass, Tensor, VectorProgram
from chiplet.graph.vector_programs import PROGRAM_NAMES, vector_program
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.vector.row_blocks import row_blocks, schedule_vector
from cosim.program.vector.tensor_places import RowBlocks, scratchpad_words, tensor_places

SMALL = DieSpec(scratchpad_bytes=1 << 12)


@pytest.mark.parametrize("name", PROGRAM_NAMES)
def test_a_larger_scratchpad_has_all_ways_of_a_smaller_one(name: str) -> None:
    program, memory = vector_program(name, lines=2), MemorySpec(word_bytes=16)
    before: set[RowBlocks] = set()
    for size in range(10, 18):
        ways = set(
            row_blocks(DieSpec(scratchpad_bytes=1 << size), memory, program, rows=50, cols=6)
            if size > 11
            else ()
        )
        assert before <= ways
        before = ways
    assert RowBlocks(50) in before
    assert RowBlocks(25 if name != "cross-entropy-merge" else 32, 2) in before


def test_rows_longer_than_a_pitch_go_one_at_a_time() -> None:
    die, program = DieSpec(scratchpad_bytes=1 << 22), vector_program("residual")
    assert row_blocks(die, MemorySpec(), program, rows=2, cols=40_000) == [RowBlocks(1, 2), RowBlocks(1)]


def test_more_rows_than_a_command_counts() -> None:
    blocks = row_blocks(DieSpec(), MemorySpec(), vector_program("residual"), rows=100_000, cols=2)
    assert blocks[0].rows == 782
    assert blocks[-1].rows < 32


def test_what_is_summed_over_all_rows_is_kept_whole() -> None:
    program, memory = vector_program("cross-entropy-merge"), MemorySpec(word_bytes=32)
    ways = row_blocks(SMALL, memory, program, rows=700, cols=1)
    assert {blocks.rows % 16 for blocks in ways} == {0}
    places = tensor_places(program, 700, 1, ways[0], memory)
    assert len(places["loss"].buffers) == -(-700 // ways[0].rows)
    assert scratchpad_words(places, ways[0]) <= 128


def test_rows_that_depend_on_all_others_are_not_cut() -> None:
    values = Tensor("rows", "one")
    program = VectorProgram(
        "centre",
        {"x": values, "sum": Tensor("one", "one"), "y": values},
        ("x",),
        ("y",),
        (
            ProgramPass("x", reduction="sum", row="sum", statistics=True),
            ProgramPass("x", "sub", "sum", y="y", statistics=True),
        ),
    )
    assert row_blocks(DieSpec(), MemorySpec(), program, rows=90, cols=1) == [RowBlocks(90)]
    with pytest.raises(ValueError, match=r"^vector program centre: rows = 65536: must be 1 to 65535$"):
        row_blocks(DieSpec(), MemorySpec(), program, rows=1 << 16, cols=1)


@pytest.mark.parametrize(
    ("die", "name", "rows", "cols", "message"),
    [
        (
            DieSpec(dtype="int8"),
            "softmax",
            4,
            4,
            "vector program softmax: a die with int8 operands has no vector unit: die.dtype must be bf16",
        ),
        (
            SMALL,
            "adam",
            64,
            1280,
            "vector program adam on 64 x 1280 needs 23424 bytes of the scratchpad for 1 row at a time: must be ",
        ),
        (
            SMALL,
            "cross-entropy-merge",
            1 << 14,
            1,
            "vector program cross-entropy-merge on 16384 x 1 needs 65888 bytes of the scratchpad for 16 rows at",
        ),
        (
            SMALL,
            "sgd",
            60_000,
            120,
            "vector program sgd on 60000 x 120 needs 360001 commands, 1 row at a time: must be at most 65535; a larger",
        ),
        (DieSpec(), "sgd", 0, 4, "vector program sgd: rows = 0: must be 1 to "),
        (DieSpec(), "sgd", 4, 1 << 16, "vector program sgd: cols = 65536: must be 1 to 65535"),
        (DieSpec(), "rotary", 4, 5, "cols = 5: must be even, as the program works on halves of them"),
    ],
)
def test_what_a_die_cannot_run_is_refused(
    die: DieSpec, name: str, rows: int, cols: int, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        schedule_vector(die, MemorySpec(), vector_program(name), rows=rows, cols=cols)


def test_a_refusal_says_what_is_needed_and_there() -> None:
    with pytest.raises(
        ValueError, match="at a time, with loss of all rows: must be at most the 4096 of die.scratch"
    ):
        row_blocks(SMALL, MemorySpec(), vector_program("cross-entropy-merge"), rows=1 << 14, cols=1)


def test_an_offset_beyond_its_field_is_refused() -> None:
    message = "vector program softmax on 40000 x 50000: offset = 32768: must be from -32768 to 32767"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        schedule_vector(
            DieSpec(scratchpad_bytes=1 << 24),
            MemorySpec(word_bytes=64),
            vector_program("softmax"),
            rows=40_000,
            cols=50_000,
            causal=True,
            blocks=RowBlocks(32),
        )
