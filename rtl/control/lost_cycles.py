"""Lost cycles: what each cycle of a program without an activation vector was lost to."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from rtl.block import Block

__all__ = ["LOSSES", "LostCycles"]

LOSSES = ("lost_rows", "lost_fetch", "lost_load", "lost_drain", "lost_fill", "lost_store")
"""Counters of what cycles are lost to. With ``array_busy`` they add up to ``cycles``."""


class LostCycles(Block):
    """One of its outputs is high in each cycle in which the array takes no activation vector.

    Members
    -------
    array_busy, array_idle, array_stall_semaphore, array_stall_panel : In(1)
        Of the array unit: it takes a vector; it has no command; it waits for a semaphore; for that of a panel.
    array_pads : In(1)
        Of the array unit: a tile is under way, and its vectors are over.
    array_over : In(1)
        No GEMM is still to come.
    starved : In(1)
        A command is still to come, and the next one is not there.
    operands_busy : In(1)
        The load unit or a feed unit has a command.
    lost_rows, lost_fetch, lost_load, lost_drain, lost_fill, lost_store : Out(1)
        See :data:`rtl.interface.register_map.COUNTERS`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "array_busy": In(1),
                "array_idle": In(1),
                "array_stall_semaphore": In(1),
                "array_stall_panel": In(1),
                "array_pads": In(1),
                "array_over": In(1),
                "starved": In(1),
                "operands_busy": In(1),
                **{name: Out(1) for name in LOSSES},
            }
        )

    @property
    def block_name(self) -> str:
        return "lost_cycles"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.array_busy):
            pass
        with m.Elif(self.array_pads):
            m.d.comb += self.lost_rows.eq(1)
        with m.Elif(self.array_idle & self.array_over):
            m.d.comb += self.lost_store.eq(1)
        with m.Elif(self.array_idle | (self.array_stall_semaphore & ~self.array_stall_panel)):
            # The array lacks a GEMM or operands: those under way, or those of a command that has not come.
            m.d.comb += [
                self.lost_fetch.eq(self.starved & ~self.operands_busy),
                self.lost_load.eq(~self.lost_fetch),
            ]
        with m.Elif(self.array_stall_semaphore):
            m.d.comb += self.lost_drain.eq(1)
        with m.Else():
            m.d.comb += self.lost_fill.eq(1)
        return m
