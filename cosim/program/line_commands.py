"""Commands of the dies of one line for a collective, made from its schedule.

:mod:`nop.forwarding` describes how the dies of a line carry out a schedule.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from chiplet.machine.queue_depths import COMMANDS_WAITING, QUEUED_FLITS
from chiplet.machine.specs import BUFFER_ADDRESS_BITS
from cosim.program.command import Command
from nop.collectives import (
    Algorithm,
    CollectiveSchedule,
    LineOp,
    Transfer,
    line,
)
from nop.forwarding import first_up, forwarding, hands_over, sendings, slot_sequence, slots
from rtl.interface.isa import Opcode, Side

__all__ = [
    "AXES",
    "PACKAGE_ORIGIN",
    "LineAxis",
    "LineCollective",
    "LineCommands",
    "line_commands",
    "sum_order",
]


class LineAxis(NamedTuple):
    """An axis of the mesh: the side of a die towards the next place, the side towards the previous one, and the first
    semaphore of the axis."""

    up: Side
    down: Side
    semaphore: int


AXES = {"row": LineAxis(Side.EAST, Side.WEST, 24), "column": LineAxis(Side.SOUTH, Side.NORTH, 28)}
"""Software can post semaphores up to 31, and so open the gates."""

PACKAGE_ORIGIN = 1
"""Row and column of the first die of a package: IO dies have column 0."""

UP, DOWN, CHASE = 0, 1, 2
"""Semaphores of an axis, counted from its first one: UP and DOWN hold back the two send units until they may begin,
CHASE counts the words that the unit behind may read. There are two of CHASE, for sums and for copies of whole ones."""
UNIT_COMMANDS = COMMANDS_WAITING + 1
"""Commands that a unit of the engine accepts before it has ended the first one."""


@dataclass(frozen=True)
class LineCollective:
    """A collective on one line of dies.

    Attributes
    ----------
    op, algorithm
        What is done, and how.
    nodes
        Dies of the line.
    flits
        Flits of a chunk.
    base, pitch
        First word of the first chunk in every scratchpad, and words from one chunk to the next.
    """

    op: LineOp
    algorithm: Algorithm
    nodes: int
    flits: int
    base: int
    pitch: int


class LineCommands(NamedTuple):
    """Commands of a die, and the gates that let it begin, as semaphores."""

    commands: list[Command]
    gates: tuple[int, ...]


def line_commands(work: LineCollective, axis: LineAxis, place: int, *, origin: int = 0) -> LineCommands:
    """Return the commands of the die at ``place`` of a line, counted from 0.

    ``origin`` is the row or column of the line's first die, as packets address it.

    Raises
    ------
    ValueError
        If a unit would get more commands than it accepts before it begins, or a field is out of range.
    """
    if work.nodes == 1:
        return LineCommands([], ())
    commands = _LineDie(work, axis, place, origin).commands()
    for (opcode, side), count in Counter((c.opcode, c.fields["side"]) for c in commands).items():
        if count > UNIT_COMMANDS:
            unit = f"{opcode.name} {Side(side).name.lower()}"
            raise ValueError(f"collective: {count} commands for {unit}: must be at most {UNIT_COMMANDS}")
    gates = {command.fields.get("wait_0", 0) for command in commands if command.opcode == Opcode.SEND} - {0}
    return LineCommands(commands, tuple(sorted(gates)))


def sum_order(algorithm: Algorithm, schedule: CollectiveSchedule) -> list[Transfer]:
    """Transfers of a schedule, in an order in which sums equal those of the hardware bit for bit."""
    if algorithm == "ring" or schedule.homes is not None:
        return list(schedule.transfers)

    def second(transfer: Transfer) -> bool:
        up = transfer.sender < transfer.receiver
        return transfer.receiver == transfer.chunk and up != first_up(transfer.chunk, schedule.nodes)

    return sorted(schedule.transfers, key=lambda transfer: (second(transfer), transfer.step))


class _LineDie:
    """Makes the commands of one die of a line."""

    def __init__(self, work: LineCollective, axis: LineAxis, place: int, origin: int) -> None:
        self._work, self._axis, self._place, self._origin = work, axis, place, origin
        self._schedule = line(work.op, work.nodes, work.algorithm)
        self._how = forwarding(work.op, work.algorithm, work.nodes, work.flits, QUEUED_FLITS)

    def commands(self) -> list[Command]:
        """The commands: those of the send units, then those of the receive units."""
        if self._work.op == "all-reduce":
            return self._all_reduce()
        return self._passed() if self._how == "passed" else self._stored()

    def _all_reduce(self) -> list[Command]:
        """Of each side a RECEIVE of sums and one of copies. All sums go on, and those that are complete come back as
        copies. What one RECEIVE forwards is sent by one SEND, behind chunks of the die's own.
        """
        place, schedule = self._place, self._schedule
        turns = schedule.homes is None or place in schedule.homes
        stores = turns and self._how == "stored"
        sends: list[Command] = []
        receives: list[Command] = []
        onward: dict[
            tuple[int, bool], tuple[int, bool]
        ] = {}  # by what comes and from where: chunks, and where to
        for up in (True, False):
            for number, sending in enumerate(sendings(schedule, place, up)):
                chunks = [*sending.own, *(chunk for _, chunk in sending.forwarded)]
                comes = up
                if sending.forwarded:
                    comes = self._comes(sending.received, sending.forwarded[0][1])
                    onward[sending.received, comes] = len(sending.forwarded), up
                passes = bool(sending.forwarded) and not stores
                sends.append(
                    self._send(
                        up,
                        sending.receiver,
                        gated=int(not number),
                        own=len(sending.own),
                        forward=int(passes),
                        turn=int(passes and comes == up),
                        word_wait=self._chase(sending.received) if sending.forwarded and stores else 0,
                        **self._range(chunks),
                    )
                )
        for part, of in enumerate(schedule.parts()):
            for up in (True, False):
                arriving = [t.chunk for t in of.transfers if t.receiver == place and (t.sender > place) == up]
                if not arriving:
                    continue
                forwarded, way = onward.get((part, up), (0, up))
                keeps = turns or part == 1
                receives.append(
                    self._receive(
                        up,
                        word_post=self._chase(part) if forwarded and stores else 0,
                        add=int(part == 0),
                        forwarded=forwarded,
                        keep=(2 if stores else int(keeps)) if forwarded else 0,
                        turn=int(bool(forwarded) and not stores and way == up),
                        **self._range(arriving),
                    )
                )
        return sends + receives

    def _passed(self) -> list[Command]:
        """What arrives goes straight on; sums of the die's own chunk from both sides meet there.

        These meet in one of two ways, see :func:`nop.forwarding.hands_over`.
        """
        work, place = self._work, self._place
        adds = self._work.op == "reduce-scatter"
        sends: list[Command] = []
        receives: list[Command] = []
        first = first_up(place, work.nodes)
        both = adds and all(self._chunks_of(up)[1] for up in (True, False))
        joins = both and hands_over(place, work.nodes, work.flits, QUEUED_FLITS)
        follows = both and not joins
        all_arriving = {t.chunk for t in self._schedule.transfers if t.receiver == place}
        all_leaving = {t.chunk for t in self._leaving()}
        for up in (True, False):
            leaving, arriving = self._chunks_of(up)[0], self._chunks_of(not up)[1]
            if leaving:
                own = [chunk for chunk in leaving if chunk not in all_arriving]
                forwards = len(own) < len(leaving)
                sends.append(
                    self._send(
                        up,
                        self._target(up),
                        own=len(own),
                        forward=int(forwards),
                        # At the ends of a line a ring comes back by the same side.
                        turn=int(forwards and not arriving),
                        **self._range(leaving),
                    )
                )
            if arriving:
                onward = [chunk for chunk in arriving if chunk in all_leaving]
                is_first, is_second = both and up == first, both and up != first
                receives.append(
                    self._receive(
                        not up,
                        word_post=self._semaphore(CHASE) if is_first and follows else 0,
                        word_wait=self._semaphore(CHASE) if is_second and follows else 0,
                        add=int(adds),
                        hand=int(is_first and joins),
                        join=int(is_second and joins),
                        forwarded=len(onward),
                        keep=int(not adds and bool(onward)),
                        turn=int(bool(onward) and not leaving),
                        **self._range(arriving),
                    )
                )
        return sends + receives

    def _stored(self) -> list[Command]:
        """Every chunk that comes around a ring is stored (and added to) before it goes on, word by word."""
        adds = self._work.op == "reduce-scatter"
        chase = self._semaphore(CHASE)
        sends: list[Command] = []
        receives: list[Command] = []
        for up in (True, False):
            leaving, arriving = self._chunks_of(up)
            if leaving:
                sends.append(
                    self._send(
                        up,
                        self._target(up),
                        word_wait=chase if len(leaving) > 1 else 0,
                        own=1,
                        **self._range(leaving),
                    )
                )
            if arriving:
                receives.append(
                    self._receive(
                        up,
                        word_post=chase,
                        add=int(adds),
                        forwarded=len(arriving) - 1,
                        keep=2,
                        **self._range(arriving),
                    )
                )
        return sends + receives

    def _send(self, up: bool, target: int, *, gated: int = 1, **fields: int) -> Command:
        """A SEND to the die at ``target``, by the side towards higher places (``up``) or lower ones. The first one of a
        unit waits until it may begin.
        """
        gate = self._semaphore(UP if up else DOWN)
        common = {"wait_0": gate if gated else 0, "ahead": gated, "side": self._side(up)}
        return Command(Opcode.SEND, {**common, "target": target + self._origin, **fields})

    def _receive(self, up: bool, **fields: int) -> Command:
        """A RECEIVE of what arrives by the side towards higher places (``up``) or lower ones."""
        return Command(Opcode.RECEIVE, {"side": self._side(up), **fields})

    def _side(self, up: bool) -> Side:
        return self._axis.up if up else self._axis.down

    def _semaphore(self, number: int) -> int:
        return self._axis.semaphore + number

    def _leaving(self) -> list[Transfer]:
        return [transfer for transfer in self._schedule.transfers if transfer.sender == self._place]

    def _chunks_of(self, up: bool) -> tuple[list[int], list[int]]:
        """Chunks that leave the die towards higher places (``up``) or lower ones, and those that arrive from there."""
        place = self._place
        return (
            [t.chunk for t in self._leaving() if (t.receiver > place) == up],
            [t.chunk for t in self._schedule.transfers if t.receiver == place and (t.sender > place) == up],
        )

    def _range(self, chunks: list[int]) -> dict[str, int]:
        """Fields of a command for chunks one after the other."""
        work = self._work
        slot = slots(work.algorithm, work.nodes)
        path = slot_sequence([slot[chunk] for chunk in chunks], work.nodes)
        lap = {"lap": path.lap, "wrap": _words(-path.step * work.nodes * work.pitch)} if path.lap else {}
        return {
            "base": work.base + path.first * work.pitch,
            "pitch": _words(path.step * work.pitch),
            **lap,
            "chunks": len(chunks),
            "flits": work.flits,
        }

    def _target(self, up: bool) -> int:
        """The only die that chunks leaving by a side go to."""
        (target,) = {t.receiver for t in self._leaving() if (t.receiver > self._place) == up}
        return target

    def _comes(self, part: int, chunk: int) -> bool:
        """Whether a chunk comes from higher places in a part of the schedule, or from lower ones."""
        return next(
            t.sender > self._place
            for t in self._schedule.parts()[part].transfers
            if t.receiver == self._place and t.chunk == chunk
        )

    def _chase(self, part: int) -> int:
        return self._semaphore(CHASE + part)


def _words(distance: int) -> int:
    """A distance between words of the scratchpad, as a field holds it."""
    return distance % (1 << BUFFER_ADDRESS_BITS)
