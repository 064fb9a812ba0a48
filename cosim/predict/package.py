"""Predicted cycles of one program a die on a package: the timeline of each die, with its engine, on one clock.

Links and the memory plane are queues of words, or of flits that are wider: a word takes as many cycles as it has flits.
Dies of one IO die share its link (:mod:`cosim.predict.io_die`). What is left out: words of a wide flit behind the first
one, which have ports of their own; random stalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.machine.chunks import flits_per_word, words_per_flit
from chiplet.machine.memory_plane import io_links, io_place, memory_plane
from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import DieTerms, StepUnitTerms
from cosim.predict.clock import BoundedQueue, Clock, Unit
from cosim.predict.die import DieTimes
from cosim.predict.io_die import IoDieTimes
from cosim.predict.ports import MemoryPortTimes, PlaneWay, ScratchpadReader, ScratchpadWriter
from cosim.program.command import Command
from cosim.program.line_commands import PACKAGE_ORIGIN
from cosim.records.links import FaultyLinks
from nop.terms import NopTerms
from nop.topology import Mesh
from rtl.interface.isa import Opcode, Side

__all__ = ["PackageTimes", "predict_package"]

_OPPOSITE = {Side.NORTH: Side.SOUTH, Side.SOUTH: Side.NORTH, Side.EAST: Side.WEST, Side.WEST: Side.EAST}
_ENDS = StepUnitTerms()
"""Cycles at the ends of the memory plane."""
LINK_WORDS = 4
"""Words on their way between two engines, before the sender has to wait."""


@dataclass(frozen=True, kw_only=True)
class PackageTimes:
    """Predicted cycles of a package.

    Attributes
    ----------
    cycles
        From the common start to the end of the last program.
    array_cycles
        Of the slowest array, from its first operand row to its last sum.
    """

    cycles: float
    array_cycles: float


def predict_package(
    system: SystemSpec,
    programs: Sequence[Sequence[Command]],
    io_dies: Sequence[str],
    *,
    direct: bool,
    interval: int = 1,
) -> PackageTimes:
    """Return the predicted cycles of a program on each die, in the order of the dies' numbers.

    Parameters
    ----------
    io_dies
        Name of the IO die of each die.
    direct
        Whether the routers are joined without link adapters.
    interval
        Least cycles between requests to a memory.

    Raises
    ------
    ValueError
        If a SEND or RECEIVE does not end.
    """
    clock, terms = Clock(), DieTerms.of_design(system.die)
    links: dict[tuple[int, Side], BoundedQueue] = {}
    hop = 1 if direct else 1 + FaultyLinks.of(system).hop_cycles(system.nop)
    plane = memory_plane(system, Mesh(system.package.rows, system.package.cols), direct=direct)
    word_cycles = plane.link_cycles(1, 0)
    shared = {
        name: IoDieTimes(
            clock,
            read_cycles=plane.read_flits / plane.flits_per_cycle,
            write_cycles=plane.link_cycles(0, 1),
            word_cycles=word_cycles,
            interval=interval,
        )
        for name in io_dies
    }
    dies, ways = [], []
    for number, (program, io_die) in enumerate(zip(programs, io_dies, strict=True)):
        row, col = divmod(number, system.package.cols)
        links_on_the_way = io_links(system.package, row, col, io_place(system.package, row, col).side)
        way = plane.way_cycles(links_on_the_way)
        ways.append(way + _ENDS.memory_written)
        port = MemoryPortTimes(
            clock,
            system.memory.model_copy(
                update={"latency_cycles": system.memory.latency_cycles + way + _ENDS.memory_read}
            ),
            terms,
            interval,
            word_cycles=word_cycles,
            write_cycles=plane.link_cycles(0, 1),
            way=PlaneWay(
                io_die=shared[io_die],
                cycles=links_on_the_way * plane.hop_cycles,
                buffered=system.nop.buffer_flits / plane.flits_per_cycle,
            ),
        )
        dies.append(_PackageDie(system, number, program, clock, port, links, hop))
    clock.run()
    if any(die.commands_left for die in dies):
        raise ValueError("package: the programs block")
    return PackageTimes(
        # The last write is over when its answer is back.
        cycles=max(die.end + way for die, way in zip(dies, ways, strict=True)),
        array_cycles=max(die.array_end - (die.array_first or 0.0) for die in dies),
    )


class _PackageDie(DieTimes):
    """A die with an engine, whose links are queues of the words that arrive at a die from a side."""

    def __init__(
        self,
        system: SystemSpec,
        number: int,
        commands: Sequence[Command],
        clock: Clock,
        port: MemoryPortTimes,
        links: dict[tuple[int, Side], BoundedQueue],
        hop: int,
    ) -> None:
        self._system, self._number, self._links, self._hop = system, number, links, hop
        self._nop = NopTerms(add_cycles=system.die.stages)
        self._word_flits = flits_per_word(system.nop, system.memory)
        self._flit_words = words_per_flit(system.nop, system.memory)
        queued = max(1, QUEUED_FLITS // self._word_flits)
        self._onward = {side: BoundedQueue(clock, queued, self._nop.pass_cycles) for side in Side}
        self._handed = {side: BoundedQueue(clock, queued) for side in Side}
        self.commands_left = sum(command.opcode in (Opcode.SEND, Opcode.RECEIVE) for command in commands)
        super().__init__(commands, system.die, system.memory, DieTerms.of_design(system.die), clock, port)
        for opcode, unit in ((Opcode.SEND, self._send), (Opcode.RECEIVE, self._receive)):
            for side in Side:
                self.queues[opcode, side] = BoundedQueue(clock, system.die.queue_depth)
                clock.start(unit(side))

    def _unit(self, command: Command) -> object:
        if command.opcode in (Opcode.SEND, Opcode.RECEIVE):
            return command.opcode, Side(command.fields["side"])
        return command.opcode

    def _link(self, number: int, side: Side) -> BoundedQueue:
        """Words that come to a die from a side."""
        delay = self._hop + self._word_flits
        return self._links.setdefault((number, side), BoundedQueue(self.clock, LINK_WORDS + delay, delay))

    def _send(self, side: Side) -> Unit:
        cols = self._system.package.cols
        row, col = divmod(self._number, cols)
        reader = ScratchpadReader[f"SEND_{side.name}"]
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.SEND, side].get()
            yield self.clock.now + self._nop.command_cycles
            yield from self.semaphores.take((fields["wait_0"], fields["wait_1"]))
            yield self.clock.now + self._nop.send_cycles
            target = fields["target"] - PACKAGE_ORIGIN
            place = (target, col) if side in (Side.NORTH, Side.SOUTH) else (row, target)
            link = self._link(place[0] * cols + place[1], _OPPOSITE[side])
            for chunk in range(fields["chunks"]):
                forwards = fields["forward"] and chunk >= fields["own"]
                for part in range(-(-fields["flits"] // self._word_flits)):
                    if forwards:
                        yield from self._onward[side].get()
                    else:
                        if chunk >= fields["own"]:
                            yield from self.semaphores.take((fields["word_wait"],))
                        yield from self.banks.access(reader, self._place(fields, chunk, part))
                    yield from link.put(None)
                    yield self.clock.now + self._word_flits
            self._done(fields)

    def _receive(self, side: Side) -> Unit:
        link = self._link(self._number, side)
        across = _OPPOSITE[side]
        writer = ScratchpadWriter[f"RECEIVE_{side.name}"]
        while True:
            fields: dict[str, int] = yield from self.queues[Opcode.RECEIVE, side].get()
            yield self.clock.now + self._nop.command_cycles
            yield from self.semaphores.take((fields["wait_0"], fields["wait_1"]))
            for chunk in range(fields["chunks"]):
                forwards = chunk < fields["forwarded"]
                for part in range(-(-fields["flits"] // self._word_flits)):
                    yield from link.get()
                    if fields["join"] and not forwards:
                        yield from self._handed[side].get()
                    elif fields["add"] and not forwards:
                        yield from self.semaphores.take((fields["word_wait"],))
                    if forwards and fields["keep"] != 2:
                        yield from self._onward[side if fields["turn"] else across].put(None)
                    if fields["hand"] and not forwards:
                        yield from self._handed[across].put(None)
                    elif not forwards or fields["keep"]:
                        yield from self.banks.access(writer, self._place(fields, chunk, part))
                        if forwards or not fields["keep"]:
                            self.semaphores.post(
                                (fields["word_post"],), self.clock.now + self._nop.store_cycles
                            )
            self._done(fields)

    def _place(self, fields: dict[str, int], chunk: int, part: int) -> int:
        """A word of a chunk, or the first word of one of its wider flits; only its bank matters."""
        return fields["base"] + chunk * fields["pitch"] + part * self._flit_words

    def _done(self, fields: dict[str, int]) -> None:
        self.commands_left -= 1
        self._end(fields, self._nop.post_cycles)
