"""Steps of products leave the golden model's bits, stay in the buffers, and name all that they touch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.compile.products.die_product import DieProduct
from cosim.compile.products.product_steps import ProductSteps
from cosim.golden.interpreter import Interpreter
from cosim.program.checker.accesses import AccessMap
from cosim.program.checker.command_limits import CommandLimits
from cosim.program.checker.command_steps import CommandSteps, steps_of
from cosim.program.command import Command
from cosim.program.shape import FORMS
from rtl.interface.isa import Opcode
from tests.cosim.compile.products.products import Case, Words, cases, fill, product, read_matrix

many = settings(max_examples=40, deadline=None)

DIE = DieSpec(rows=16, cols=16, scratchpad_bytes=1 << 20)
MEMORY = MemorySpec(word_bytes=32)


def made(case: Case) -> list[DieStep]:
    """Steps of all products of a case, which fit the die."""
    maker = ProductSteps(case.die, case.memory)
    try:
        return [step for product in case.products for step in maker.steps(product)]
    except ValueError as error:
        assume("fit" not in str(error))
        raise


def commands_of(steps: Sequence[DieStep]) -> list[Command]:
    return [Command(step.opcode, step.fields) for step in steps]


def assert_golden(case: Case, steps: Sequence[DieStep]) -> None:
    """One command after the other, the steps leave the bits of the golden model."""
    interpreter = Interpreter(die=case.die, memory=case.memory, words=0)
    rng = np.random.default_rng(1)
    wanted = [fill(interpreter, product, case.die.rows, rng) for product in case.products]
    interpreter.run(commands_of(steps))
    for of, patterns in zip(case.products, wanted, strict=True):
        np.testing.assert_array_equal(read_matrix(interpreter, of.y), patterns)


def feed_words(steps: Sequence[DieStep], opcode: Opcode) -> int:
    return sum(step.fields["rows"] * step.fields["words"] for step in steps if step.opcode == opcode)


def array_cycles(die: DieSpec, steps: Sequence[DieStep]) -> int:
    return sum(
        step.fields["panels"] * step.fields["k_tiles"] * max(step.fields["m"], die.rows)
        for step in steps
        if step.opcode == Opcode.GEMM
    )


@many
@given(cases())
def test_bits_are_those_of_the_golden_model(case: Case) -> None:
    assert_golden(case, made(case))


@pytest.mark.parametrize("form", FORMS)
def test_blocks_of_all_dimensions_leave_the_same_bits(form: Form) -> None:
    """M, N and K are cut, and K in pieces that no tile crosses."""
    die = DieSpec(
        rows=3,
        cols=5,
        weight_bytes=2 * 5 * 200,
        activation_bytes=2 * 3 * 200,
        accumulator_bytes=4 * 5 * 100,
        scratchpad_bytes=1 << 20,
    )
    memory = MemorySpec(word_bytes=8)
    one = product(Words(8), form, 61, 131, 83, k_pieces=[24, 7, 100], n_pieces=[40, 43])
    blocks = ProductSteps(die, memory).blocks(one)
    assert min(len(blocks.m), len(blocks.n), len(blocks.k[0])) > 1
    case = Case(die, memory, (one,))
    assert_golden(case, made(case))


def access_places(accesses: AccessMap, steps: CommandSteps) -> set[tuple[str, bool, int]]:
    places = set()
    for access in accesses.of(steps, 0, steps.steps):
        along = [np.arange(n) * p for n, p in zip(access.counts, access.pitches, strict=True)]
        grid = access.base + sum(np.ix_(*along), start=np.zeros(access.counts, int))
        for writes, does in ((True, access.writes), (False, access.reads)):
            places |= {(access.memory, writes, int(place)) for place in np.ravel(grid) if does}
    return places


def touched_places(touches: Sequence[Touch]) -> set[tuple[str, bool, int]]:
    return {
        (touch.space, touch.writes, touch.first + row * touch.pitch + word)
        for touch in touches
        for row in range(touch.rows)
        for word in range(touch.words)
    }


@many
@given(cases(most=1))
def test_touches_are_what_the_command_accesses(case: Case) -> None:
    accesses = AccessMap(case.die, case.memory)
    steps = made(case)
    for step, command in zip(steps, commands_of(steps), strict=True):
        assert touched_places(step.touches) == access_places(accesses, steps_of(0, command, 0))


@many
@given(cases(most=1))
def test_commands_keep_their_limits(case: Case) -> None:
    die = case.die
    sizes = {
        "scratchpad": scratchpad_depth(die, case.memory),
        "activation": die.activation_depth,
        "weight": die.weight_depth,
        "accumulator": die.accumulator_depth,
    }
    accesses = AccessMap(die, case.memory)
    limits = CommandLimits(die, False, accesses, sizes, case.memory.word_bytes)
    for command in commands_of(made(case)):
        assert list(limits.violations(steps_of(0, command, 0))) == []


@many
@given(cases())
def test_a_gemm_hands_its_panels_to_the_drain_behind_it(case: Case) -> None:
    steps = made(case)
    for step, behind in zip(steps, [*steps[1:], None], strict=True):
        if step.opcode == Opcode.GEMM and step.panels:
            assert behind is not None
            assert behind.opcode == Opcode.DRAIN
            assert step.panels == behind.panels == step.fields["panels"] == behind.fields["panels"]
            assert step.fields["accumulator_base"] == behind.fields["base"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sizes", [(64, 16, 32), (32, 64, 16), (16, 16, 8), (128, 128, 128)])
def test_the_array_has_no_wasted_tile_and_operands_come_once(form: Form, sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    one = product(Words(32), form, m, k, n, element="bf16")
    steps = list(ProductSteps(DIE, MEMORY).steps(one))
    assert array_cycles(DIE, steps) == max(m, 16) * -(-k // 16) * -(-n // 16)
    ((a, b),) = one.terms
    assert feed_words(steps, Opcode.FEED_ACTIVATION) == a.rows * a.pitch
    assert feed_words(steps, Opcode.FEED_WEIGHT) == b.rows * b.pitch


def test_products_take_places_in_turn() -> None:
    """What is fed for a product never lies where the array may still read for the one before."""
    words, maker = Words(32), ProductSteps(DIE, MEMORY)
    each = [list(maker.steps(product(words, "nn", 16, 16, 8))) for _ in range(20)]
    for before, behind in pairwise(each):
        for space in ("activation", "weight", "accumulator"):
            used, fed = (
                {place for step in of for where, _, place in touched_places(step.touches) if where == space}
                for of in (before, behind)
            )
            assert used
            assert fed
            assert not used & fed


def test_an_operand_that_has_not_changed_is_fed_once() -> None:
    words, maker = Words(32), ProductSteps(DIE, MEMORY)
    first = product(words, "nn", 64, 16, 32)
    ((a, _),) = first.terms
    b, y = words.matrix("bf16", [32], [16]), words.matrix("fp32", [32], [64])
    second = DieProduct(form="nn", terms=((a, b),), y=y, start=None, label="second")
    steps = list(maker.steps(first))
    again = list(maker.steps(second, unchanged=True))
    assert feed_words(again, Opcode.FEED_ACTIVATION) == 0
    assert feed_words(list(maker.steps(second)), Opcode.FEED_ACTIVATION) == 64
    interpreter = Interpreter(die=DIE, memory=MEMORY, words=0)
    fill(interpreter, first, 16, np.random.default_rng(1))
    wanted = fill(interpreter, second, 16, np.random.default_rng(2))
    interpreter.run(commands_of([*steps, *again]))
    np.testing.assert_array_equal(read_matrix(interpreter, y), wanted)


def test_pieces_without_gaps_are_fed_and_drained_together() -> None:
    """Pieces of 16 bf16 fill words of 32 bytes: heads that lie so take no more commands than one matrix."""
    pieces = product(Words(32), "nn", 16, 32, 64, n_pieces=[16] * 4, k_pieces=[16, 16])
    whole = product(Words(32), "nn", 16, 32, 64)
    steps, wanted = (list(ProductSteps(DIE, MEMORY).steps(of)) for of in (pieces, whole))
    assert [step.opcode for step in steps] == [step.opcode for step in wanted]
    apart = product(Words(32), "nn", 16, 32, 48, n_pieces=[12] * 4)
    drains = [step for step in ProductSteps(DIE, MEMORY).steps(apart) if step.opcode == Opcode.DRAIN]
    assert len(drains) == 4


def test_a_die_of_int8_operands_is_refused() -> None:
    with pytest.raises(ValueError, match="die.dtype = int8: products of a training step need bf16"):
        ProductSteps(DieSpec(dtype="int8"), MEMORY)


def test_what_does_not_fit_is_refused_by_buffer() -> None:
    die = DieSpec(rows=3, cols=3, activation_bytes=18, weight_bytes=18, accumulator_bytes=24)
    with pytest.raises(
        ValueError,
        match="the activation buffer needs 16 addresses, has 3, the weight buffer needs 48 addresses",
    ):
        list(ProductSteps(die, MEMORY).steps(product(Words(32), "nn", 4, 96, 3)))


def test_a_panel_within_a_word_is_refused() -> None:
    """Columns of y begin a word where those of b do not."""
    words = Words(32)
    a, b = words.matrix("bf16", [8], [4]), words.matrix("bf16", [24], [8])
    y = words.matrix("fp32", [4, 20], [4])
    one = DieProduct(form="nn", terms=((a, b),), y=y, start=None, label="product")
    with pytest.raises(ValueError, match="column 4 of a row .* begins no word"):
        list(ProductSteps(DIE, MEMORY).steps(one))
