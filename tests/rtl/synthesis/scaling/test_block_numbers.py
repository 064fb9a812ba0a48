"""Numbers of blocks in dies of other rows and columns: those that are counted in these dies."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from rtl.synthesis.scaling.block_numbers import block_numbers
from rtl.synthesis.scaling.probe_die import probe_die
from tests.rtl.synthesis.scaling.dies import die_spec, emitted

MADE_OF = (4, 4)


def plain(name: str) -> str:
    """A name without its numbers."""
    return re.sub(r"\d+", "", name)


def numbers_of_modules(rows: int, cols: int) -> Counter[str]:
    """How often a die has the modules of each name, counted in its Verilog."""
    counted: Counter[str] = Counter()
    for module, count in emitted(die_spec(rows, cols)).tree.instances.items():
        counted[plain(module)] += count
    return counted


def test_they_are_those_of_the_die_itself() -> None:
    die = die_spec(*MADE_OF)
    design = emitted(die)
    numbers = block_numbers(design, emitted(probe_die(die)))
    assert list(numbers) != []
    assert set(numbers) == set(design.tree.blocks)
    for block, found in numbers.items():
        rows, cols = MADE_OF
        there = found.per_die + found.per_row * rows + found.per_column * cols + found.per_pe * rows * cols
        assert there == design.tree.block_instances[block]
        assert found.in_vector_unit == 0


@pytest.mark.parametrize(("rows", "cols"), [(8, 2), (5, 7)])
def test_dies_of_other_sizes_have_them(rows: int, cols: int) -> None:
    die = die_spec(*MADE_OF)
    numbers = block_numbers(emitted(die), emitted(probe_die(die)))
    unscaled = {plain(block) for block, found in numbers.items() if not found.scales}
    expected: Counter[str] = Counter()
    for block, found in numbers.items():
        expected[plain(block)] += (
            found.per_die + found.per_row * rows + found.per_column * cols + found.per_pe * rows * cols
        )
    there, here = numbers_of_modules(rows, cols), numbers_of_modules(*MADE_OF)
    tree = emitted(die).tree
    blocks: Counter[str] = Counter()
    for block in numbers:
        blocks[plain(block)] += tree.block_instances[block]
    # Names that are blocks wherever they are: which ones are within others depends on the size.
    always = {name for name, count in blocks.items() if count == here[name]} - unscaled
    assert {"pe_int_p", "row_x_int_p", "accumulator_column__int_p", "operand_bank_x_of_"} <= always
    assert {name: expected[name] for name in always} == {name: there[name] for name in always}


def test_what_follows_rows_and_columns() -> None:
    die = die_spec(*MADE_OF)
    numbers = block_numbers(emitted(die), emitted(probe_die(die)))
    terms = {plain(name): found for name, found in numbers.items()}
    pe, row, column = terms["pe_int_p"], terms["row_x_int_p"], terms["accumulator_column__int_p"]
    assert (pe.per_die, pe.per_row, pe.per_column, pe.per_pe, pe.scales) == (0, 0, 0, 1, True)
    assert (row.per_die, row.per_row, row.per_column, row.per_pe, row.scales) == (0, 1, 0, 0, True)
    assert (column.per_die, column.per_row, column.per_column, column.per_pe) == (0, 0, 1, 0)
    assert not terms["rows__of_x_int_p"].scales  # how rows are nested depends on how many there are


def test_a_row_of_one_pe_has_taken_it_in() -> None:
    die = die_spec(1, 1)
    numbers = block_numbers(emitted(die), emitted(probe_die(die)))
    assert not next(found for name, found in numbers.items() if name.startswith("array_1x1")).scales
