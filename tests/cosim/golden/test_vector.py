"""A pass in numpy: element by element in loops, orders of sums, special values, products near 2^-126."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from chiplet.graph.vector_pass import FirstOp, PassOperand, SecondOp, VectorPass
from cosim.golden.numerics import fp32_add
from cosim.golden.vector import row_max, row_sum, vector_pass
from cosim.golden.vector_functions import FUNCTIONS

INF, NAN, TINY, SIGN = 0x7F80_0000, 0x7FC0_0000, 0x0080_0000, 1 << 31
VALUE = PassOperand(spread="value")


def bits(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.array(values, np.float32).view(np.uint32)


def one(op: FirstOp, a: int, b: int) -> int:
    """a op b of two fp32 patterns."""
    result = vector_pass(
        VectorPass(VALUE, VALUE, op1=op), np.uint32(a), np.uint32(b), rows=1, cols=1, lanes=1
    )
    assert result.y is not None
    return int(result.y[0, 0])


def test_products_near_the_smallest_normal_number_round_where_numbers_end() -> None:
    rng = np.random.default_rng(0)
    reached = 0
    pairs = [(0x2041_6CEB, 0x1FA9_68AF)]
    while len(pairs) < 3000:
        fraction = int(rng.integers(0, 1 << 23))
        other = round((2 / (1 + Fraction(fraction, 1 << 23)) - 1) * (1 << 23)) + int(rng.integers(-1, 2))
        exponent = int(rng.integers(2, 120))
        pairs.append((exponent << 23 | fraction, (127 - exponent << 23) + other))
    for a, b in pairs:
        x, y = (Fraction(float(np.uint32(n).view(np.float32))) for n in (a, b))
        product, tiny = x * y, Fraction(2) ** -126
        got = one("mul", a, b)
        if product < tiny:
            near = product >= tiny - Fraction(2) ** -150
            reached += near
            assert got == (TINY if near else 0), f"{a:08x} {b:08x}"
        else:
            assert got >= TINY
    assert reached > 200
    assert one("mul", 0x2041_6CEB, 0x1FA9_68AF) == TINY


@pytest.mark.parametrize(
    ("op", "a", "b", "result"),
    [
        ("max", 0, SIGN, 0),
        ("max", SIGN, SIGN, SIGN),
        ("max", SIGN | INF, SIGN | 0x7F7F_FFFF, SIGN | 0x7F7F_FFFF),
        ("max", SIGN | INF, NAN | 1, NAN),
        ("max", INF | 1, INF, NAN),
        ("max", SIGN | 1, 0, 0),  # subnormals are zeros
        ("max", 1, SIGN, 0),
        ("add", INF, SIGN | INF, NAN),
        ("sub", INF, INF, NAN),
        ("sub", 0, 0, 0),
        ("sub", SIGN, 0, SIGN),
        ("mul", INF, 1, NAN),
        ("mul", SIGN | INF, 0x3F80_0000, SIGN | INF),
        ("mul", 0x7F00_0000, 0x4000_0000, INF),
    ],
)
def test_special_values(op: FirstOp, a: int, b: int, result: int) -> None:
    assert one(op, a, b) == result


@pytest.mark.parametrize(("op", "result"), [("add", 5), ("sub", 1), ("mul", 6), ("rsub", -1)])
def test_second_operation(op: SecondOp, result: float) -> None:
    work = VectorPass(VALUE, d=VALUE, op2=op)
    done = vector_pass(work, bits(3)[0], d=bits(2)[0], rows=2, cols=3, lanes=2)
    assert done.y is not None
    assert np.array_equal(done.y, np.full((2, 3), bits(result)[0]))


def test_softmax_pass_element_by_element() -> None:
    rng = np.random.default_rng(1)
    x, largest = bits(*rng.standard_normal(20)).reshape(4, 5), bits(1, 2, 3, 4)
    work = VectorPass(
        PassOperand(),
        PassOperand(spread="column"),
        op1="sub",
        function="exp",
        causal=True,
        reduction="sum",
        result="bf16",
    )
    done = vector_pass(work, x, largest, rows=4, cols=5, lanes=2, offset=1)
    assert done.y is not None
    assert done.y.dtype == np.uint16
    wide = np.zeros((4, 5), np.uint32)
    for i in range(4):
        for j in range(5):
            if j <= i + 1:
                difference = x.view(np.float32)[i, j] - largest.view(np.float32)[i]
                wide[i, j] = FUNCTIONS["exp"](bits(difference))[0]
    rounded = (wide.astype(np.int64) + 0x7FFF + (wide >> 16 & 1)) >> 16
    assert np.array_equal(done.y, rounded)
    assert done.reduction is not None
    assert np.array_equal(done.reduction, row_sum(wide, lanes=2))


def test_labels_choose_one_element_of_a_row() -> None:
    work = VectorPass(VALUE, PassOperand("int32", "column"), op1="pick", reduction="max", result="fp32")
    labels = np.array([2, -1, 9, 0], np.int32).view(np.uint32)
    done = vector_pass(work, bits(7)[0], labels, rows=4, cols=3, lanes=1, offset=1)
    assert done.y is not None
    expected = np.zeros((4, 3))
    expected[0, 1] = 7  # column + offset = label
    assert np.array_equal(done.y.view(np.float32), expected)


def added(values: list[int]) -> int:
    """Sum of two patterns."""
    a, b = (np.array([value], np.uint32) for value in values)
    return int(fp32_add(a, b)[0])


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("cols", [1, 3, 8, 41])
def test_order_of_a_row_sum(lanes: int, cols: int) -> None:
    rng = np.random.default_rng(cols)
    y = bits(*(rng.standard_normal(cols) * 10.0 ** rng.integers(-3, 4, cols)))
    y[rng.random(cols) < 0.2] = SIGN
    partial = [0] * 4
    for k, start in enumerate(range(0, cols, lanes)):
        beat = [int(y[n]) if n < cols else 0 for n in range(start, start + lanes)]
        while len(beat) > 1:
            half = len(beat) // 2
            beat = [added([beat[n], beat[n + half]]) for n in range(half)]
        partial[k % 4] = added([partial[k % 4], beat[0]])
    expected = added([added([partial[0], partial[2]]), added([partial[1], partial[3]])])
    assert row_sum(y[None], lanes=lanes).tolist() == [expected]


def test_row_maximum_is_that_of_numpy() -> None:
    rng = np.random.default_rng(2)
    y = bits(*rng.standard_normal(60)).reshape(4, 15)
    y[1, 3] = INF | 1
    y[2] = np.where(np.arange(15) % 2, SIGN, SIGN | 5)
    assert row_max(y).tolist() == [
        bits(y[0].view(np.float32).max())[0],
        NAN,
        SIGN,
        bits(y[3].view(np.float32).max())[0],
    ]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"rows": 0}, "rows = 0: must be at least 1"),
        ({"lanes": 3}, "lanes = 3: must be a power of two"),
        ({"offset": 1 << 15}, "offset = 32768: must be from -32768 to 32767"),
        ({"b": np.uint32(0)}, "operands a, b: must be a"),
        ({"a": np.zeros((2, 2), np.uint32)}, r"a is uint32 of shape \(2, 2\): must be uint32 of shape \(\)"),
        ({"a": np.uint16(0)}, r"a is uint16 of shape \(\): must be uint32 of shape \(\)"),
    ],
)
def test_what_is_refused(sizes: dict[str, int], message: str) -> None:
    given = {"a": np.uint32(0), "rows": 2, "cols": 2, "lanes": 1, **sizes}
    with pytest.raises(ValueError, match=f"^vector pass: {message}$"):
        vector_pass(VectorPass(VALUE), **given)  # type: ignore[arg-type]
