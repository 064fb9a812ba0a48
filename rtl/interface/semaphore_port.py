"""The port through which a unit waits for semaphores, takes them and posts them."""

from __future__ import annotations

from amaranth.lib.wiring import In, Out

from rtl.block import Bundle
from rtl.interface.isa import SEMAPHORES

__all__ = ["SemaphorePort"]

_UNIT_NAMES = {"wait": "needs", "ok": "needs_ok"}


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
