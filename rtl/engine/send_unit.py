"""Send unit: sends the packets of one side, from the scratchpad or directly from a receive unit that forwards."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.chunks import words_per_flit
from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.block import Block, place
from rtl.engine.chunk_reader import ChunkReader
from rtl.interface.flit import flit_layout
from rtl.interface.isa import COUNT_BITS, SEND
from rtl.interface.scratchpad_port import ScratchpadReadPort, lane_names
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.sram import with_latency

__all__ = ["SendUnit"]


class SendUnit(Block):
    """From the scratchpad to a link. Each side of the die has one.

    Parameters
    ----------
    nop, memory : NopSpec, MemorySpec
        Flits, and words of the scratchpad.
    along_row : bool
        Whether it sends to the east or the west: its targets are columns then, otherwise rows.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the die.
    command : In(stream)
        SEND commands for this side.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    read : Out(ScratchpadReadPort).array(words of a flit, at least 1)
        Read ports of the scratchpad.
    forward, turn : In(stream)
        Data of a flit, and above it whether it ends a chunk, from the receive unit of the opposite side, and of this
        one.
    o : Out(stream)
        To the router's output of this side.
    idle, beyond : Out(1)
        No command is here; a word beyond the scratchpad is asked for.
    active, stall_semaphore, stall_link, flits : Out(1)
        For the counters: a command is here; it waits for semaphores; a flit is not taken; a flit leaves.
    """

    def __init__(
        self,
        *,
        die: DieSpec,
        nop: NopSpec,
        memory: MemorySpec,
        along_row: bool,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        self._latency = sram_latency
        self._die, self._nop, self._memory, self._along_row = die, nop, memory, along_row
        lanes = words_per_flit(nop, memory)
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "command": In(stream.Signature(SEND.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "read": Out(
                    ScratchpadReadPort(depth=scratchpad_depth(die, memory, nop), word_bytes=memory.word_bytes)
                ).array(lanes),
                "forward": In(stream.Signature(nop.flit_bits + 1)),
                "turn": In(stream.Signature(nop.flit_bits + 1)),
                "o": Out(stream.Signature(flit_layout(nop).size)),
                "idle": Out(1),
                "beyond": Out(1),
                "active": Out(1),
                "stall_semaphore": Out(1),
                "stall_link": Out(1),
                "flits": Out(1),
            },
            names={"semaphores": "", "read": lane_names("read", lanes)},
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        line = "row" if self._along_row else "column"
        depth = scratchpad_depth(self._die, self._memory, nop)
        size = f"{depth}x{self._memory.word_bytes}"
        name = f"send_unit_{line}_{size}_{nop.flit_bits}_c{nop.coordinate_bits}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reader = ChunkReader(die=self._die, nop=self._nop, memory=self._memory, sram_latency=self._latency)
        place(m, platform, "reader", reader)
        for lane, port in zip(reader.read, self.read, strict=True):
            connect(m, lane, flipped(port))
        command = Signal(SEND)
        active = Signal()
        started = Signal()
        loaded = Signal()  # the reader has begun
        chunks = Signal(COUNT_BITS)  # that have not left yet
        own_left = Signal(COUNT_BITS)  # how many of these are the die's own, out of the scratchpad
        forwards = Signal()  # the chunk is one that is forwarded
        coming = Signal()
        coming_ready = Signal()
        go = Signal()
        sent = Signal()
        over = Signal()
        flit = flit_layout(self._nop)
        own, ahead = (self.col, self.row) if self._along_row else (self.row, self.col)
        target = Signal.like(own)
        outgoing = Signal(flit)
        source = Signal(self._nop.flit_bits + 1)
        m.d.comb += [
            # The semaphores of the command first, then those of each word.
            self.semaphores.wait.eq(
                Mux(
                    started,
                    Mux(reader.asks, semaphore_mask(command.word_wait), 0),
                    semaphore_mask(command.wait_0, command.wait_1),
                )
            ),
            go.eq(active & ~started & self.semaphores.ok),
            self.semaphores.take.eq(go | reader.word_take),
            reader.load.eq(active & ~loaded & (go | command.ahead)),
            reader.base.eq(command.base),
            reader.pitch.eq(command.pitch),
            reader.lap.eq(command.lap),
            reader.wrap.eq(command.wrap),
            reader.chunks.eq(Mux(command.forward, command.own, command.chunks)),
            reader.free.eq(command.own),
            reader.flits.eq(command.flits),
            reader.word_ok.eq(started & self.semaphores.ok),
            target.eq(command.target),
            forwards.eq(command.forward & (own_left == 0)),
            source.eq(
                Mux(forwards, Mux(command.turn, self.turn.payload, self.forward.payload), reader.o.payload)
            ),
            outgoing.data.eq(source),
            outgoing.row.eq(ahead if self._along_row else target),
            outgoing.col.eq(target if self._along_row else ahead),
            outgoing.source.eq(own),
            outgoing.copy.eq(command.copy),
            outgoing.engine.eq(1),
            outgoing.tail.eq(source[-1]),
            self.o.payload.eq(outgoing),
            coming.eq(Mux(command.turn, self.turn.valid, self.forward.valid)),
            self.o.valid.eq(started & Mux(forwards, coming, reader.o.valid)),
            coming_ready.eq(started & forwards & self.o.ready),
            self.forward.ready.eq(coming_ready & ~command.turn),
            self.turn.ready.eq(coming_ready & command.turn),
            reader.o.ready.eq(started & ~forwards & self.o.ready),
            sent.eq(self.o.valid & self.o.ready),
            over.eq(sent & source[-1] & (chunks == 1)),
            self.semaphores.post.eq(Mux(over, semaphore_mask(command.post_0, command.post_1), 0)),
            self.command.ready.eq(~active | over),
            self.idle.eq(~active),
            self.beyond.eq(reader.beyond),
            self.active.eq(active),
            self.stall_semaphore.eq(active & (~started | reader.waiting) & ~self.semaphores.ok),
            self.stall_link.eq(self.o.valid & ~self.o.ready),
            self.flits.eq(sent),
        ]
        with m.If(go):
            m.d.sync += started.eq(1)
        with m.If(reader.load):
            m.d.sync += loaded.eq(1)
        with m.If(sent & source[-1]):
            m.d.sync += [chunks.eq(chunks - 1), own_left.eq(own_left - (own_left != 0))]
        with m.If(over):
            m.d.sync += [active.eq(0), started.eq(0)]
        with m.If(self.command.valid & self.command.ready):
            incoming = SEND(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                started.eq(0),
                loaded.eq(0),
                chunks.eq(incoming.chunks),
                own_left.eq(incoming.own),
            ]
        return m
