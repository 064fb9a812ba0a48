"""Conversions kept for the next design: the same text with and without them, names included, and a bound on them."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import Emitter, emit


class Leaf(Block):
    """An adder of a constant; its name does not show it."""

    elaborations = 0

    def __init__(self, constant: int) -> None:
        self._constant = constant
        super().__init__({"i": In(8), "o": Out(8)})

    @property
    def block_name(self) -> str:
        return "leaf"

    def elaborate(self, _platform: Any) -> Module:
        type(self).elaborations += 1
        m = Module()
        m.d.comb += self.o.eq(self.i + self._constant)
        return m


class Chain(Block):
    """Leaves one behind the other, and a chain around a chain."""

    def __init__(self, *constants: int, inner: tuple[int, ...] = ()) -> None:
        self._constants, self._inner = constants, inner
        super().__init__({"i": In(8), "o": Out(8)})

    @property
    def block_name(self) -> str:
        return f"chain_{'_'.join(map(str, (*self._constants, *self._inner)))}"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        value: Any = self.i
        blocks: list[Leaf | Chain] = [Leaf(constant) for constant in self._constants]
        if self._inner:
            blocks.append(Chain(*self._inner))
        for number, block in enumerate(blocks):
            place(m, platform, f"block_{number}", block)
            m.d.comb += block.i.eq(value)
            value = block.o
        m.d.comb += self.o.eq(value)
        return m


def netlist(top: Block, conversions: Conversions) -> str:
    emitter = Emitter(conversions)
    emitter.convert(top)
    return emitter.rtlil


# The first leaf of a design has the plain name: 2 behind 1 has another name than 2 alone.
CHAINS = [
    Chain(1, 2),
    Chain(2, 1),
    Chain(2),
    Chain(3, inner=(1, 2)),
    Chain(1, inner=(1, 2)),
    Chain(2, inner=(1, 2)),
    Chain(1, 2, 1),
]


@pytest.mark.parametrize("first", range(len(CHAINS)))
def test_the_netlist_does_not_depend_on_earlier_designs(first: int) -> None:
    conversions = Conversions()
    for chain in [*CHAINS[first:], *CHAINS[:first], *CHAINS]:
        assert netlist(chain, conversions) == netlist(chain, Conversions())


def test_dies_of_other_sizes_have_the_netlist_that_they_have_alone() -> None:
    conversions = Conversions()
    memory = MemorySpec(word_bytes=8)
    small, large = (
        Die(die=DieSpec(rows=r, cols=c, dtype="int8"), memory=memory) for r, c in ((1, 1), (2, 3))
    )
    kept = [netlist(die, conversions) for die in (small, large, small)]
    alone = [netlist(die, Conversions()) for die in (small, large)]
    assert kept == [*alone, alone[0]]


def test_a_block_of_an_earlier_design_is_not_elaborated_again() -> None:
    conversions = Conversions()
    Leaf.elaborations = 0
    for chain in (Chain(1, 2), Chain(1, 2, 1), Chain(1, 2)):
        netlist(chain, conversions)
    assert Leaf.elaborations == 2
    emit(Chain(1, 2), None, conversions=conversions)
    assert Leaf.elaborations == 2
    emit(Chain(1, 2), None, conversions=Conversions())
    assert Leaf.elaborations == 4


def test_a_class_that_a_function_defines_anew_is_another_block() -> None:
    def leaf(constant: int) -> Block:
        class Closed(Leaf):
            def __init__(self) -> None:
                super().__init__(constant)

        return Closed()

    conversions = Conversions()
    one, two = leaf(1), leaf(2)
    assert one.identity == two.identity
    assert netlist(one, conversions) != netlist(two, conversions)


def test_the_least_recently_used_are_dropped() -> None:
    def kept(conversions: Conversions) -> list[bool]:
        return [conversions.get(Leaf, Leaf(constant).identity) is not None for constant in range(4)]

    conversions = Conversions()
    Emitter(conversions).convert(Leaf(0))
    converted = conversions.get(Leaf, Leaf(0).identity)
    assert converted is not None
    bounded = Conversions(int(3.5 * len(converted.rtlil)))
    for constant in range(4):
        Emitter(bounded).convert(Leaf(constant))
        bounded.get(Leaf, Leaf(0).identity)
    assert kept(bounded) == [True, False, True, True]
