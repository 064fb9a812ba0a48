"""Command processor: hands the commands of a program to the queues of their units, and keeps the semaphores.

Commands are handed out in program order, and each unit takes its own in that order. So a program that is correct when
its commands run one after the other cannot block: whatever a command waits for is posted by an earlier command, which
has already been handed out.
"""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import MemorySpec
from rtl.block import Block, place
from rtl.control.program_reader import ProgramReader
from rtl.control.semaphores import Semaphores, semaphore_rank
from rtl.interface.isa import (
    COUNT_BITS,
    HEADER,
    LAYOUTS,
    MEMORY_ADDRESS_BITS,
    SEMAPHORES,
    SET,
    SET_PLACES,
    Opcode,
)
from rtl.interface.memory_port import request_layout
from rtl.interface.semaphore_port import SemaphorePort
from rtl.lib.sram import with_latency
from rtl.lib.sram_queue import SramQueue

__all__ = ["ENGINE", "UNITS", "CommandProcessor"]

UNITS = {
    "load": Opcode.LOAD,
    "feed_activation": Opcode.FEED_ACTIVATION,
    "feed_weight": Opcode.FEED_WEIGHT,
    "feed_sums": Opcode.FEED_SUMS,
    "array": Opcode.GEMM,
    "drain": Opcode.DRAIN,
    "vector": Opcode.VECTOR,
    "store": Opcode.STORE,
}
"""Units with a queue here, and the command that each takes."""

ENGINE = {"send": Opcode.SEND, "receive": Opcode.RECEIVE}
"""Commands of the engine, which has a queue for each of its units."""


class CommandProcessor(Block):
    """Dispatch and semaphores.

    Parameters
    ----------
    memory : MemorySpec
        The memory that holds the program.
    queue_depth : int
        Commands that each unit's queue holds.
    units : tuple of str
        Which of :data:`UNITS` the die has, in that order.
    engine_units : tuple of str
        Units of the engine, which have queues of their own; none without an engine.
    macro : bool
        Whether the SRAMs of the queues are hard macros.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    start, address, commands
        Begin a program: memory word of its first command, and number of commands. All semaphores become 0.
    stop : In(1)
        There was an error: the program ends where it is, and none begins.
    running, done : Out(1)
        A program runs; one has ended.
    unknown, overflow : Out(1)
        The next command is none of this die; a semaphore was counted beyond what it holds.
    units_idle : In(1)
        No unit has a command.
    request : Out(stream), response : In(stream)
        Reads of the program, and the words read.
    {unit} : Out(stream)
        Commands of each of ``units``.
    send, receive : Out(stream)
        Commands of the engine; only if there is one.
    semaphores : In(SemaphorePort).array
        Of each of ``units``, then of those of the engine.
    available : Out(SEMAPHORES)
        Semaphores above zero.
    host_post : In(SEMAPHORES)
        Semaphores that software posts; only if there is an engine.
    commands_out, fetch_words, stall_request, stall_fetch, stall_queue : Out(1)
        For the counters: a command is handed out; a word of the program comes; a read is not taken; the next command
        has not come; it finds no room in its queue.
    array_over : Out(1)
        All commands have been handed out, and no GEMM waits in its queue.
    """

    def __init__(
        self,
        *,
        memory: MemorySpec,
        queue_depth: int,
        units: tuple[str, ...] = tuple(UNITS),
        engine_units: tuple[str, ...] = (),
        macro: bool = False,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        self._latency = sram_latency
        self._memory, self._queue_depth, self._macro = memory, queue_depth, macro
        self._units = {unit: UNITS[unit] for unit in units}
        self._engine = ENGINE if engine_units else {}
        self._waiting = (*units, *engine_units)
        self._posters = ("host",) if engine_units else ()
        super().__init__(
            {
                "start": In(1),
                "address": In(MEMORY_ADDRESS_BITS),
                "commands": In(COUNT_BITS),
                "stop": In(1),
                "running": Out(1),
                "done": Out(1),
                "unknown": Out(1),
                "overflow": Out(1),
                "units_idle": In(1),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(8 * memory.word_bytes)),
                **{
                    name: Out(stream.Signature(LAYOUTS[opcode].size))
                    for name, opcode in {**self._units, **self._engine}.items()
                },
                "semaphores": In(SemaphorePort()).array(len(self._waiting)),
                "available": Out(SEMAPHORES),
                **({"host_post": In(SEMAPHORES)} if engine_units else {}),
                "commands_out": Out(1),
                "fetch_words": Out(1),
                "stall_request": Out(1),
                "stall_fetch": Out(1),
                "stall_queue": Out(1),
                "array_over": Out(1),
            },
            names={"semaphores": self._waiting.__getitem__},
        )

    @property
    def block_name(self) -> str:
        name = f"command_processor_{self._memory.word_bytes}_{self._queue_depth}"
        return with_latency(f"{name}_engine" if self._engine else name, self._latency)

    def port_rank(self, name: str) -> int:
        return semaphore_rank(name)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reader = ProgramReader(memory=self._memory, macro=self._macro, sram_latency=self._latency)
        semaphores = Semaphores(self._waiting, self._posters)
        place(m, platform, "reader", reader)
        place(m, platform, "semaphores", semaphores)
        connect(m, reader.request, flipped(self.request))
        connect(m, flipped(self.response), reader.response)
        for waiting, unit in zip(self.semaphores, semaphores.units, strict=True):
            connect(m, flipped(waiting), unit)
        if self._engine:
            m.d.comb += semaphores.posts[0].eq(self.host_post)

        begins = Signal()
        command_out = Signal()
        present = Signal()  # a command is here to be handed out
        command = reader.command.payload
        opcode = HEADER(command[: HEADER.size]).opcode
        m.d.comb += [
            begins.eq(self.start & ~self.running & ~self.stop),
            reader.start.eq(begins),
            reader.address.eq(self.address),
            reader.commands.eq(self.commands),
            reader.command.ready.eq(command_out),
            semaphores.clear.eq(begins),
            self.available.eq(semaphores.available),
            self.overflow.eq(semaphores.overflow),
            present.eq(self.running & reader.command.valid),
        ]

        is_set, set_over = self._elaborate_set(m, semaphores, present, command, opcode)
        known, accepted = [is_set], [set_over]
        queues_idle = {}
        for unit, code in self._units.items():
            layout = LAYOUTS[code]
            queue = SramQueue(
                width=layout.size,
                depth=self._queue_depth,
                macro=self._macro,
                sram_latency=self._latency,
            )
            place(m, platform, f"{unit}_queue", queue)
            connect(m, queue.o, flipped(getattr(self, unit)))
            mine = Signal(name=f"{unit}_mine")
            m.d.comb += [
                mine.eq(present & (opcode == code)),
                queue.i.valid.eq(mine),
                queue.i.payload.eq(command[: layout.size]),
            ]
            known.append(mine)
            accepted.append(mine & queue.i.ready)
            queues_idle[unit] = ~queue.o.valid
        for name, code in self._engine.items():
            outgoing = getattr(self, name)
            mine = Signal(name=f"{name}_mine")
            m.d.comb += [
                mine.eq(present & (opcode == code)),
                outgoing.valid.eq(mine),
                outgoing.payload.eq(command[: LAYOUTS[code].size]),
            ]
            known.append(mine)
            accepted.append(mine & outgoing.ready)

        to_do = Signal(COUNT_BITS)
        finished = Signal()
        m.d.comb += [
            command_out.eq(Cat(accepted).any()),
            self.unknown.eq(present & ~Cat(known).any()),
            finished.eq((to_do == 0) & Cat(queues_idle.values()).all() & self.units_idle),
            self.commands_out.eq(command_out),
            self.fetch_words.eq(self.response.valid & self.response.ready),
            self.stall_request.eq(self.request.valid & ~self.request.ready),
            self.stall_fetch.eq(self.running & (to_do != 0) & ~reader.command.valid),
            self.stall_queue.eq(present & ~is_set & ~command_out),
            self.array_over.eq((to_do == 0) & queues_idle.get("array", 1)),
        ]
        with m.If(command_out):
            m.d.sync += to_do.eq(to_do - 1)
        with m.If(begins):
            m.d.sync += [self.running.eq(1), self.done.eq(0), to_do.eq(self.commands)]
        with m.Elif(self.stop):
            m.d.sync += self.running.eq(0)
        with m.Elif(self.running & finished):
            m.d.sync += [self.done.eq(1), self.running.eq(0)]
        return m

    def _elaborate_set(
        self, m: Module, semaphores: Semaphores, present: Signal, command: Signal, opcode: Signal
    ) -> tuple[Signal, Signal]:
        """Carry out a SET, one semaphore in each cycle; return whether it is one, and whether it is over."""
        setting = SET(command[: SET.size])
        is_set = Signal(name="is_set")
        over = Signal(name="set_over")
        place_number = Signal(range(SET_PLACES))
        numbers = Array([*(setting[f"semaphore_{n}"] for n in range(SET_PLACES)), 0])
        values = Array(setting[f"value_{n}"] for n in range(SET_PLACES))
        m.d.comb += [
            is_set.eq(present & (opcode == Opcode.SET)),
            over.eq(is_set & ((place_number == SET_PLACES - 1) | (numbers[place_number + 1] == 0))),
            semaphores.set_number.eq(Mux(is_set, numbers[place_number], 0)),
            semaphores.set_value.eq(values[place_number]),
        ]
        with m.If(is_set):
            m.d.sync += place_number.eq(Mux(over, 0, place_number + 1))
        return is_set, over
