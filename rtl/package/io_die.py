"""IO die: requests of dies over the memory plane become reads and writes at an AXI4 manager port."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import exact_log2

from chiplet.machine.memory_plane import WRITE_ANSWER_BITS, packet_flits
from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.block import Block, place
from rtl.interface.axi import BURST_INCREMENT, CACHE_BUFFERABLE, AxiPort
from rtl.interface.isa import MEMORY_ADDRESS_BITS
from rtl.interface.link_shape import LinkShape
from rtl.lib.queue import Queue
from rtl.network.link import inversion
from rtl.network.packet import Packer, Unpacker, packed_layout, unpacked_layout
from rtl.network.router_output import RouterOutput
from rtl.network.side import LinkSide, attach
from rtl.package.memory_plane import Answer, message_layout
from rtl.package.read_bursts import ReadBursts, burst_layout, read_layout
from rtl.package.write_table import WriteTable

__all__ = ["WRITES_IN_FLIGHT", "IoDie"]

WRITES_IN_FLIGHT = 16
"""Most writes of an IO die that have no answer yet."""

_BURSTS = 4  # bursts that wait for memory, of as many dies or more
_RESPONSE_BITS = 2
_ANSWER_DEPTH = 2  # a word a cycle, without a path from one AXI signal to another within a cycle


class IoDie(Block):
    """End of the memory plane at the edge of the package.

    Ids are the places of dies in the row or column, so no table is needed to route answers, and memory may reorder the
    requests of different dies but not those of one die. Writes are single words. Reads of words that follow each other
    become bursts while they wait, see :class:`rtl.package.read_bursts.ReadBursts`. A read of a word with an unanswered
    write waits until the write is answered, since AXI does not order the two. What memory refuses (SLVERR, DECERR), the
    die that asked is told.

    Parameters
    ----------
    nop : NopSpec
        Flits of the plane; ids have ``coordinate_bits``.
    memory : MemorySpec
        Width of a word, which is that of the data bus.
    link : LinkShape or None
        Adapter at its link; without one, flits go from stream to stream.

    Members
    -------
    line : In(nop.coordinate_bits), along_col : In(1)
        Row of the dies that it serves, or column with ``along_col``. Constant.
    mem : Out(LinkSide)
        Its side of the link to the row or column.
    m_axi : Out(AxiPort)
        AXI4 manager port. Addresses are in bytes.
    error : Out(1)
        The link is dead.

    Raises
    ------
    ValueError
        If a word is wider than an AXI4 data bus.
    """

    def __init__(self, *, nop: NopSpec, memory: MemorySpec, link: LinkShape | None) -> None:
        self._nop, self._memory, self._link = nop, memory, link
        super().__init__(
            {
                "line": In(nop.coordinate_bits),
                "along_col": In(1),
                "mem": Out(LinkSide(nop=nop, link=link)),
                "m_axi": Out(AxiPort(nop=nop, memory=memory)),
                "error": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        return f"io_die_{self._memory.word_bytes}_in_{nop.flit_bits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        invert = inversion(m, self._link)
        side = attach(m, platform, "mem", self.mem, nop=self._nop, link=self._link, invert=invert)
        self._requests(m, platform, side.inward)
        self._answers(m, platform, side.outward)
        m.d.comb += self.error.eq(side.status.dead)
        return m

    def _requests(self, m: Module, platform: object, inward: Any) -> None:
        nop, word_bytes = self._nop, self._memory.word_bytes
        layout = message_layout(word_bytes)
        unpacker = Unpacker(nop=nop, bits=layout.size)
        table = WriteTable(
            entries=WRITES_IN_FLIGHT, address_bits=MEMORY_ADDRESS_BITS, id_bits=nop.coordinate_bits
        )
        place(m, platform, "unpacker", unpacker)
        bursts = ReadBursts(
            entries=_BURSTS,
            address_bits=MEMORY_ADDRESS_BITS,
            id_bits=nop.coordinate_bits,
            word_bytes=word_bytes,
            word_cycles=packet_flits(8 * word_bytes, nop),
        )
        place(m, platform, "writes", table)
        place(m, platform, "reads", bursts)
        received = unpacked_layout(nop, layout.size)(unpacker.o.payload)
        request = layout(received.data)
        write = Signal()  # a write is to be sent, and there is room in the table until it is
        address_sent = Signal()
        word_sent = Signal()
        address_done = Signal()
        word_done = Signal()
        connect(m, inward, unpacker.i)
        words = {"address_bits": MEMORY_ADDRESS_BITS, "id_bits": nop.coordinate_bits}
        read = Signal(read_layout(**words))
        burst = burst_layout(**words)(bursts.o.payload)
        m.d.comb += [
            read.id.eq(received.source),
            read.address.eq(request.address),
            bursts.i.payload.eq(read),
            bursts.i.valid.eq(unpacker.o.valid & ~request.write & ~table.hit),
            bursts.o.ready.eq(self.m_axi.arready),
            write.eq(unpacker.o.valid & request.write & ~table.full),
            self.m_axi.arvalid.eq(bursts.o.valid),
            self.m_axi.awvalid.eq(write & ~address_sent),
            self.m_axi.wvalid.eq(write & ~word_sent),
            address_done.eq(address_sent | self.m_axi.awready),
            word_done.eq(word_sent | self.m_axi.wready),
            unpacker.o.ready.eq((bursts.i.valid & bursts.i.ready) | (write & address_done & word_done)),
            table.address.eq(request.address),
            table.put.eq(write & address_done & word_done),
            table.put_address.eq(request.address),
            table.put_id.eq(received.source),
            table.done.eq(self.m_axi.bvalid & self.m_axi.bready),
            table.done_id.eq(self.m_axi.bid),
        ]
        with m.If(write):
            both = address_done & word_done
            m.d.sync += [address_sent.eq(address_done & ~both), word_sent.eq(word_done & ~both)]
        size = exact_log2(word_bytes)
        axi = self.m_axi
        m.d.comb += [
            axi.arid.eq(burst.id),
            axi.awid.eq(received.source),
            axi.araddr.eq(Cat(Const(0, size), burst.address)),
            axi.awaddr.eq(Cat(Const(0, size), request.address)),
            axi.arlen.eq(burst.length),
            axi.awlen.eq(0),
            *(signal.eq(size) for signal in (axi.arsize, axi.awsize)),
            *(signal.eq(BURST_INCREMENT) for signal in (axi.arburst, axi.awburst)),
            *(signal.eq(CACHE_BUFFERABLE) for signal in (axi.arcache, axi.awcache)),
            *(signal.eq(0) for signal in (axi.arprot, axi.awprot)),
        ]
        m.d.comb += [
            self.m_axi.wdata.eq(request.data),
            self.m_axi.wstrb.eq(Cat(strobe.replicate(4) for strobe in request.strobe)),
            self.m_axi.wlast.eq(1),
        ]

    def _answers(self, m: Module, platform: object, outward: Any) -> None:
        nop = self._nop
        word_bits = 8 * self._memory.word_bytes
        read = data.StructLayout({"id": nop.coordinate_bits, "response": _RESPONSE_BITS, "data": word_bits})
        write = data.StructLayout({"id": nop.coordinate_bits, "response": _RESPONSE_BITS})
        words = Queue(width=read.size, depth=_ANSWER_DEPTH)
        written = Queue(width=write.size, depth=_ANSWER_DEPTH)
        layout = packed_layout(nop, word_bits)
        # Words and answers to writes take turns: to the arbiter of a router, each message is a packet of one flit.
        turns = RouterOutput(width=layout.size + 1, sources=2)
        packer = Packer(nop=nop, bits=word_bits, short_bits=WRITE_ANSWER_BITS)
        for name, block in {"words": words, "written": written, "turns": turns, "packer": packer}.items():
            place(m, platform, name, block)
        word = read(words.o.payload)
        end = write(written.o.payload)
        refused = word.response[1]
        answers = {
            # The lowest bit of a refusal says whether it is one of a write.
            "words": (word, Answer.WORD, Cat(word.data[0] & ~refused, word.data[1:]), refused),
            "written": (end, Answer.WRITTEN, end.response[1], 1),
        }
        for number, (name, (from_memory, answer, contents, short)) in enumerate(answers.items()):
            message = Signal(layout, name=f"{name}_message")
            queue, sink = (words, written)[number], turns.i[number]
            response = from_memory.response
            m.d.comb += [
                message.data.eq(contents),
                message.col.eq(Mux(self.along_col, self.line, from_memory.id)),
                message.row.eq(Mux(self.along_col, from_memory.id, self.line)),
                # SLVERR and DECERR have the same codes here as in AXI4.
                message.source.eq(Mux(response[1], response, answer)),
                message.short.eq(short),
                sink.payload.eq(Cat(message, 1)),
                sink.valid.eq(queue.o.valid),
                queue.o.ready.eq(sink.ready),
            ]
        m.d.comb += [
            words.i.payload.eq(Cat(self.m_axi.rid, self.m_axi.rresp, self.m_axi.rdata)),
            words.i.valid.eq(self.m_axi.rvalid),
            self.m_axi.rready.eq(words.i.ready),
            written.i.payload.eq(Cat(self.m_axi.bid, self.m_axi.bresp)),
            written.i.valid.eq(self.m_axi.bvalid),
            self.m_axi.bready.eq(written.i.ready),
            packer.i.payload.eq(turns.o.payload[: layout.size]),
            packer.i.valid.eq(turns.o.valid),
            turns.o.ready.eq(packer.i.ready),
        ]
        connect(m, packer.o, outward)
