"""Arbiter of a die's memory port, which command processor, load unit and store unit share."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.memory_port import MemoryPort, request_layout, response_layout

__all__ = ["Arbiter"]


class Arbiter(Block):
    """Joins the requests of fetch, load and store, fetch first, load and store in turn; parts the words that come.

    A request leaves in the cycle in which its unit makes it. One that memory does not take is kept, so that it holds
    until it is taken; the units wait meanwhile.

    Parameters
    ----------
    word_bytes : int
        Width of the port.

    Members
    -------
    fetch, load, store : In(stream)
        Requests of the units.
    fetched, loaded : Out(stream)
        The words that fetch and load have asked for.
    memory : Out(MemoryPort)
        Memory port of the die. Reads of the fetch have the tag 1.
    idle : Out(1)
        No request of a unit that is done waits to leave.
    """

    def __init__(self, *, word_bytes: int) -> None:
        self._word_bytes = word_bytes
        request = stream.Signature(request_layout(word_bytes).size)
        words = stream.Signature(8 * word_bytes)
        super().__init__(
            {
                "fetch": In(request),
                "load": In(request),
                "store": In(request),
                "fetched": Out(words),
                "loaded": Out(words),
                "memory": Out(MemoryPort(word_bytes)),
                "idle": Out(1),
            },
            names={"memory": ""},
        )

    @property
    def block_name(self) -> str:
        return f"arbiter_{self._word_bytes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = self.memory.request
        offered = Signal()
        held = Signal()
        chosen = Signal.like(request.payload)
        kept = Signal.like(request.payload)
        load_turn = Signal()
        pick_load = Signal()
        m.d.comb += [
            pick_load.eq(self.load.valid & (load_turn | ~self.store.valid)),
            offered.eq(self.fetch.valid | self.load.valid | self.store.valid),
            chosen.eq(
                Mux(
                    self.fetch.valid,
                    self.fetch.payload,
                    Mux(pick_load, self.load.payload, self.store.payload),
                )
            ),
            self.fetch.ready.eq(~held),
            self.load.ready.eq(~held & ~self.fetch.valid & pick_load),
            self.store.ready.eq(~held & ~self.fetch.valid & ~pick_load),
            request.valid.eq(held | offered),
            request.payload.eq(Mux(held, kept, chosen)),
            self.idle.eq(~held),
        ]
        m.d.sync += held.eq(request.valid & ~request.ready)
        with m.If(~held):
            m.d.sync += kept.eq(chosen)
            with m.If(~self.fetch.valid & (self.load.valid | self.store.valid)):
                m.d.sync += load_turn.eq(~pick_load)

        response = response_layout(self._word_bytes)(self.memory.response.payload)
        m.d.comb += [
            self.fetched.payload.eq(response.data),
            self.fetched.valid.eq(self.memory.response.valid & response.tag),
            self.loaded.payload.eq(response.data),
            self.loaded.valid.eq(self.memory.response.valid & ~response.tag),
            self.memory.response.ready.eq(Mux(response.tag, self.fetched.ready, self.loaded.ready)),
        ]
        return m
