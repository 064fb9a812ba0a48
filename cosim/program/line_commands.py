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
    CollectivePart,
    CollectiveSchedule,
    LineOp,
    Transfer,
    line,
    parts,
)
from nop.forwarding import first_up, forwarding, hands_over, slot_sequence, slots
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
CHASE counts the words that the unit behind may read. There are two of CHASE, for all-gather and for reduce-scatter."""
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
    """Commands of a die for each part of the op, and the gates that let the first part begin, as semaphores."""

    parts: list[list[Command]]
    gates: tuple[int, ...]


def line_commands(work: LineCollective, axis: LineAxis, place: int, *, origin: int = 0) -> LineCommands:
    """Return the commands of the die at ``place`` of a line, counted from 0.

    ``origin`` is the row or column of the line's first die, as packets address it.

    Raises
    ------
    ValueError
        If a unit would get more commands of a part than it accepts before it begins, or a field is out of range.
    """
    ops = parts(work.op)
    if work.nodes == 1:
        return LineCommands([[] for _ in ops], ())
    commands_of_parts = []
    for number, op in enumerate(ops):
        die = _LineDie(work, axis, place, origin, op, begins=number == 0, more=number < len(ops) - 1)
        commands = die.commands()
        for (opcode, side), count in Counter((c.opcode, c.fields["side"]) for c in commands).items():
            if count > UNIT_COMMANDS:
                unit = f"{opcode.name} {Side(side).name.lower()}"
                raise ValueError(f"collective: {count} commands for {unit}: must be at most {UNIT_COMMANDS}")
        commands_of_parts.append(commands)
    gates = {command.fields["wait_0"] for command in commands_of_parts[0] if command.opcode == Opcode.SEND}
    return LineCommands(commands_of_parts, tuple(sorted(gates)))


def sum_order(algorithm: Algorithm, schedule: CollectiveSchedule) -> list[Transfer]:
    """Transfers of a schedule, in an order in which sums equal those of the hardware bit for bit."""
    if algorithm == "ring":
        return list(schedule.transfers)

    def second(transfer: Transfer) -> bool:
        up = transfer.sender < transfer.receiver
        return transfer.receiver == transfer.chunk and up != first_up(transfer.chunk, schedule.nodes)

    return sorted(schedule.transfers, key=lambda transfer: (second(transfer), transfer.step))


class _LineDie:
    """Makes the commands of one die of a line for one part of the op.

    ``begins`` is True for the first part, ``more`` if another part follows.
    """

    def __init__(
        self,
        work: LineCollective,
        axis: LineAxis,
        place: int,
        origin: int,
        op: CollectivePart,
        *,
        begins: bool,
        more: bool,
    ) -> None:
        self._work, self._axis, self._place, self._origin, self._op = work, axis, place, origin, op
        self._begins, self._more = begins, more
        self._schedule = line(op, work.nodes, work.algorithm)

    def commands(self) -> list[Command]:
        """The commands: those of the send units, then those of the receive units."""
        work = self._work
        make = {"copied": self._copied, "passed": self._passed, "stored": self._stored}
        return make[forwarding(work.op, self._op, work.algorithm, work.flits, QUEUED_FLITS)]()

    def _copied(self) -> list[Command]:
        """All-gather: one packet in each direction, of which every die on the way takes a copy."""
        work, place = self._work, self._place
        sends: list[Command] = []
        receives: list[Command] = []
        for up in (True, False):
            targets = [
                t.receiver
                for t in self._schedule.transfers
                if t.chunk == place and (t.receiver > place) == up
            ]
            if targets:
                sends.append(
                    self._send(
                        up,
                        max(targets) if up else min(targets),
                        own=1,
                        copy=1,
                        base=work.base + place * work.pitch,
                        chunks=1,
                        flits=work.flits,
                    )
                )
            arriving = [
                t.chunk for t in self._schedule.transfers if t.receiver == place and (t.sender < place) == up
            ]
            if arriving:
                receives.append(
                    self._receive(
                        not up,
                        by_source=1,
                        # The base is that of sender 0: the line's first die has number ``origin``.
                        base=_words(work.base - self._origin * work.pitch),
                        pitch=work.pitch,
                        chunks=len(arriving),
                        flits=work.flits,
                    )
                )
        return sends + receives

    def _passed(self) -> list[Command]:
        """What arrives goes straight on; sums of the die's own chunk from both sides meet there.

        These meet in one of two ways, see :func:`nop.forwarding.hands_over`.
        """
        work, place = self._work, self._place
        adds = self._op == "reduce-scatter"
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
                        **(self._opening() if self._more and not is_first else {}),
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
        adds = self._op == "reduce-scatter"
        chase = self._semaphore(CHASE + adds)
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
                        **(self._opening() if self._more else {}),
                        word_post=chase,
                        add=int(adds),
                        forwarded=len(arriving) - 1,
                        keep=2,
                        **self._range(arriving),
                    )
                )
        return sends + receives

    def _send(self, up: bool, target: int, **fields: int) -> Command:
        """A SEND to the die at ``target``, by the side towards higher places (``up``) or lower ones."""
        gate = self._semaphore(UP if up else DOWN)
        common = {"wait_0": gate, "ahead": int(self._begins), "side": self._side(up)}
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

    def _opening(self) -> dict[str, int]:
        """Posts to the gates of the send units of the all-gather, which wait for the die's own chunk."""
        schedule = line("all-gather", self._work.nodes, self._work.algorithm)
        ways = {t.receiver > self._place for t in schedule.transfers if t.sender == self._place}
        gates = sorted(self._semaphore(UP if up else DOWN) for up in ways)
        return {f"post_{number}": gate for number, gate in enumerate(gates)}


def _words(distance: int) -> int:
    """A distance between words of the scratchpad, as a field holds it."""
    return distance % (1 << BUFFER_ADDRESS_BITS)
