"""The port through which a unit waits for semaphores, takes them and posts them."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.interface.isa import SEMAPHORES

__all__ = ["SemaphorePort", "SemaphoreWaitPort", "semaphore_mask"]


def semaphore_mask(*numbers: Value) -> Value:
    """The mask in which the semaphores of these numbers are set, and none for number 0."""
    bits = reduce(or_, (Const(1, 1) << number for number in numbers))
    return Cat(Const(0, 1), bits[1:SEMAPHORES])


_UNIT_NAMES = {"wait": "needs", "ok": "needs_ok"}


class SemaphoreWaitPort(Bundle):
    """The part of :class:`SemaphorePort` of a block that waits for semaphores and posts none."""

    def __init__(self) -> None:
        super().__init__({"wait": Out(SEMAPHORES), "ok": In(1), "take": Out(1)}, names=_UNIT_NAMES)


class SemaphorePort(Bundle):
    """Port of a unit to the semaphores, seen from the unit.

    Parameters
    ----------
    of_unit : bool
        Whether its Verilog ports are those of a unit, ``needs`` and ``needs_ok`` instead of ``wait`` and ``ok``.

    Members
    -------
    wait : Out(SEMAPHORES), ok : In(1)
        Semaphores that the unit wants, and whether all of them are above zero.
    take : Out(1)
        The unit takes one from each of them in this cycle.
    post : Out(SEMAPHORES)
        Semaphores that the unit posts in this cycle.
    """

    def __init__(self, *, of_unit: bool = False) -> None:
        super().__init__(
            {"wait": Out(SEMAPHORES), "ok": In(1), "take": Out(1), "post": Out(SEMAPHORES)},
            names=_UNIT_NAMES if of_unit else None,
        )
