"""Die-to-die link adapter: flits in frames with numbers and a CRC, replayed until they have arrived."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block, Bundle, place
from rtl.interface.link_shape import LinkShape
from rtl.lib.crc import Crc

__all__ = ["LinkPort", "Wires"]


class Wires(Bundle):
    """Wires of one direction of a link: ``wires``, of ``shape.wires`` bits."""

    def __init__(self, shape: LinkShape) -> None:
        super().__init__({"wires": Out(shape.wires)}, names={"wires": ""})


class LinkPort(Block):
    """One end of a link, both directions. Two of them, connected by wires, carry two streams in order and without
    errors, whichever bits the wires flip.

    A frame leaves in every frame time, with or without a flit. It carries the number of its flit, or of the next one
    to come; the next number that this side expects; how many flits have left its receive buffer; and a CRC. Frames
    report state, not events, and the next frame reports it again: a lost frame does no harm.

    - A flit that was sent stays in the replay buffer until it has left the other side's receive buffer. Both buffers
      have the same size, so the receive buffer has room for every flit that comes.
    - The turn of a direction is a bit. A receiver takes frames of the turn that it wants. If the number of such a
      frame is not the expected one, a flit is missing, and it wants the other turn. The sender then goes back to the
      expected number, and its frames are of the other turn from then on. So it goes back once for a loss, after exactly
      one round trip, and needs no timer. A bad frame without a flit costs nothing.
    - Without a good frame for ``timeout_cycles``, or without progress of the flits sent for as long, the link is dead:
      nothing more is taken or sent, so the other side has no good frame either. What had arrived is still delivered.

    The lowest phit of a frame goes first. If a frame has several phits, an extra wire marks the first of them; the
    receiver counts from that mark, and follows when it moves. So neither the latency of the wires nor the cycle in
    which a side leaves the reset needs to be known. Both sides have one clock.

    Nothing but registers drives ``tx``, ``o``, and ready of ``i``.

    Parameters
    ----------
    shape : LinkShape
        Widths and buffers; :meth:`rtl.interface.link_shape.LinkShape.of` has those of a system.

    Members
    -------
    i : In(stream(shape.width)), o : Out(stream(shape.width))
        Flits from and to the router.
    tx : Out(Wires), rx : In(Wires)
        Wires to and from the other side. The highest one marks the first of several phits.
    up, dead : Out(1)
        A good frame has come since the reset, and the link is not dead; the link is dead, until the reset.
    sent, received, replayed, crc_error : Out(1)
        In this cycle a flit was taken from ``i``, or put into the receive buffer; a flit is sent again; a frame was
        bad. Bad frames before the first good one do not count.
    """

    def __init__(self, *, shape: LinkShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "i": In(stream.Signature(shape.width)),
                "o": Out(stream.Signature(shape.width)),
                "tx": Out(Wires(shape)),
                "rx": In(Wires(shape)),
                "up": Out(1),
                "dead": Out(1),
                "sent": Out(1),
                "received": Out(1),
                "replayed": Out(1),
                "crc_error": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"link_port_{self._shape.text}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self._shape
        number = shape.number_bits

        # Sending: the number of the flit to send next, that of the next one to take, and those that the other side
        # reports: expected next, and oldest in its receive buffer.
        send, taken, arrived, left = (
            Signal(number, name=name) for name in ("send", "taken", "arrived", "left")
        )
        turn = Signal()
        # Receiving: the number expected, and that of the oldest flit in the receive buffer.
        expected = Signal(number)
        freed = Signal(number)
        wanted = Signal()

        frame = Signal(shape.layout)
        starts = self._transmit(m, platform, frame)
        replay, replay_address = self._buffer(m, "replay", self.i.payload, taken, self.sent)
        again = Signal()
        m.d.comb += [
            again.eq(send != taken),
            replay_address.eq(send[: len(replay_address)]),
            self.i.ready.eq(starts & ~again & ~(taken - left)[number - 1] & ~self.dead),
            self.sent.eq(self.i.valid & self.i.ready),
            self.replayed.eq(starts & again & ~self.dead),
            frame.valid.eq(self.sent | self.replayed),
            frame.flit.eq(Mux(self.sent, self.i.payload, Mux(self.replayed, replay, 0))),
            frame.number.eq(send),
            frame.expected.eq(expected),
            frame.freed.eq(freed),
            frame.turn.eq(turn),
            frame.wanted.eq(wanted),
        ]
        m.d.sync += [taken.eq(taken + self.sent), send.eq(send + frame.valid)]

        incoming = Signal(shape.layout, name="found")
        good = self._receive(m, platform, incoming)
        oldest, oldest_address = self._buffer(m, "receive", incoming.flit, expected, self.received)
        m.d.comb += [
            self.received.eq(
                good & (incoming.turn == wanted) & (incoming.number == expected) & incoming.valid
            ),
            oldest_address.eq(freed[: len(oldest_address)]),
            self.o.valid.eq(freed != expected),
            self.o.payload.eq(oldest),
        ]
        m.d.sync += [
            expected.eq(expected + self.received),
            freed.eq(freed + (self.o.valid & self.o.ready)),
        ]
        with m.If(good):
            m.d.sync += [self.up.eq(1), arrived.eq(incoming.expected), left.eq(incoming.freed)]
            with m.If(incoming.wanted != turn):
                m.d.sync += [turn.eq(incoming.wanted), send.eq(incoming.expected)]
            with m.If((incoming.turn == wanted) & (incoming.number != expected)):
                m.d.sync += wanted.eq(~wanted)

        quiet = Signal(range(shape.timeout_cycles))  # cycles without progress
        with m.If(good & ((incoming.expected == taken) | (incoming.expected != arrived))):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet == shape.timeout_cycles - 1):
            m.d.sync += [self.up.eq(0), self.dead.eq(1)]
        with m.Else():
            m.d.sync += quiet.eq(quiet + 1)
        return m

    def _buffer(self, m: Module, name: str, word: Value, number: Value, write: Value) -> tuple[Value, Signal]:
        """Place a buffer that writes ``word`` at index ``number``; return its read port: the word, and the address."""
        depth = self._shape.depth
        words = m.submodules[name] = memory.Memory(shape=unsigned(self._shape.width), depth=depth, init=[])
        put, get = words.write_port(), words.read_port(domain="comb")
        address = Signal(max(1, self._shape.number_bits - 1), name=f"{name}_address")
        m.d.comb += [
            put.addr.eq(number[: self._shape.number_bits - 1]),
            put.data.eq(word),
            put.en.eq(write),
            get.addr.eq(address),
        ]
        return get.data, address

    def _transmit(self, m: Module, platform: object, frame: data.View) -> Value:
        """Put ``frame`` onto the wires; return a signal that is high when a frame starts, the cycle that reads it."""
        phits, lanes = self._shape.frame_cycles, self._shape.lane_bits
        crc = Crc(width=self._shape.layout.size)
        place(m, platform, "transmit_crc", crc)
        m.d.comb += crc.i.eq(frame)
        whole = Cat(frame, crc.o)
        waiting = Signal(phits * lanes, name="phits")
        lowest = waiting[:lanes]
        if phits == 1:
            m.d.sync += waiting.eq(Mux(self.dead, 0, whole))
            m.d.comb += self.tx.wires.eq(lowest)
            return Const(1)
        phase = Signal(range(phits))
        mark = Signal()
        starts = Signal()
        m.d.comb += [starts.eq(phase == 0), self.tx.wires.eq(Cat(lowest, mark))]
        m.d.sync += [phase.eq(Mux(phase == phits - 1, 0, phase + 1)), mark.eq(starts & ~self.dead)]
        m.d.sync += waiting.eq(Mux(self.dead, 0, Mux(starts, whole, waiting[lanes:])))
        return starts

    def _receive(self, m: Module, platform: object, frame: data.View) -> Value:
        """Drive ``frame`` from the wires; return whether there is a good one in this cycle."""
        phits, lanes = self._shape.frame_cycles, self._shape.lane_bits
        crc = Crc(width=self._shape.layout.size)
        place(m, platform, "receive_crc", crc)
        complete = Signal()
        slipped = Signal()
        good = Signal()
        if phits == 1:
            whole = self.rx.wires
            m.d.comb += complete.eq(1)
        else:
            earlier = Signal((phits - 1) * lanes, reset_less=True)
            phase = Signal(range(phits))
            awaited = Signal(range(phits))
            whole = Cat(earlier, self.rx.wires[:lanes])
            m.d.sync += [
                earlier.eq(whole[lanes:]),
                awaited.eq(Mux(phase == phits - 1, 0, phase + 1)),
            ]
            m.d.comb += [
                phase.eq(Mux(self.rx.wires[-1], 0, awaited)),
                complete.eq(phase == phits - 1),
                slipped.eq(self.rx.wires[-1] & (awaited != 0)),
            ]
        size = self._shape.layout.size
        right = Signal()
        m.d.comb += [
            frame.eq(whole[:size]),
            crc.i.eq(whole[:size]),
            right.eq(crc.o == whole[size : self._shape.frame_bits]),
            good.eq(complete & right & ~self.dead),
            self.crc_error.eq(self.up & (slipped | (complete & ~right))),
        ]
        return good
