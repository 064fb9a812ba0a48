"""Receive unit: what comes in by one side, into the exchange buffer or on to the opposite side, added to if asked."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec
from rtl.block import Block, place
from rtl.delay import Delay
from rtl.exchange import address_bits
from rtl.flit import flit_layout
from rtl.isa import COUNT_BITS, RECEIVE, SEMAPHORES
from rtl.mac import Adder
from rtl.queue import Queue
from rtl.word_reader import WordReader, exchange_depth, flits_per_word

__all__ = ["ReceiveUnit"]


class ReceiveUnit(Block):
    """A link to the exchange buffer. Each side of the die has one.

    A flit that is added to meets its own sums, which were read ahead, in the adders, one for each 32 bits; what comes
    out goes on in the next cycle, so a sum that walks along a row stays at each die for the adders' stages only. Sums
    that come to a die from both sides meet in one of its receive units, to which the other one hands its own.

    Parameters
    ----------
    die : DieSpec
        Type of the sums, stages of the adders.
    nop, memory : NopSpec, MemorySpec
        Flits, and words of the exchange buffer.

    Members
    -------
    command : In(stream)
        RECEIVE commands for this side.
    needs, needs_ok, take, post
        Semaphores, as in the array unit.
    i : In(stream)
        From the router's input of this side.
    read_valid, read_address, read_ready, read_data
        Read port of the exchange buffer.
    write_valid, write_address, write_strobe, write_data, write_ready
        Write port of the exchange buffer.
    forward : Out(stream)
        Data of a flit, and above it whether it ends a chunk, to the send unit of the opposite side.
    hand : Out(stream), join : In(stream)
        The same, to and from the receive unit of the opposite side.
    idle : Out(1)
        No command is here.
    active, stall_semaphore, flits : Out(1)
        For the counters: a command is here; it waits for semaphores; a flit comes.
    """

    def __init__(self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec) -> None:
        self._die, self._nop, self._memory = die, nop, memory
        self._per_word = flits_per_word(nop, memory)
        address = address_bits(exchange_depth(nop, memory))
        super().__init__(
            {
                "command": In(stream.Signature(RECEIVE.size)),
                "needs": Out(SEMAPHORES),
                "needs_ok": In(1),
                "take": Out(1),
                "post": Out(SEMAPHORES),
                "i": In(stream.Signature(flit_layout(nop).size)),
                "read_valid": Out(1),
                "read_address": Out(address),
                "read_ready": In(1),
                "read_data": In(8 * memory.word_bytes),
                "write_valid": Out(1),
                "write_address": Out(address),
                "write_strobe": Out(memory.word_bytes // 4),
                "write_data": Out(8 * memory.word_bytes),
                "write_ready": In(1),
                "forward": Out(stream.Signature(nop.flit_bits + 1)),
                "hand": Out(stream.Signature(nop.flit_bits + 1)),
                "join": In(stream.Signature(nop.flit_bits + 1)),
                "idle": Out(1),
                "active": Out(1),
                "stall_semaphore": Out(1),
                "flits": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        die, nop = self._die, self._nop
        size = f"{exchange_depth(nop, self._memory)}x{self._memory.word_bytes}"
        return f"receive_unit_{size}_{nop.flit_bits}_c{nop.coordinate_bits}_{die.dtype}_p{die.stages}"

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = Signal(RECEIVE)
        active, started = Signal(), Signal()
        go, over = Signal(), Signal()
        chunks = Signal(COUNT_BITS)  # that are not whole yet
        forwarded = Signal(COUNT_BITS)  # of these, how many go on
        flit = flit_layout(self._nop)(self.i.payload)

        # What goes on: the flit as it came, or its sum.
        value = Signal(self._nop.flit_bits + 1)
        valid, ready, forwards = Signal(), Signal(), Signal()
        last = Signal()
        reader = WordReader(nop=self._nop, memory=self._memory)
        place(m, platform, "reader", reader)
        sums = Queue(width=self._nop.flit_bits + 1, depth=self._die.stages + 2)
        place(m, platform, "sums", sums)
        adding = Signal()
        to_come = Signal(COUNT_BITS)  # chunks that have not come: the adders still have some when all have
        to_add = Signal(COUNT_BITS)  # of these, how many go on
        more = Signal()  # a chunk has still to come
        joins = Signal()  # the chunk that comes is added to what is handed over
        may_add, summed = self._elaborate_adders(m, platform, reader, sums, adding, more, joins, ready)
        passes = Signal()  # the chunk goes to the opposite side
        final_post = Mux(value[-1] & (chunks == 1), command.post, 0)
        writer_ready, written, written_post = self._elaborate_writer(
            m, command, go, last, value, valid & ~passes, command.word_post | final_post
        )
        with m.If(go):
            m.d.sync += [to_come.eq(command.chunks), to_add.eq(command.forwarded)]
        with m.Elif(self.i.valid & self.i.ready & flit.tail):
            m.d.sync += [to_come.eq(to_come - 1), to_add.eq(to_add - ~joins)]
        m.d.comb += [
            joins.eq(command.join & (to_add == 0)),
            adding.eq(started & (chunks != 0) & command.add),
            more.eq(to_come != 0),
            value.eq(Mux(command.add, summed[1:], Cat(flit.data, flit.tail))),
            valid.eq(started & (chunks != 0) & Mux(command.add, summed[0], self.i.valid)),
            self.i.ready.eq(started & (chunks != 0) & Mux(command.add, may_add, ready)),
            last.eq(valid & ready & value[-1]),
            forwards.eq(forwarded != 0),
            self.forward.payload.eq(value),
            self.forward.valid.eq(valid & forwards),
            self.hand.payload.eq(value),
            self.hand.valid.eq(valid & ~forwards & command.hand),
            ready.eq(Mux(forwards, self.forward.ready, Mux(command.hand, self.hand.ready, writer_ready))),
            self.needs.eq(Mux(started, Mux(reader.asks, command.word_wait, 0), command.wait)),
            reader.free.eq(command.forwarded),
            # A word of the last command that still waits has a post of its own.
            go.eq(active & ~started & self.needs_ok & (~self.write_valid | self.write_ready)),
            self.take.eq(go | reader.word_take),
            reader.load.eq(go & command.add),
            reader.base.eq(command.base),
            reader.pitch.eq(command.pitch),
            reader.chunks.eq(Mux(command.join, command.forwarded, command.chunks)),
            reader.flits.eq(command.flits),
            reader.word_ok.eq(started & self.needs_ok),
            self.read_valid.eq(reader.read_valid),
            self.read_address.eq(reader.read_address),
            reader.read_ready.eq(self.read_ready),
            reader.read_data.eq(self.read_data),
            over.eq(last & (chunks == 1)),
            passes.eq(forwards | command.hand),
            # What was written last is posted with its word, which may be after the next command has come.
            self.post.eq(Mux(written, written_post, 0) | Mux(over & passes, command.post, 0)),
            self.command.ready.eq(~active | over),
            self.idle.eq(~active & ~self.write_valid),
            self.active.eq(active),
            self.stall_semaphore.eq(active & (~started | reader.waiting) & ~self.needs_ok),
            self.flits.eq(self.i.valid & self.i.ready),
        ]
        with m.If(go):
            m.d.sync += started.eq(1)
        with m.If(last):
            m.d.sync += [chunks.eq(chunks - 1), forwarded.eq(forwarded - forwards)]
        with m.If(over):
            m.d.sync += [active.eq(0), started.eq(0)]
        with m.If(self.command.valid & self.command.ready):
            incoming = RECEIVE(self.command.payload)
            m.d.sync += [
                command.eq(incoming),
                active.eq(1),
                started.eq(0),
                chunks.eq(incoming.chunks),
                forwarded.eq(incoming.forwarded),
            ]
        return m

    def _elaborate_adders(
        self,
        m: Module,
        platform: object,
        reader: WordReader,
        sums: Queue,
        adding: Signal,
        more: Signal,
        joins: Signal,
        ready: Signal,
    ) -> tuple[Signal, Value]:
        """Add; return whether a flit can come, and the sum: whether there is one, its bits, whether it is a tail.

        The sum is that of this cycle if none waits.
        """
        stages = self._die.stages
        flit = flit_layout(self._nop)(self.i.payload)
        most = stages + 2
        held = Signal(range(most + 1))  # sums that are in the adders, or wait behind them
        may_add = Signal()
        take, given = Signal(), Signal()
        kind = Delay(width=2, cycles=stages, reset_less=False)
        place(m, platform, "kind", kind)
        results = []
        for n in range(self._nop.flit_bits // 32):
            adder = Adder(dtype=self._die.dtype, stages=stages)
            place(m, platform, f"adder_{n}", adder)
            m.d.comb += [
                adder.a.eq(flit.data.word_select(n, 32)),
                adder.b.eq(Mux(joins, self.join.payload, reader.o.payload).word_select(n, 32)),
            ]
            results.append(adder.o)
        comes = kind.o[0]
        result = Cat(*results, kind.o[1])
        m.d.comb += [
            # Apart from the unit's ready, which may depend on that of who takes the sums.
            may_add.eq(more & Mux(joins, self.join.valid, reader.o.valid) & (held != most)),
            take.eq(adding & self.i.valid & may_add),
            reader.o.ready.eq(take & ~joins),
            self.join.ready.eq(take & joins),
            kind.i.eq(Cat(take, flit.tail)),
            sums.i.payload.eq(result),
            sums.i.valid.eq(comes & ~(ready & ~sums.o.valid)),
            sums.o.ready.eq(adding & ready),
            given.eq(adding & ready & (comes | sums.o.valid)),
        ]
        m.d.sync += held.eq(held + take - given)
        return may_add, Cat(comes | sums.o.valid, Mux(sums.o.valid, sums.o.payload, result))

    def _elaborate_writer(
        self, m: Module, command: Signal, go: Signal, last: Signal, value: Signal, valid: Value, post: Value
    ) -> tuple[Signal, Signal, Signal]:
        """Collect flits in words; return whether a flit can come, whether a word is written now, and what it posts."""
        nop, per_word = self._nop, self._per_word
        chunk = Signal(BUFFER_ADDRESS_BITS)  # address of the chunk, when they come one after the other
        following = Signal(BUFFER_ADDRESS_BITS)  # address of the next word of this chunk
        address = Signal(BUFFER_ADDRESS_BITS)
        in_chunk = Signal()
        index = Signal(range(max(per_word, 2)))
        collected = Signal(8 * self._memory.word_bytes, reset_less=True)
        word = Signal.like(collected)
        ready, accept, whole, written = Signal(name="writer_ready"), Signal(), Signal(), Signal()
        write_post = Signal(SEMAPHORES)
        flit = flit_layout(nop)(self.i.payload)
        first = Mux(command.by_source, command.base + flit.source * command.pitch, chunk)
        tail = value[-1]
        m.d.comb += [
            ready.eq(~self.write_valid | self.write_ready),
            accept.eq(valid & ready),
            whole.eq(tail | (index == per_word - 1)),
            address.eq(Mux(in_chunk, following, first)),
            written.eq(self.write_valid & self.write_ready),
            word.eq(
                Cat(
                    Mux(index == n, value[:-1], collected.word_select(n, nop.flit_bits))
                    for n in range(per_word)
                )
            ),
        ]
        with m.If(written):
            m.d.sync += self.write_valid.eq(0)
        with m.If(accept):
            m.d.sync += [
                collected.eq(word),
                in_chunk.eq(~tail),
                following.eq(address + whole),
                index.eq(Mux(whole, 0, index + 1)),
            ]
            with m.If(whole):
                m.d.sync += [
                    self.write_valid.eq(1),
                    write_post.eq(post),
                    self.write_address.eq(address),
                    self.write_data.eq(word),
                    self.write_strobe.eq(
                        Cat((index >= n).replicate(nop.flit_bits // 32) for n in range(per_word))
                    ),
                ]
        with m.If(go):
            m.d.sync += chunk.eq(command.base)
        with m.Elif(last):
            m.d.sync += chunk.eq(chunk + command.pitch)
        return ready, written, write_post
