"""Arbiter of a die's memory port, which command processor, load unit and store unit share."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.memory_port import request_layout

__all__ = ["Arbiter"]


class Arbiter(Block):
    """Joins the requests of fetch, load and store: fetch first, load and store in turn.

    A request is registered before it leaves, so that it holds until it is taken.

    Parameters
    ----------
    word_bytes : int
        Width of the port.

    Members
    -------
    fetch, load, store : In(stream)
        Requests of the units.
    request : Out(stream)
        Requests to memory.
    idle : Out(1)
        No request waits to leave.
    """

    def __init__(self, *, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        request = stream.Signature(request_layout(word_bytes).size)
        super().__init__(
            {
                "fetch": In(request),
                "load": In(request),
                "store": In(request),
                "request": Out(request),
                "idle": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"arbiter_{self._word_bytes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        free = Signal()
        load_turn = Signal()
        pick_load = Signal()
        m.d.comb += [
            free.eq(~self.request.valid | self.request.ready),
            pick_load.eq(self.load.valid & (load_turn | ~self.store.valid)),
            self.fetch.ready.eq(free),
            self.load.ready.eq(free & ~self.fetch.valid & pick_load),
            self.store.ready.eq(free & ~self.fetch.valid & ~pick_load),
            self.idle.eq(~self.request.valid),
        ]
        with m.If(free):
            m.d.sync += self.request.valid.eq(self.fetch.valid | self.load.valid | self.store.valid)
            with m.If(self.fetch.valid | self.load.valid | self.store.valid):
                m.d.sync += self.request.payload.eq(
                    Mux(
                        self.fetch.valid,
                        self.fetch.payload,
                        Mux(pick_load, self.load.payload, self.store.payload),
                    )
                )
            with m.If(~self.fetch.valid & (self.load.valid | self.store.valid)):
                m.d.sync += load_turn.eq(~pick_load)
        return m
