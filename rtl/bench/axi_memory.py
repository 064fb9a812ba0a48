"""Bench-only memory behind an AXI4 manager port, with bursts of reads, which overtake writes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, connect, flipped
from amaranth.utils import exact_log2

from chiplet.machine.queue_depths import COMMAND_READS
from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.bench.memory import BenchMemory, MemorySettings
from rtl.block import Block, place
from rtl.interface.axi import AxiPort
from rtl.interface.memory_port import request_layout, response_layout
from rtl.lib.queue import Queue

__all__ = ["AxiBenchMemory"]

WRITES_WAITING = 4


class AxiBenchMemory(Block):
    """Word memory with an AXI4 subordinate port for writes of one word and reads of bursts.

    Reads overtake writes that have not been answered, so a manager that relies on their order without waiting for
    answers reads old words. The words are in the block ``memory``, a :class:`rtl.bench.memory.BenchMemory`. What is
    beyond them is answered with DECERR.

    Parameters
    ----------
    nop, memory : NopSpec, MemorySpec
        Widths of ids and words; reads that the memory keeps in flight.
    depth : int
        Words.

    Members
    -------
    s_axi : In(AxiPort)
        AXI4 subordinate port.
    settings : In(MemorySettings)
        As those of the bench memory.
    """

    def __init__(self, *, nop: NopSpec, memory: MemorySpec, depth: int) -> None:
        self._nop, self._memory, self._depth = nop, memory, depth
        super().__init__(
            {
                "s_axi": In(AxiPort(nop=nop, memory=memory)),
                "settings": In(MemorySettings()),
            },
            names={"settings": ""},
        )

    @property
    def block_name(self) -> str:
        memory = self._memory
        size = f"{self._depth}x{memory.word_bytes}_{memory.outstanding}"
        return f"bench_axi_memory_{size}_c{self._nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bytes, id_bits = self._memory.word_bytes, self._nop.coordinate_bits
        shift = exact_log2(word_bytes)
        outstanding = self._memory.outstanding
        memory = BenchMemory(word_bytes=word_bytes, depth=self._depth, outstanding=outstanding)
        layout = request_layout(word_bytes)
        address = data.StructLayout({"id": id_bits, "address": len(self.s_axi.awaddr) - shift})
        word = data.StructLayout({"data": 8 * word_bytes, "strobe": word_bytes // 4})
        answer = data.StructLayout({"id": id_bits, "last": 1, "missing": 1})
        blocks = {
            "memory": memory,
            "addresses": (addresses := Queue(width=address.size, depth=WRITES_WAITING)),
            "words": (words := Queue(width=word.size, depth=WRITES_WAITING)),
            "written": (written := Queue(width=answer.size, depth=WRITES_WAITING)),
            "readers": (readers := Queue(width=answer.size, depth=outstanding + COMMAND_READS)),
        }
        for name, block in blocks.items():
            place(m, platform, name, block)
        connect(m, flipped(self.settings), memory.settings)
        m.d.comb += [
            addresses.i.payload.eq(Cat(self.s_axi.awid, self.s_axi.awaddr[shift:])),
            addresses.i.valid.eq(self.s_axi.awvalid),
            self.s_axi.awready.eq(addresses.i.ready),
            words.i.payload.eq(Cat(self.s_axi.wdata, self.s_axi.wstrb[::4])),
            words.i.valid.eq(self.s_axi.wvalid),
            self.s_axi.wready.eq(words.i.ready),
        ]

        write_address, write_word = address(addresses.o.payload), word(words.o.payload)
        request = Signal(layout)
        write = Signal()  # a write is requested, and no read, or the write was requested first
        held = Signal()
        read = Signal()
        beat = Signal.like(self.s_axi.arlen)  # words of the burst that have been asked for
        last_beat = Signal()
        read_address = Signal.like(write_address.address)
        wanted = Signal.like(read_address)
        missing = Signal()
        reader, writer = Signal(answer), Signal(answer)
        m.d.comb += [
            last_beat.eq(beat == self.s_axi.arlen),
            read_address.eq(self.s_axi.araddr[shift:] + beat),
            missing.eq(wanted >= self._depth),
            reader.id.eq(self.s_axi.arid),
            reader.last.eq(last_beat),
            reader.missing.eq(missing),
            writer.id.eq(write_address.id),
            writer.missing.eq(missing),
            read.eq(self.s_axi.arvalid & readers.i.ready & ~held),
            write.eq(addresses.o.valid & words.o.valid & written.i.ready & ~read),
            request.write.eq(write),
            wanted.eq(Mux(write, write_address.address, read_address)),
            request.address.eq(Mux(missing, 0, wanted)),
            request.strobe.eq(Mux(missing, 0, write_word.strobe)),
            request.data.eq(write_word.data),
            memory.port.request.payload.eq(request),
            memory.port.request.valid.eq(read | write),
            # A burst stays at the port until its last word has been asked for.
            self.s_axi.arready.eq(memory.port.request.ready & readers.i.ready & ~held & last_beat),
            readers.i.payload.eq(reader),
            readers.i.valid.eq(read & memory.port.request.ready),
            addresses.o.ready.eq(write & memory.port.request.ready),
            words.o.ready.eq(write & memory.port.request.ready),
            written.i.payload.eq(writer),
            written.i.valid.eq(write & memory.port.request.ready),
        ]
        m.d.sync += held.eq(write & ~memory.port.request.ready)
        with m.If(readers.i.valid & readers.i.ready):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))

        of_read, of_write = answer(readers.o.payload), answer(written.o.payload)
        m.d.comb += [
            self.s_axi.bid.eq(of_write.id),
            self.s_axi.bresp.eq(of_write.missing.replicate(2)),
            self.s_axi.bvalid.eq(written.o.valid),
            written.o.ready.eq(self.s_axi.bready),
            self.s_axi.rid.eq(of_read.id),
            self.s_axi.rresp.eq(of_read.missing.replicate(2)),
            self.s_axi.rlast.eq(of_read.last),
            self.s_axi.rdata.eq(response_layout(word_bytes)(memory.port.response.payload).data),
            self.s_axi.rvalid.eq(memory.port.response.valid),
            memory.port.response.ready.eq(self.s_axi.rready),
            readers.o.ready.eq(memory.port.response.valid & self.s_axi.rready),
        ]
        return m
