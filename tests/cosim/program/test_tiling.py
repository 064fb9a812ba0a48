"""Tiling: blocks fit the buffers, start at whole words and tiles, and are refused only if none fits."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings

from chiplet.layout.block_sizes import tile_cycles
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.command import MOST_COUNT
from cosim.program.shape import Shape
from cosim.program.tiling import (
    Tiling,
    activation_addresses,
    blocks,
    choose_tiling,
    weight_addresses,
)
from tests.cosim.machines import Case, cases, dies, memories, shapes

many = settings(max_examples=100)


def alignment(die: DieSpec, memory: MemorySpec, shape: Shape) -> tuple[int, int, int]:
    """Multiples that block starts must be: words of every stored matrix that the dimension runs along, and tiles."""
    operand, result = memory.word_bytes // die.element_bytes, memory.word_bytes // 4
    m = operand if shape.form == "tn" else 1
    k = math.lcm(die.rows, operand) if shape.form != "tn" else die.rows
    n = math.lcm(die.cols, result if shape.form == "nt" else operand)
    return m, k, n


def fits(die: DieSpec, shape: Shape, tiling: Tiling) -> bool:
    """The buffers hold the blocks: two of each operand as soon as there is more than one."""
    m_parts, k_parts, n_parts = (
        -(-size // block) for size, block in ((shape.m, tiling.m), (shape.k, tiling.k), (shape.n, tiling.n))
    )
    a = activation_addresses(die, shape, tiling.m, tiling.k) * min(2, m_parts * k_parts)
    b = weight_addresses(die, shape, tiling.k, tiling.n) * min(2, k_parts * n_parts)
    panels = -(-tiling.n // die.cols) if k_parts > 1 else 1
    return a <= die.activation_depth and b <= die.weight_depth and panels * tiling.m <= die.accumulator_depth


def some(m: int, k: int, n: int) -> Tiling:
    """Blocks of that size."""
    return Tiling(m=m, k=k, n=n, slots=1, held=1, slot_unit=1, split=True)


@pytest.mark.parametrize("name", ["m", "k", "n"])
@pytest.mark.parametrize("value", [0, -1, (1 << 24) + 1])
def test_sizes_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} = {value} is out of range: must be 1 to 16777216$"):
        Shape(m=value if name == "m" else 1, k=value if name == "k" else 1, n=value if name == "n" else 1)


def test_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="^form = 'tt' is unknown: must be one of nn, nt, tn$"):
        Shape(m=1, k=1, n=1, form="tt")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "a", "b"), [("nn", (2, 3), (3, 5)), ("nt", (2, 3), (5, 3)), ("tn", (3, 2), (3, 5))]
)
def test_stored_shapes(form: str, a: tuple[int, int], b: tuple[int, int]) -> None:
    shape = Shape(m=2, k=3, n=5, form=form)  # type: ignore[arg-type]
    assert (shape.stored_a, shape.stored_b) == (a, b)


@pytest.mark.parametrize(("size", "block"), [(1, 1), (7, 1), (7, 3), (7, 7), (6, 3)])
def test_blocks_cover_a_dimension_once(size: int, block: int) -> None:
    covered = [x for start, length in blocks(size, block) for x in range(start, start + length)]
    assert covered == list(range(size))


@many
@given(cases())
def test_blocks_fit_and_start_at_words_and_tiles(case: Case) -> None:
    shape, tiling = case.shape, case.program.tiling
    assert fits(case.die, shape, tiling)
    assert tiling.slots >= 1
    assert tiling.slots * tiling.m <= case.die.accumulator_depth
    sizes = zip((shape.m, shape.k, shape.n), (tiling.m, tiling.k, tiling.n), strict=True)
    for (size, block), multiple in zip(sizes, alignment(case.die, case.memory, shape), strict=True):
        assert block == size or (block < size and block % multiple == 0)


@many
@given(dies(), memories(), shapes(20))
def test_refused_only_if_no_blocks_fit(die: DieSpec, memory: MemorySpec, shape: Shape) -> None:
    choices = []
    for size, multiple in zip((shape.m, shape.k, shape.n), alignment(die, memory, shape), strict=True):
        choices.append([*range(multiple, size, multiple), size])
    possible = any(fits(die, shape, some(m, k, n)) for m, k, n in itertools.product(*choices))
    if possible:
        choose_tiling(die, memory, shape)
    else:
        with pytest.raises(ValueError, match=r"^no blocks of \d+x\d+x\d+ \(..\) fit: die\.\w+_bytes must be"):
            choose_tiling(die, memory, shape)


@many
@given(cases())
def test_one_block_if_everything_fits(case: Case) -> None:
    shape = case.shape
    whole = case.program.tiling.blocks_of(shape) == (1, 1, 1)
    assert whole == fits(case.die, shape, some(shape.m, shape.k, shape.n))


@pytest.mark.parametrize("name", ["activation", "weight", "accumulator"])
def test_refusal_names_the_buffer(name: str) -> None:
    sizes = dict.fromkeys(("activation_bytes", "weight_bytes", "accumulator_bytes"), 1 << 16)
    die = DieSpec(rows=4, cols=4).model_copy(update={**sizes, f"{name}_bytes": 32})
    message = rf"^no blocks of 100x100x100 \(tn\) fit: die\.{name}_bytes must be at least \d+, has 32 in use$"
    with pytest.raises(ValueError, match=message):
        choose_tiling(die, MemorySpec(), Shape(m=100, k=100, n=100, form="tn"))


@pytest.mark.parametrize("size", [(1 << 24, 1, 1), (1, 1 << 24, 1), (1, 1, 1 << 24), (1 << 24,) * 3])
def test_the_largest_sizes_are_cut_at_once(size: tuple[int, int, int]) -> None:
    m, k, n = size
    tiling = choose_tiling(DieSpec(), MemorySpec(), Shape(m=m, k=k, n=n))
    assert max(tiling.m, tiling.k, tiling.n) <= MOST_COUNT


def test_slots_stay_within_what_a_command_counts() -> None:
    die = DieSpec(rows=1, cols=1, accumulator_bytes=4 << 20)
    assert die.accumulator_depth == 1 << 20
    tiling = choose_tiling(die, MemorySpec(), Shape(m=512, k=1, n=4096))
    assert tiling.slots * tiling.m < 1 << 20
    assert choose_tiling(die, MemorySpec(), Shape(m=2, k=1, n=65535)).slots <= 65535


@pytest.mark.parametrize(("m", "cycles"), [(1, 4), (4, 4), (9, 9)])
def test_tile_cycles(m: int, cycles: int) -> None:
    assert tile_cycles(DieSpec(rows=4), m) == cycles
    assert tile_cycles(DieSpec(rows=1, stages=3), m) == max(3, m)
