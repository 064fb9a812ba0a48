"""NoP engine: a send unit and a receive unit on each side of the die, and their commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.chunks import words_per_flit
from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import COMMANDS_WAITING
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.block import Block, Bundle, place
from rtl.engine.receive_unit import ReceiveUnit
from rtl.engine.send_unit import SendUnit
from rtl.interface.flit import SIDES, RouterPort, flit_stream, opposite
from rtl.interface.isa import RECEIVE, SEND
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort, lane_names
from rtl.interface.semaphore_port import SemaphorePort
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["ENGINE_UNITS", "Engine"]

ENGINE_UNITS = tuple(f"{operation}_{side.text}" for operation in ("send", "receive") for side in SIDES)
"""Units of the engine, in the order of their ports."""


class _UnitPorts(Bundle):
    """Ports of a unit to the die: semaphores, read ports of the scratchpad, its error, strobes for the counters."""

    def __init__(self, *, depth: int, word_bytes: int, lanes: int) -> None:
        super().__init__(
            {
                "semaphores": Out(SemaphorePort()),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)).array(lanes),
                "beyond": Out(1),
                "active": Out(1),
                "stall_semaphore": Out(1),
                "flits": Out(1),
            },
            names={"semaphores": "", "read": lane_names("read", lanes)},
        )


class _SidePorts(Bundle):
    """Ports of one side: the write ports of its receive unit, and the streams to and from the router."""

    def __init__(self, *, nop: NopSpec, depth: int, word_bytes: int, lanes: int) -> None:
        super().__init__(
            {
                "write": Out(ScratchpadWritePort(depth=depth, word_bytes=word_bytes)).array(lanes),
                "i": In(flit_stream(nop)),
                "o": Out(flit_stream(nop)),
                "stall_link": Out(1),
            },
            names={"i": "in", "o": "out", "write": lane_names("write", lanes)},
        )


class Engine(Block):
    """Sends and receives on all sides at once. A unit takes its own commands in program order.

    Parameters
    ----------
    die, nop, memory : DieSpec, NopSpec, MemorySpec
        Type of the sums, stages of the adders, flits, and words of the scratchpad.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the die.
    send, receive : In(stream)
        SEND and RECEIVE commands.
    idle : Out(1)
        The engine has no command.
    units : array
        Ports of each of :data:`ENGINE_UNITS`: ``semaphores``, ``read`` (of the scratchpad, one for each word of a
        flit), ``beyond`` (it wants a word beyond the scratchpad), and for the counters ``active``,
        ``stall_semaphore`` and ``flits``.
    sides : array
        Ports of each side: ``write`` (of the scratchpad, one for each word of a flit), the streams ``i`` from and ``o``
        to the router, and for the counters ``stall_link``.
    """

    port_names: ClassVar[Mapping[str, str]] = {
        **{
            f"{unit}_read_{port}": f"read_{n}_{port}"
            for n, unit in enumerate(ENGINE_UNITS)
            for port in ("valid", "address", "ready", "data")
        },
        **{
            f"{side.text}_write_{port}": f"write_{n}_{port}"
            for n, side in enumerate(SIDES)
            for port in ("valid", "address", "strobe", "data", "ready")
        },
        **{f"{side.text}_stall_link": f"send_{side.text}_stall_link" for side in SIDES},
    }

    def __init__(
        self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, sram_latency: int = SRAM_LATENCY
    ) -> None:
        self._latency = sram_latency
        self._die, self._nop, self._memory = die, nop, memory
        words = {
            "depth": scratchpad_depth(die, memory, nop),
            "word_bytes": memory.word_bytes,
            "lanes": words_per_flit(nop, memory),
        }
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "send": In(stream.Signature(SEND.size)),
                "receive": In(stream.Signature(RECEIVE.size)),
                "idle": Out(1),
                "units": Out(_UnitPorts(**words)).array(len(ENGINE_UNITS)),
                "sides": Out(_SidePorts(nop=nop, **words)).array(len(SIDES)),
            },
            names={"units": ENGINE_UNITS.__getitem__, "sides": lambda n: SIDES[n].text},
        )

    @property
    def block_name(self) -> str:
        die, nop = self._die, self._nop
        size = f"{scratchpad_depth(die, self._memory, nop)}x{self._memory.word_bytes}"
        name = f"engine_{size}_{nop.flit_bits}_c{nop.coordinate_bits}_{die.dtype}_p{die.stages}"
        return with_latency(name, self._latency)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        die, nop, memory = self._die, self._nop, self._memory
        senders: dict[RouterPort, SendUnit] = {}
        receivers: dict[RouterPort, ReceiveUnit] = {}
        for side in SIDES:
            along_row = side in (RouterPort.EAST, RouterPort.WEST)
            senders[side] = SendUnit(
                die=die, nop=nop, memory=memory, along_row=along_row, sram_latency=self._latency
            )
            receivers[side] = ReceiveUnit(die=die, nop=nop, memory=memory, sram_latency=self._latency)
        idle = [
            *self._commands(m, platform, "send", SEND, self.send, senders),
            *self._commands(m, platform, "receive", RECEIVE, self.receive, receivers),
        ]
        m.d.comb += self.idle.eq(Cat(idle).all())

        for ports, unit in zip(self.units, (*senders.values(), *receivers.values()), strict=True):
            connect(m, unit.semaphores, flipped(ports.semaphores))
            for lane, read in zip(unit.read, ports.read, strict=True):
                connect(m, lane, flipped(read))
            m.d.comb += [
                ports.beyond.eq(unit.beyond),
                ports.active.eq(unit.active),
                ports.stall_semaphore.eq(unit.stall_semaphore),
                ports.flits.eq(unit.flits),
            ]
        for ports, side in zip(self.sides, SIDES, strict=True):
            sender, receiver, across = senders[side], receivers[side], receivers[opposite(side)]
            connect(m, across.forward, sender.forward)
            connect(m, receiver.turn, sender.turn)
            connect(m, across.hand, receiver.join)
            connect(m, sender.o, flipped(ports.o))
            connect(m, flipped(ports.i), receiver.i)
            for lane, write in zip(receiver.write, ports.write, strict=True):
                connect(m, lane, flipped(write))
            m.d.comb += [
                sender.row.eq(self.row),
                sender.col.eq(self.col),
                ports.stall_link.eq(sender.stall_link),
            ]
        return m

    def _commands(
        self,
        m: Module,
        platform: object,
        operation: str,
        layout: Any,
        commands: Any,
        units: dict[RouterPort, Any],
    ) -> list[Any]:
        """Place ``units`` with their queues, and give each the commands of its side.

        Return signals that are all high when neither a unit nor a queue has a command.
        """
        taken, idle = [], []
        for number, (side, unit) in enumerate(units.items()):
            name = f"{operation}_{side.text}"
            queue = Queue(width=layout.size, depth=COMMANDS_WAITING)
            place(m, platform, f"{name}_queue", queue)
            place(m, platform, name, unit)
            connect(m, queue.o, unit.command)
            mine = Signal(name=f"{name}_mine")
            m.d.comb += [
                mine.eq(commands.valid & (layout(commands.payload).side == number)),
                queue.i.valid.eq(mine),
                queue.i.payload.eq(commands.payload),
            ]
            taken.append(mine & queue.i.ready)
            idle += [unit.idle, ~queue.o.valid]
        m.d.comb += commands.ready.eq(Cat(taken).any())
        return idle
