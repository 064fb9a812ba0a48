"""Die-to-die link adapter: flits in frames with numbers and a CRC, replayed until they have arrived."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from rtl.block import Block, Bundle, place
from rtl.interface.link_shape import Lanes, LinkShape, LinkState
from rtl.network.link_receiver import LinkReceiver
from rtl.network.link_sender import LinkSender

__all__ = ["LOST_BITS", "LinkPort", "Wires", "inversion"]

LOST_BITS = 16
"""Bits of the counter of lost flits, which stops at its largest value."""

_REPLAYS = 3
"""Replays without a new flit after which the next one counts against the lanes. Wires that flip a bit in every tenth
frame do so once in a thousand losses."""


class Wires(Bundle):
    """Wires of one direction of a link: ``wires``, of ``shape.wires`` bits."""

    def __init__(self, shape: LinkShape) -> None:
        super().__init__({"wires": Out(shape.wires)}, names={"wires": ""})


def inversion(m: Module, shape: LinkShape | None) -> Value:
    """Add a counter; return what adapters of ``shape`` take as ``invert``. One serves all adapters of a die; 0 if there
    are none.
    """
    if shape is None:
        return Const(0, 1)
    count = Signal(range(2 * shape.inversion_cycles), name="inversion")
    m.d.sync += count.eq(count + 1)
    return count[-1]


class LinkPort(Block):
    """One end of a link, both directions. Two of them, connected by wires, carry two streams in order and without
    errors, whichever bits the wires flip, and start anew when one of them is reset.

    Frames follow each other without a gap, with as many flits as there are, up to ``shape.frame.flits``. A frame
    carries the number of its first flit, or of the next one to come; the next number that this side expects; how many
    flits have left its receive buffer; and a CRC. Frames report state, not events, and the next frame reports it again:
    a lost frame does no harm.

    **Replay.** A flit that was sent stays in the replay buffer until it has left the other side's receive buffer. Both
    buffers have the same size, so the receive buffer has room for every flit that comes. The flits of a frame are
    delivered when its CRC is right. The turn of a direction is a bit. A receiver takes frames of the turn that it
    wants. If the number of such a frame is not the expected one, a flit is missing, and it wants the other turn. The
    sender then goes back to the expected number, and its frames are of the other turn from then on. So it goes back
    once for a loss, after exactly one round trip, and needs no timer. A bad frame without a flit costs nothing.

    **Start.** After a reset a side says HELLO and ignores all frames for ``shape.settle_cycles``. Then it answers HELLO
    or CONFIRM by CONFIRM, and CONFIRM or RUN by RUN, and from then on takes and sends flits. With the frame that makes
    it run it learns which number the other side expects, and what is left in that side's receive buffer, and begins its
    own numbers there. A side that runs and is told HELLO knows that the other one was reset: it counts what it sent and
    does not know to have left the receive buffer as lost, says HELLO in turn, and the same follows. What had arrived is
    still delivered. No flit of an old life is taken for one of the new life, and no report of an old life for one about
    a new flit:

    - Wires keep the order, and nothing stays on them for longer than the flight. Let side X start in cycle 0. Complete
      frames that it sent earlier have all reached side Y after the flight and at most one frame. From then on Y knows
      of X only what this X says. ``settle_cycles`` covers that time, and the time that a frame of Y takes after it. So
      all that X does not ignore is said by a Y that hears of nobody but this X.
    - While X says HELLO, such a Y does not begin to run, as that takes CONFIRM or RUN. If it has not ceased to run, as
      X's frames were bad, it says RUN, and X does not answer RUN while it says HELLO.
    - So if X says CONFIRM, Y had said HELLO or CONFIRM, and has neither sent nor taken a flit since. It begins to run
      only when it hears CONFIRM or RUN of this X, and X only when it hears CONFIRM or RUN of this Y. So the numbers
      with which both begin are those of each other, and nothing sent earlier is on the wires.
    - If Y is reset meanwhile, the same holds with the roles exchanged, and X, whatever it says, hears HELLO.

    **Death.** Without a good frame for ``timeout_cycles``, without progress of the flits sent, or with a start that
    does not succeed for as long, the link is dead; time counts from the first good frame after the reset. A dead side
    counts what it had sent as lost, takes nothing more and says HELLO, so the other side ceases to run, too. If the
    wires recover, or the other side leaves a long reset, the link starts anew and is no longer dead.

    **Width.** If the lanes can be halved and frames are bad more than a quarter of the time, or a flit does not get
    through in several replays, the adapter listens to the lower half of the lanes, then to the upper one, then to all
    again, and stays where frames are good. A side that listens to a half sends at half width on both halves, so the
    other side comes to do the same, and picks its own half. It listens to a half for longer than to all lanes, so each
    side finds its good half while the other one sends at half width. Replay makes good what is lost meanwhile: no flit
    is lost. When a side starts anew because the other one was reset, it listens to all lanes again. With no good half
    the link is dead.

    The lowest phit of a frame goes first. Neither the latency of the wires, up to ``shape.flight_cycles``, nor the
    cycle in which a side leaves the reset needs to be known. Both sides have one clock.

    Nothing but registers drives ``tx``, ``o``, and ready of ``i``.

    Parameters
    ----------
    shape : LinkShape
        Widths and buffers; :meth:`rtl.interface.link_shape.LinkShape.of` has those of a system.

    Members
    -------
    i : In(stream(shape.width)), o : Out(stream(shape.width))
        Flits from and to the router.
    invert : In(1)
        Of :func:`inversion`: frames after one without a flit are inverted, so that a lane that is stuck shows.
    tx : Out(Wires), rx : In(Wires)
        Wires to and from the other side. The highest ones mark the last phit of a frame.
    up, dead : Out(1)
        The link runs; it is dead.
    lanes : Out(Lanes)
        The lanes it listens to; other than all of them, it runs at half width.
    pending : Out
        Flits taken since the link started that are not known to have left the other side's receive buffer; before a
        reset of this side, what the reset will lose.
    restarted, timed_out : Out(1)
        The link ceases to run in this cycle; it has made no progress for too long, and is dead from the next cycle on.
    lost : Out(16)
        Flits that were pending whenever the link ceased to run, since the reset of this side.
    sent, received, replayed, crc_error : Out
        In this cycle a flit was taken from ``i``; so many flits were put into the receive buffer; a flit is sent again;
        a frame was bad. Bad frames before the first good one do not count.
    """

    def __init__(self, *, shape: LinkShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "i": In(stream.Signature(shape.width)),
                "o": Out(stream.Signature(shape.width)),
                "invert": In(1),
                "tx": Out(Wires(shape)),
                "rx": In(Wires(shape)),
                "up": Out(1),
                "dead": Out(1),
                "lanes": Out(Lanes),
                "pending": Out(shape.frame.number_bits),
                "restarted": Out(1),
                "timed_out": Out(1),
                "lost": Out(LOST_BITS),
                "sent": Out(1),
                "received": Out(range(shape.frame.flits + 1)),
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
        sender, receiver = LinkSender(shape=shape), LinkReceiver(shape=shape)
        place(m, platform, "sender", sender)
        place(m, platform, "receiver", receiver)
        m.d.comb += [self.tx.wires.eq(sender.tx), receiver.rx.eq(self.rx.wires)]
        header = Signal(shape.header, name="header")
        heard = Signal(shape.header, name="heard")
        m.d.comb += [
            sender.header.eq(header.as_value()[1:]),
            sender.invert.eq(self.invert),
            heard.eq(Cat(Const(0, 1), receiver.header)),
        ]
        state = Signal(LinkState)
        begins = Signal()  # the link begins to run
        m.d.comb += [self.up.eq(state == LinkState.RUN), header.state.eq(state)]
        progress = self._send(m, sender, header, heard, receiver.good, begins)
        missed = self._receive(m, receiver, header, heard, state)
        if shape.frame.can_halve:
            self._listen(m, receiver, missed, heard.state)
            m.d.comb += [receiver.listen.eq(self.lanes), sender.half.eq(self.lanes != Lanes.ALL)]
        self._start(m, receiver, heard.state, state, begins, progress)
        return m

    def _send(
        self, m: Module, sender: LinkSender, header: data.View, heard: data.View, good: Value, begins: Value
    ) -> Value:
        """Give flits to ``sender``, those that it has sent before, or new ones; return whether there is progress."""
        number = self._shape.frame.number_bits
        # The number of the flit to send next, that of the next one to take, and those that the other side reports:
        # expected next, and oldest in its receive buffer.
        send, taken, arrived, left = (
            Signal(number, name=name) for name in ("send", "taken", "arrived", "left")
        )
        turn = Signal()
        again = Signal()
        slot = Signal()
        closed = Signal()  # until the next frame: the numbers of this one no longer hold
        back = Signal()  # go back
        replay, replay_address = self._buffer(m, "replay", self.i.payload, taken[: number - 1], self.sent)
        m.d.comb += [
            again.eq(send != taken),
            replay_address.eq(send[: number - 1]),
            slot.eq(sender.slot & self.up & (~closed | sender.starts)),
            self.i.ready.eq(slot & ~again & ~(taken - left)[number - 1]),
            self.sent.eq(self.i.valid & self.i.ready),
            self.replayed.eq(slot & again),
            self.pending.eq(Mux(self.up, taken - left, 0)),
            sender.valid.eq(self.sent | self.replayed),
            sender.flit.eq(Mux(again, replay, self.i.payload)),
            header.number.eq(send),
            header.turn.eq(turn),
        ]
        told = Signal()  # of a side that runs with this one
        m.d.comb += [
            told.eq(good & (begins | (self.up & (heard.state != LinkState.HELLO)))),
            back.eq(told & (begins | (heard.wanted != turn))),
        ]
        m.d.sync += [taken.eq(taken + self.sent), send.eq(send + sender.valid)]
        with m.If(sender.starts | back):
            m.d.sync += closed.eq(back & ~sender.ends)
        with m.If(back):
            m.d.sync += [turn.eq(heard.wanted), send.eq(heard.expected)]
        with m.If(begins):
            m.d.sync += taken.eq(heard.expected)
        with m.If(told):
            m.d.sync += [left.eq(heard.freed), arrived.eq(heard.expected)]
        return told & (begins | (heard.expected == taken) | (heard.expected != arrived))

    def _receive(
        self, m: Module, receiver: LinkReceiver, header: data.View, heard: data.View, state: Value
    ) -> Value:
        """Put the flits of frames that are good and wanted into the receive buffer, and offer them; return whether a
        flit is missing again, after :data:`_REPLAYS` replays without a new flit.
        """
        number = self._shape.frame.number_bits
        expected = Signal(number)
        freed = Signal(number)
        wanted = Signal()
        slot = Signal(number)
        write = Signal()
        m.d.comb += [
            slot.eq(expected + receiver.index),
            write.eq(receiver.write & ~(slot - freed)[number - 1]),
        ]
        oldest, oldest_address = self._buffer(m, "receive", receiver.flit, slot[: number - 1], write)
        told = Signal()
        m.d.comb += [
            told.eq(
                receiver.good
                & (heard.state == LinkState.RUN)
                & (state != LinkState.HELLO)
                & (heard.turn == wanted)
            ),
            self.received.eq(Mux(told & (heard.number == expected), receiver.count, 0)),
            oldest_address.eq(freed[: number - 1]),
            self.o.valid.eq(freed != expected),
            self.o.payload.eq(oldest),
            header.expected.eq(expected),
            header.freed.eq(freed),
            header.wanted.eq(wanted),
        ]
        m.d.sync += [
            expected.eq(expected + self.received),
            freed.eq(freed + (self.o.valid & self.o.ready)),
        ]
        missing = Signal()
        replays = Signal(range(_REPLAYS + 1))  # since the last new flit
        m.d.comb += missing.eq(told & (heard.number != expected))
        with m.If(missing):
            m.d.sync += wanted.eq(~wanted)
        with m.If(self.received.any()):
            m.d.sync += replays.eq(0)
        with m.Elif(missing & (replays != _REPLAYS)):
            m.d.sync += replays.eq(replays + 1)
        return missing & (replays == _REPLAYS)

    def _start(
        self, m: Module, receiver: LinkReceiver, said: Value, state: Value, begins: Value, progress: Value
    ) -> None:
        """Drive the state of this side, and report what it ends."""
        shape = self._shape
        met = Signal()  # a good frame has come since the reset
        settle = Signal(range(shape.settle_cycles + 1), init=shape.settle_cycles)  # cycles that are left
        quiet = Signal(range(shape.timeout_cycles))  # cycles without progress
        ceases = Signal()
        late = Signal()
        answers = Signal()
        m.d.comb += [
            self.crc_error.eq(receiver.bad & met),
            begins.eq((state == LinkState.CONFIRM) & receiver.good & (said != LinkState.HELLO)),
            answers.eq((state == LinkState.HELLO) & (settle == 0) & receiver.good & (said != LinkState.RUN)),
            late.eq(quiet == shape.timeout_cycles - 1),
            ceases.eq(late | (receiver.good & (said == LinkState.HELLO))),
            self.restarted.eq(self.up & ceases),
            self.timed_out.eq(late & ~progress),
        ]
        with m.If(receiver.good):
            m.d.sync += met.eq(1)
        with m.If(settle != 0):
            m.d.sync += settle.eq(settle - 1)
        with m.If(progress | answers | self.restarted | late):
            m.d.sync += quiet.eq(0)
        with m.Elif(met):
            m.d.sync += quiet.eq(quiet + 1)
        with m.If(begins):
            m.d.sync += [state.eq(LinkState.RUN), self.dead.eq(0)]
        with m.Elif(self.restarted | (late & (state == LinkState.CONFIRM))):
            m.d.sync += [state.eq(LinkState.HELLO), settle.eq(shape.settle_cycles)]
        with m.Elif(answers):
            m.d.sync += state.eq(LinkState.CONFIRM)
        with m.If(self.timed_out):
            m.d.sync += self.dead.eq(1)
        lost = Signal(range((1 << LOST_BITS) + shape.depth))
        m.d.comb += lost.eq(self.lost + self.pending + self.sent)
        with m.If(self.restarted):
            m.d.sync += self.lost.eq(Mux(lost[LOST_BITS:].any(), (1 << LOST_BITS) - 1, lost))

    def _listen(self, m: Module, receiver: LinkReceiver, missed: Value, said: Value) -> None:
        """Choose the lanes to listen to.

        A cycle of a bad frame, or without a frame, counts three times as much as one of a good frame. So frames that
        are bad half of the time, as by a lane that is stuck, add a strike a cycle. A flit that is missed outweighs the
        good frames of its replay, at half width, too.
        """
        shape, good = self._shape, receiver.good
        most = 4 * shape.frame.longest_cycles
        age = Signal(range(most + 1))  # cycles since a frame was good or bad; blank wires do not count
        outweighs = 4 * shape.round_trip_cycles
        strikes = Signal(range(6 * shape.patience_cycles + max(3 * (most + 1), outweighs) + 1))
        enough = Signal.like(strikes)
        spent = Signal(range(most + 2))
        blank = ~self.rx.wires.any()
        m.d.comb += [
            enough.eq(Mux(self.lanes == Lanes.ALL, 3, 6) * shape.patience_cycles),
            spent.eq(age + 1),
        ]
        with m.If(strikes >= enough):
            m.d.sync += [
                self.lanes.eq(Mux(self.lanes == Lanes.UPPER, Lanes.ALL, self.lanes + 1)),
                strikes.eq(0),
                age.eq(0),
            ]
        with m.Elif(missed):
            m.d.sync += [strikes.eq(strikes + outweighs), age.eq(0)]
        with m.Elif(good):
            m.d.sync += [strikes.eq(Mux(strikes < spent, 0, strikes - spent)), age.eq(0)]
        with m.Elif(~blank & (receiver.bad | (age == most))):
            m.d.sync += [strikes.eq(strikes + 3 * spent), age.eq(0)]
        with m.Elif(~blank & receiver.hunting):
            m.d.sync += strikes.eq(strikes + 3)
        with m.Elif(~blank):
            m.d.sync += age.eq(age + 1)
        with m.If(self.restarted & good & (said == LinkState.HELLO)):
            m.d.sync += [self.lanes.eq(Lanes.ALL), strikes.eq(0)]

    def _buffer(self, m: Module, name: str, word: Value, number: Value, write: Value) -> tuple[Value, Signal]:
        """Place a buffer that writes ``word`` at index ``number``; return its read port: the word, and the address."""
        depth = self._shape.depth
        words = m.submodules[name] = memory.Memory(shape=unsigned(self._shape.width), depth=depth, init=[])
        put, get = words.write_port(), words.read_port(domain="comb")
        address = Signal(max(1, self._shape.frame.number_bits - 1), name=f"{name}_address")
        m.d.comb += [
            put.addr.eq(number),
            put.data.eq(word),
            put.en.eq(write),
            get.addr.eq(address),
        ]
        return get.data, address
