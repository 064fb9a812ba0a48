"""Spans of nets do what Amaranth's tuples of nets do."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import _ir, _nir
from hypothesis import given
from hypothesis import strategies as st

from rtl.block import CELL_BITS
from rtl.emit.net_spans import Value, joined

PIECES = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.just(0), st.integers(1, 5)),  # equal constants
    st.tuples(
        st.sampled_from([2, 7, 1 << CELL_BITS, (3 << CELL_BITS) - 4, -9, -3]), st.just(1), st.integers(1, 3)
    ),
    st.tuples(
        st.sampled_from([5, -1, 2 << CELL_BITS]), st.just(0), st.integers(1, 3)
    ),  # one net several times
)


@st.composite
def nets(draw: st.DrawFn) -> list[Any]:
    pieces = draw(st.lists(PIECES, max_size=5))
    return [_nir.Net(start + step * bit) for start, step, length in pieces for bit in range(length)]


@given(nets(), nets(), st.data())
def test_a_value_is_the_sequence_of_its_nets(
    first: list[Any], second: list[Any], data: st.DataObject
) -> None:
    value = Value(first)
    assert list(value) == first
    assert all(type(net) is _nir.Net for net in value)
    assert len(value) == len(first)
    assert [value[position] for position in range(-len(first), len(first))] == first * 2
    begin, end = data.draw(st.tuples(st.integers(-12, 12), st.integers(-12, 12)))
    assert list(value[begin:end]) == first[begin:end]
    assert value[begin:end] == Value(first[begin:end])
    assert value + Value(second) == Value(first + second)
    assert (value == Value(second)) == (first == second)
    assert hash(value) == hash(Value(tuple(first)))
    assert value.is_const == _nir.Value(first).is_const
    assert Value(value) is value
    with pytest.raises(IndexError):
        value[len(first)]


@given(nets(), st.booleans(), st.integers(0, 24))
def test_extension_and_its_removal_are_amaranths(value: list[Any], signed: bool, width: int) -> None:
    if value:
        extended = _ir.NetlistEmitter.extend(None, value, signed, width)
        assert list(Value(value).extended(width, signed=signed)) == list(extended)
    resolved = _nir.Value([net for net in value if net >= 0])
    shortened = rtlil.ModuleEmitter.shorten_operand(None, resolved, signed=signed)
    assert list(Value(resolved).shortened(signed=signed)) == list(shortened)


@pytest.mark.parametrize("number", [0, 1, 5, -1, -3])
@pytest.mark.parametrize("width", [0, 1, 4])
def test_constants(number: int, width: int) -> None:
    assert list(Value.from_const(number, width)) == list(_nir.Value.from_const(number, width))
    assert Value.zeros(width) == Value.from_const(0, width)
    assert Value.ones(width) == Value.from_const(-1, width)


def test_a_span_is_as_long_as_it_can_be() -> None:
    assert joined([(0, 2, 1), (0, 0, 0), (0, 2, 2)]) == ((0, 4, 9),)
    assert joined([(-4, 2, 0), (-2, 2, 0), (0, 1, 1), (2, 1, 0)]) == ((-4, 4, 0), (0, 1, 1), (2, 1, 0))
    last = (2 << CELL_BITS) - 1
    assert joined([(last, 1, 0), (last + 1, 1, 0)]) == ((last, 1, 0), (last + 1, 1, 0))
    assert Value(_nir.Net(1)).spans == ((0, 1, 1),)
    assert Value.of_cell(2, 3, 4).spans == (((2 << CELL_BITS) + 4, 3, 0),)
