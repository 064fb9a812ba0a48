"""NoP engine: a send unit and a receive unit on each side of the die, and their commands."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.queue_depths import COMMANDS_WAITING
from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec, exchange_depth
from rtl.block import Block, place
from rtl.engine.receive_unit import ReceiveUnit
from rtl.engine.send_unit import SendUnit
from rtl.interface.flit import SIDES, RouterPort, flit_layout, opposite
from rtl.interface.isa import LAYOUTS, RECEIVE, SEMAPHORES, SEND, Opcode
from rtl.interface.memory_port import address_bits
from rtl.lib.queue import Queue
from rtl.lib.streams import joined

__all__ = ["ENGINE_UNITS", "Engine"]

ENGINE_UNITS = tuple(f"{kind}_{side.text}" for kind in ("send", "receive") for side in SIDES)
"""Units of the engine, in the order of their read ports; the receive units' write ports are in that order, too."""


class Engine(Block):
    """Sends and receives on all sides at once. A unit takes its own commands in program order.

    Members
    -------
    row, col : In(nop.coordinate_bits)
        Place of the die.
    send, receive : In(stream)
        SEND and RECEIVE commands.
    {unit}_wait, {unit}_ok, {unit}_take, {unit}_post
        Semaphores of each of :data:`ENGINE_UNITS`.
    read_{n}_*, write_{n}_*
        Ports of the exchange buffer.
    {side}_in : In(stream), {side}_out : Out(stream)
        From and to the router.
    idle : Out(1)
        No command is here.
    {unit}_active, {unit}_stall_semaphore, {unit}_flits, send_{side}_stall_link : Out(1)
        For the counters.
    """

    def __init__(self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec) -> None:
        self._die, self._nop, self._memory = die, nop, memory
        flit = stream.Signature(flit_layout(nop).size)
        address, word = address_bits(exchange_depth(nop, memory)), 8 * memory.word_bytes
        members: dict[str, Any] = {
            "row": In(nop.coordinate_bits),
            "col": In(nop.coordinate_bits),
            "send": In(stream.Signature(SEND.size)),
            "receive": In(stream.Signature(RECEIVE.size)),
            "idle": Out(1),
        }
        for n, unit in enumerate(ENGINE_UNITS):
            members |= {
                f"{unit}_wait": Out(SEMAPHORES),
                f"{unit}_ok": In(1),
                f"{unit}_take": Out(1),
                f"{unit}_post": Out(SEMAPHORES),
                f"read_{n}_valid": Out(1),
                f"read_{n}_address": Out(address),
                f"read_{n}_ready": In(1),
                f"read_{n}_data": In(word),
                f"{unit}_active": Out(1),
                f"{unit}_stall_semaphore": Out(1),
                f"{unit}_flits": Out(1),
            }
        for n, side in enumerate(SIDES):
            members |= {
                f"write_{n}_valid": Out(1),
                f"write_{n}_address": Out(address),
                f"write_{n}_strobe": Out(memory.word_bytes // 4),
                f"write_{n}_data": Out(word),
                f"write_{n}_ready": In(1),
                f"{side.text}_in": In(flit),
                f"{side.text}_out": Out(flit),
                f"send_{side.text}_stall_link": Out(1),
            }
        super().__init__(members)

    @property
    def block_name(self) -> str:
        die, nop = self._die, self._nop
        size = f"{exchange_depth(nop, self._memory)}x{self._memory.word_bytes}"
        return f"engine_{size}_{nop.flit_bits}_c{nop.coordinate_bits}_{die.dtype}_p{die.stages}"

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nop, memory = self._nop, self._memory
        units: dict[str, Any] = {}
        for side in SIDES:
            along_row = side in (RouterPort.EAST, RouterPort.WEST)
            units[f"send_{side.text}"] = SendUnit(nop=nop, memory=memory, along_row=along_row)
            units[f"receive_{side.text}"] = ReceiveUnit(die=self._die, nop=nop, memory=memory)
        idle = []
        for kind, opcode in (("send", Opcode.SEND), ("receive", Opcode.RECEIVE)):
            commands = getattr(self, kind)
            layout = LAYOUTS[opcode]
            taken = []
            for number, side in enumerate(SIDES):
                name = f"{kind}_{side.text}"
                unit = units[name]
                queue = Queue(width=layout.size, depth=COMMANDS_WAITING)
                place(m, platform, f"{name}_queue", queue)
                place(m, platform, name, unit)
                mine = Signal(name=f"{name}_mine")
                m.d.comb += [
                    mine.eq(commands.valid & (layout(commands.payload).side == number)),
                    queue.i.valid.eq(mine),
                    queue.i.payload.eq(commands.payload),
                    unit.command.payload.eq(queue.o.payload),
                    unit.command.valid.eq(queue.o.valid),
                    queue.o.ready.eq(unit.command.ready),
                ]
                taken.append(mine & queue.i.ready)
                idle += [unit.idle, ~queue.o.valid]
            m.d.comb += commands.ready.eq(Cat(taken).any())
        m.d.comb += self.idle.eq(Cat(idle).all())

        for n, name in enumerate(ENGINE_UNITS):
            unit = units[name]
            m.d.comb += [
                getattr(self, f"{name}_wait").eq(unit.needs),
                unit.needs_ok.eq(getattr(self, f"{name}_ok")),
                getattr(self, f"{name}_take").eq(unit.take),
                getattr(self, f"{name}_post").eq(unit.post),
                getattr(self, f"read_{n}_valid").eq(unit.read_valid),
                getattr(self, f"read_{n}_address").eq(unit.read_address),
                unit.read_ready.eq(getattr(self, f"read_{n}_ready")),
                unit.read_data.eq(getattr(self, f"read_{n}_data")),
                *(
                    getattr(self, f"{name}_{counter}").eq(getattr(unit, counter))
                    for counter in ("active", "stall_semaphore", "flits")
                ),
            ]
        for n, side in enumerate(SIDES):
            sender, receiver = units[f"send_{side.text}"], units[f"receive_{side.text}"]
            across = units[f"receive_{opposite(side).text}"]
            outside, inside = getattr(self, f"{side.text}_out"), getattr(self, f"{side.text}_in")
            m.d.comb += [
                sender.row.eq(self.row),
                sender.col.eq(self.col),
                *joined(across.forward, sender.forward),
                *joined(receiver.turn, sender.turn),
                *joined(across.hand, receiver.join),
                *joined(sender.o, outside),
                *joined(inside, receiver.i),
                getattr(self, f"send_{side.text}_stall_link").eq(sender.stall_link),
                *(
                    getattr(self, f"write_{n}_{name}").eq(getattr(receiver, f"write_{name}"))
                    for name in ("valid", "address", "strobe", "data")
                ),
                receiver.write_ready.eq(getattr(self, f"write_{n}_ready")),
            ]
        return m
