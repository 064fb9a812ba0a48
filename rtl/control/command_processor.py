"""Command processor: reads a die's program from memory, hands commands to the queues, keeps the semaphores.

Commands are handed out in program order, and each unit takes its own in that order. So a program that is correct when
its commands run one after the other cannot block: whatever a command waits for is posted by an earlier command, which
has already been handed out.
"""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.queue_depths import COMMANDS_AHEAD
from chiplet.machine.specs import MemorySpec
from rtl.block import Block, place
from rtl.interface.isa import (
    COMMAND_BITS,
    COUNT_BITS,
    HEADER,
    LAYOUTS,
    MEMORY_ADDRESS_BITS,
    SEMAPHORE_BITS,
    SEMAPHORES,
    SET,
    SET_PLACES,
    Opcode,
)
from rtl.interface.memory_port import request_layout
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask
from rtl.lib.queue import Queue

__all__ = ["ENGINE", "UNITS", "CommandProcessor", "Semaphores"]

UNITS = {
    "load": Opcode.LOAD,
    "feed_activation": Opcode.FEED_ACTIVATION,
    "feed_weight": Opcode.FEED_WEIGHT,
    "feed_sums": Opcode.FEED_SUMS,
    "array": Opcode.GEMM,
    "drain": Opcode.DRAIN,
    "store": Opcode.STORE,
}
"""Units with a queue here, and the command that each takes."""

ENGINE = {"send": Opcode.SEND, "receive": Opcode.RECEIVE}
"""Commands of the engine, which has a queue for each of its units."""


def _semaphore_rank(port: str) -> int:
    """Order of semaphore ports in Verilog: ``wait`` and ``post`` of all units, then ``take``, ``ok``, and the host."""
    if port == "host_post":
        return 3
    return {"take": 1, "ok": 2}.get(port.rsplit("_", 1)[-1], 0)


def _set_value(setting: Any, number: int) -> Value:
    """The value that a SET gives a semaphore."""
    return reduce(
        or_,
        (Mux(setting[f"semaphore_{n}"] == number, setting[f"value_{n}"], 0) for n in range(SET_PLACES)),
    )


class Semaphores(Block):
    """Counting semaphores. Each may have any number of posters, but only one unit that waits on it.

    Parameters
    ----------
    units : tuple of str
        Those that wait and post.
    posters : tuple of str
        Those that only post.

    Members
    -------
    set : In(SEMAPHORES), values : In(SEMAPHORE_BITS).array(SEMAPHORES)
        Semaphores that are given a value, and the value of each.
    units : In(SemaphorePort).array
        Of each unit.
    posts : In(SEMAPHORES).array
        Semaphores that each poster posts.
    """

    def __init__(self, units: tuple[str, ...], posters: tuple[str, ...] = ()) -> None:
        self._units, self._posters = units, posters
        super().__init__(
            {
                "set": In(SEMAPHORES),
                "values": In(SEMAPHORE_BITS).array(SEMAPHORES),
                "units": In(SemaphorePort()).array(len(units)),
                "posts": In(SEMAPHORES).array(len(posters)),
            },
            names={
                "values": "set",
                "units": units.__getitem__,
                "posts": lambda n: f"{posters[n]}_post",
            },
        )

    @property
    def block_name(self) -> str:
        name = f"semaphores_{len(self._units)}"
        return f"{name}_{len(self._posters)}" if self._posters else name

    def port_rank(self, name: str) -> int:
        return _semaphore_rank(name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        empty = Signal(SEMAPHORES)
        values = [Signal(SEMAPHORE_BITS, name=f"value_{s}") for s in range(SEMAPHORES)]
        m.d.comb += empty.eq(Cat(value == 0 for value in values))
        for unit in self.units:
            m.d.comb += unit.ok.eq(~(unit.wait & empty).any())
        for s, value in enumerate(values):
            posts = sum((post[s] for post in (*(unit.post for unit in self.units), *self.posts)), start=0)
            takes = Cat(unit.take & unit.wait[s] for unit in self.units).any()
            with m.If(self.set[s]):
                m.d.sync += value.eq(self.values[s])
            with m.Else():
                m.d.sync += value.eq(value + posts - takes)
        return m


class CommandProcessor(Block):
    """Fetch, dispatch and semaphores.

    Parameters
    ----------
    memory : MemorySpec
        The memory that holds the program.
    queue_depth : int
        Commands that each unit's queue holds.
    engine_units : tuple of str
        Units of the engine, which have queues of their own; none without an engine.

    Members
    -------
    start, address, commands
        Begin a program: memory word of its first command, and number of commands.
    running, done, error : Out(1)
        A program runs; one has ended; a word was not a command, and the program stopped there.
    units_idle : In(1)
        No unit has a command.
    request : Out(stream), response : In(stream)
        Reads of the program, and the words read.
    load, feed_activation, feed_weight, feed_sums, array, drain, store : Out(stream)
        Commands of each unit.
    send, receive : Out(stream)
        Commands of the engine; only if there is one.
    semaphores : In(SemaphorePort).array
        Of each unit, in the order of :data:`UNITS`, then of those of the engine.
    host_post : In(SEMAPHORES)
        Semaphores that software posts; only if there is an engine.
    """

    def __init__(self, *, memory: MemorySpec, queue_depth: int, engine_units: tuple[str, ...] = ()) -> None:
        self._memory, self._queue_depth = memory, queue_depth
        self._engine = ENGINE if engine_units else {}
        self._waiting = (*UNITS, *engine_units)
        self._posters = ("host",) if engine_units else ()
        super().__init__(
            {
                "start": In(1),
                "address": In(MEMORY_ADDRESS_BITS),
                "commands": In(COUNT_BITS),
                "running": Out(1),
                "done": Out(1),
                "error": Out(1),
                "units_idle": In(1),
                "request": Out(stream.Signature(request_layout(memory.word_bytes).size)),
                "response": In(stream.Signature(8 * memory.word_bytes)),
                **{
                    name: Out(stream.Signature(LAYOUTS[opcode].size))
                    for name, opcode in {**UNITS, **self._engine}.items()
                },
                "semaphores": In(SemaphorePort()).array(len(self._waiting)),
                **({"host_post": In(SEMAPHORES)} if engine_units else {}),
            },
            names={"semaphores": self._waiting.__getitem__},
        )

    @property
    def block_name(self) -> str:
        name = f"command_processor_{self._memory.word_bytes}_{self._queue_depth}"
        return f"{name}_engine" if self._engine else name

    def port_rank(self, name: str) -> int:
        return _semaphore_rank(name)

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self._memory.command_words

        # Read the program ahead, as far as the queue of fetched commands has room.
        ahead = COMMANDS_AHEAD
        fetched = Queue(width=COMMAND_BITS, depth=ahead)
        place(m, platform, "fetched", fetched)
        fetch_address = Signal(MEMORY_ADDRESS_BITS)
        to_ask = Signal(COUNT_BITS)  # commands
        to_do = Signal(COUNT_BITS)
        ask_word = Signal(range(max(words, 2)))
        got_word = Signal(range(max(words, 2)))
        asked = Signal(range(ahead + 1))  # commands on their way or in the queue
        request = Signal(request_layout(self._memory.word_bytes))
        sent = Signal()
        command_asked = Signal()
        command_done = Signal()
        m.d.comb += [
            request.tag.eq(1),
            request.address.eq(fetch_address),
            self.request.payload.eq(request),
            self.request.valid.eq((to_ask != 0) & (asked != ahead)),
            sent.eq(self.request.valid & self.request.ready),
            command_asked.eq(sent & (ask_word == words - 1)),
        ]
        m.d.sync += asked.eq(asked + command_asked - command_done)
        with m.If(sent):
            m.d.sync += [
                fetch_address.eq(fetch_address + 1),
                ask_word.eq(Mux(command_asked, 0, ask_word + 1)),
            ]
        with m.If(command_asked):
            m.d.sync += to_ask.eq(to_ask - 1)

        # Words come in order: the last one completes the command.
        parts = [Signal(8 * self._memory.word_bytes, name=f"part_{n}") for n in range(words - 1)]
        m.d.comb += [
            self.response.ready.eq(1),
            fetched.i.valid.eq(self.response.valid & (got_word == words - 1)),
            fetched.i.payload.eq(Cat(*parts, self.response.payload)),
        ]
        with m.If(self.response.valid):
            m.d.sync += got_word.eq(Mux(got_word == words - 1, 0, got_word + 1))
            if parts:
                with m.If(got_word != words - 1):
                    m.d.sync += Array(parts)[got_word].eq(self.response.payload)

        semaphores = Semaphores(self._waiting, self._posters)
        place(m, platform, "semaphores", semaphores)
        command = fetched.o.payload
        opcode = HEADER(command[: HEADER.size]).opcode
        setting = SET(command[: SET.size])
        is_set = Signal()
        known = [is_set]
        accepted = [is_set]
        queues_idle = []
        m.d.comb += [
            is_set.eq(self.running & fetched.o.valid & (opcode == Opcode.SET)),
            semaphores.set.eq(
                Mux(is_set, semaphore_mask(*(setting[f"semaphore_{n}"] for n in range(SET_PLACES))), 0)
            ),
            *(value.eq(_set_value(setting, s)) for s, value in enumerate(semaphores.values)),
        ]
        outgoing = {unit: getattr(self, unit) for unit in UNITS}
        if self._engine:
            outgoing |= {"send": self.send, "receive": self.receive}
        for unit, code in UNITS.items():
            layout = LAYOUTS[code]
            queue = Queue(width=layout.size, depth=self._queue_depth)
            place(m, platform, f"{unit}_queue", queue)
            mine = Signal(name=f"{unit}_mine")
            connect(m, queue.o, flipped(outgoing[unit]))
            m.d.comb += [
                mine.eq(self.running & fetched.o.valid & (opcode == code)),
                queue.i.valid.eq(mine),
                queue.i.payload.eq(command[: layout.size]),
            ]
            known.append(mine)
            accepted.append(mine & queue.i.ready)
            queues_idle.append(~queue.o.valid)
        for name, code in self._engine.items():
            mine = Signal(name=f"{name}_mine")
            m.d.comb += [
                mine.eq(self.running & fetched.o.valid & (opcode == code)),
                outgoing[name].valid.eq(mine),
                outgoing[name].payload.eq(command[: LAYOUTS[code].size]),
            ]
            known.append(mine)
            accepted.append(mine & outgoing[name].ready)
        for waiting, unit in zip(self.semaphores, semaphores.units, strict=True):
            connect(m, flipped(waiting), unit)
        if self._engine:
            m.d.comb += semaphores.posts[0].eq(self.host_post)
        m.d.comb += [command_done.eq(Cat(accepted).any()), fetched.o.ready.eq(command_done)]

        finished = Signal()
        m.d.comb += finished.eq((to_do == 0) & Cat(queues_idle).all() & self.units_idle)
        with m.If(command_done):
            m.d.sync += to_do.eq(to_do - 1)
        with m.If(self.running):
            with m.If(fetched.o.valid & ~Cat(known).any()):
                m.d.sync += [self.error.eq(1), self.running.eq(0)]
            with m.Elif(finished):
                m.d.sync += [self.done.eq(1), self.running.eq(0)]
        with m.Elif(self.start & ~self.error):
            m.d.sync += [
                self.running.eq(1),
                self.done.eq(0),
                fetch_address.eq(self.address),
                to_ask.eq(self.commands),
                to_do.eq(self.commands),
            ]
        return m
