"""Receive unit: brings the flits of one side to the scratchpad, a send unit, or both, and may add to them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.chunks import words_per_flit
from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.block import Block, place
from rtl.compute.mac import Adder
from rtl.engine.chunk_reader import ChunkReader
from rtl.engine.chunk_writer import WORD_POSTS, ChunkWriter
from rtl.interface.flit import flit_layout
from rtl.interface.isa import COUNT_BITS, RECEIVE
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort, lane_names
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.delay import Delay
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["ReceiveUnit"]


class ReceiveUnit(Block):
    """From a link to the scratchpad. Each side of the die has one.

    A flit can be forwarded in the cycle in which it arrives. If the die adds to it, the local sums have been read ahead
    and meet it in the adders, one for each 32 bits; the result is forwarded at once. So a sum that passes through many
    dies spends only the adders' stages at each. Sums that arrive from both sides are added in one of the two receive
    units, to which the other one hands over its own. Flits that cannot be forwarded at once wait in a queue, which does
    not hold up writes. A command with ``by_source`` begins when everything that earlier commands forward has left: it
    may take copies of packets that pass by the die, which must not overtake what waits here.

    Parameters
    ----------
    die : DieSpec
        Type of the sums, stages of the adders.
    nop, memory : NopSpec, MemorySpec
        Flits, and words of the scratchpad.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    command : In(stream)
        RECEIVE commands for this side.
    semaphores : Out(SemaphorePort)
        Semaphores that its commands wait for and post.
    i : In(stream)
        From the router's input of this side.
    read : Out(ScratchpadReadPort).array(words of a flit, at least 1)
        Read ports of the scratchpad.
    write : Out(ScratchpadWritePort).array(words of a flit, at least 1)
        Write ports of the scratchpad.
    forward, turn : Out(stream)
        Data of a flit, and above it whether it ends a chunk, to the send unit of the opposite side, and of this side.
    hand : Out(stream), join : In(stream)
        The same, to and from the receive unit of the opposite side.
    idle, beyond : Out(1)
        No command is here; a word beyond the scratchpad is asked for, or is not written.
    active, stall_semaphore, flits : Out(1)
        For the counters: a command is here; it waits for semaphores; a flit comes.
    """

    def __init__(
        self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, sram_latency: int = SRAM_LATENCY
    ) -> None:
        self._latency = sram_latency
        self._die, self._nop, self._memory = die, nop, memory
        lanes = words_per_flit(nop, memory)
        onward = stream.Signature(nop.flit_bits + 1)
        super().__init__(
            {
                "command": In(stream.Signature(RECEIVE.size)),
                "semaphores": Out(SemaphorePort(of_unit=True)),
                "i": In(stream.Signature(flit_layout(nop).size)),
                "read": Out(
                    ScratchpadReadPort(depth=scratchpad_depth(die, memory, nop), word_bytes=memory.word_bytes)
                ).array(lanes),
                "write": Out(
                    ScratchpadWritePort(
                        depth=scratchpad_depth(die, memory, nop), word_bytes=memory.word_bytes
                    )
                ).array(lanes),
                "forward": Out(onward),
                "turn": Out(onward),
                "hand": Out(onward),
                "join": In(onward),
                "idle": Out(1),
                "beyond": Out(1),
                "active": Out(1),
                "stall_semaphore": Out(1),
                "flits": Out(1),
            },
            names={
                "semaphores": "",
                "read": lane_names("read", lanes),
                "write": lane_names("write", lanes),
            },
        )

    @property
    def block_name(self) -> str:
        die, nop = self._die, self._nop
        size = f"{scratchpad_depth(die, self._memory, nop)}x{self._memory.word_bytes}"
        name = f"receive_unit_{size}_{nop.flit_bits}_c{nop.coordinate_bits}_{die.dtype}_p{die.stages}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = Signal(RECEIVE)
        active = Signal()
        started = Signal()
        go = Signal()
        over = Signal()
        chunks = Signal(COUNT_BITS)  # that are not whole yet
        forwarded = Signal(COUNT_BITS)  # of these, how many go on
        to_come = Signal(COUNT_BITS)  # chunks that have not come: the adders still have some when all have
        to_add = Signal(COUNT_BITS)  # of these, how many go on
        flit = flit_layout(self._nop)(self.i.payload)
        reader = ChunkReader(die=self._die, nop=self._nop, memory=self._memory, sram_latency=self._latency)
        place(m, platform, "reader", reader)
        for lane, port in zip(reader.read, self.read, strict=True):
            connect(m, lane, flipped(port))

        # To write or pass on: the flit as it came, or its sum; and whether it ends a chunk.
        value = Signal(self._nop.flit_bits + 1)
        valid = Signal()
        ready = Signal()
        last = Signal()
        final_chunk = Signal()
        adding = Signal()
        more = Signal()
        joins = Signal()  # the chunk that comes is added to what is handed over
        may_add, summed = self._elaborate_adders(m, platform, reader, adding, more, joins, ready)
        forwards = Signal()
        sends = Signal()
        hands = Signal()
        writes = Signal()
        onward_valid = Signal()
        onward_ready, onward_over, onward_empty = self._elaborate_onward(
            m, platform, Cat(value, hands, command.turn), onward_valid
        )
        writer = ChunkWriter(die=self._die, nop=self._nop, memory=self._memory)
        place(m, platform, "writer", writer)
        for lane, port in zip(writer.write, self.write, strict=True):
            connect(m, lane, flipped(port))
        writing = Cat(port.valid for port in self.write).any()
        post = Signal(WORD_POSTS)
        posted = WORD_POSTS(writer.written_post)
        written = [posted[name] for name in WORD_POSTS.members]
        m.d.comb += [
            writer.load.eq(go),
            *(
                getattr(writer, name).eq(command[name])
                for name in ("base", "pitch", "lap", "wrap", "by_source")
            ),
            writer.source.eq(flit.source),
            writer.i.payload.eq(value),
            post.word_post.eq(Mux(forwards | (command.keep == 0), command.word_post, 0)),
            post.post_0.eq(Mux(final_chunk, command.post_0, 0)),
            post.post_1.eq(Mux(final_chunk, command.post_1, 0)),
            writer.post.eq(post),
            writer.chunk.eq(last),
        ]
        m.d.comb += [
            joins.eq(command.join & (to_add == 0)),
            adding.eq(started & (chunks != 0) & command.add),
            more.eq(to_come != 0),
            value.eq(Mux(command.add, summed[1:], Cat(flit.data, flit.tail))),
            # The last written word posts when it is written, and no other post may come in that cycle.
            valid.eq(
                started
                & (chunks != 0)
                & Mux(command.add, summed[0], self.i.valid)
                & ~(final_chunk & ~writes & writing)
            ),
            self.i.ready.eq(started & (chunks != 0) & Mux(command.add, may_add, ready)),
            forwards.eq(forwarded != 0),
            sends.eq(forwards & (command.keep != 2)),
            hands.eq(~forwards & command.hand),
            writes.eq(~hands & (~forwards | (command.keep != 0))),
            onward_valid.eq(valid & (sends | hands) & (~writes | writer.i.ready)),
            writer.i.valid.eq(valid & writes & (~sends | onward_ready)),
            ready.eq(
                (~(sends | hands) | onward_ready)
                & (~writes | writer.i.ready)
                & ~(final_chunk & ~writes & writing)
            ),
            final_chunk.eq(value[-1] & (chunks == 1)),
            last.eq(valid & ready & value[-1]),
            over.eq(last & final_chunk),
            self.semaphores.wait.eq(
                Mux(
                    started,
                    Mux(reader.asks, semaphore_mask(command.word_wait), 0),
                    semaphore_mask(command.wait_0, command.wait_1),
                )
            ),
            go.eq(active & ~started & self.semaphores.ok & (onward_over | ~command.by_source)),
            self.semaphores.take.eq(go | reader.word_take),
            reader.load.eq(go & command.add),
            reader.base.eq(command.base),
            reader.pitch.eq(command.pitch),
            reader.lap.eq(command.lap),
            reader.wrap.eq(command.wrap),
            reader.chunks.eq(Mux(command.join, command.forwarded, command.chunks)),
            reader.flits.eq(command.flits),
            reader.free.eq(command.forwarded),
            reader.word_ok.eq(started & self.semaphores.ok),
            self.semaphores.post.eq(
                Mux(writer.written, semaphore_mask(*written), 0)
                | Mux(over & ~writes, semaphore_mask(command.post_0, command.post_1), 0)
            ),
            self.command.ready.eq(~active | over),
            self.idle.eq(~active & ~writing & onward_empty),
            self.beyond.eq(reader.beyond | writer.beyond),
            self.active.eq(active),
            self.stall_semaphore.eq(active & (~started | reader.waiting) & ~self.semaphores.ok),
            self.flits.eq(self.i.valid & self.i.ready),
        ]
        with m.If(go):
            m.d.sync += [started.eq(1), to_come.eq(command.chunks), to_add.eq(command.forwarded)]
        with m.Elif(self.i.valid & self.i.ready & flit.tail):
            m.d.sync += [to_come.eq(to_come - 1), to_add.eq(to_add - (to_add != 0))]
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
        reader: ChunkReader,
        adding: Signal,
        more: Signal,
        joins: Signal,
        ready: Signal,
    ) -> tuple[Signal, Value]:
        """Place the adders; return whether a flit can come, and the sum: whether there is one, its bits, and whether it
        ends a chunk. It is the oldest sum that waits, or else the one that leaves the adders in this cycle.
        """
        stages = self._die.stages
        flit = flit_layout(self._nop)(self.i.payload)
        most = stages + 2
        held = Signal(range(most + 1))  # sums that are in the adders, or wait behind them
        may_add = Signal()
        take = Signal()
        given = Signal()
        kind = Delay(width=2, cycles=stages, reset_less=False)
        place(m, platform, "kind", kind)
        sums = Queue(width=self._nop.flit_bits + 1, depth=most)
        place(m, platform, "sums", sums)
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
            # Independent of ``ready``, which may depend on the ready of the unit that takes the sums.
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

    def _elaborate_onward(
        self, m: Module, platform: object, entry: Value, valid: Signal
    ) -> tuple[Value, Value, Value]:
        """Pass flits on. An ``entry`` is a flit, whether it is handed over, and whether it turns.

        Return whether an entry can come, whether no entry waits to be sent on, and whether no entry waits at all.
        """
        queue = Queue(width=len(entry), depth=QUEUED_FLITS)
        place(m, platform, "onward", queue)
        first = Signal(len(entry), name="onward_first")
        there = Signal(name="onward_there")
        taken = Signal(name="onward_taken")
        hands, turns = first[-2], first[-1]
        m.d.comb += [
            # An entry enters the queue only if it is not taken at once.
            first.eq(Mux(queue.o.valid, queue.o.payload, entry)),
            there.eq(queue.o.valid | valid),
            queue.i.payload.eq(entry),
            queue.i.valid.eq(valid & (queue.o.valid | ~taken)),
            queue.o.ready.eq(taken),
            *(port.payload.eq(first[:-2]) for port in (self.forward, self.turn, self.hand)),
            self.hand.valid.eq(there & hands),
            self.turn.valid.eq(there & ~hands & turns),
            self.forward.valid.eq(there & ~hands & ~turns),
            taken.eq(Mux(hands, self.hand.ready, Mux(turns, self.turn.ready, self.forward.ready))),
        ]
        # Entries that are handed over come after all that are sent on.
        return queue.i.ready, ~queue.o.valid | hands, ~queue.o.valid
