"""Programs of a collective: the commands of each die of a line, out of the schedule of the collective.

How a schedule is carried out is said in :mod:`nop.forwarding`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from nop.collectives import Algorithm, CollectiveSchedule, LineOp, Transfer, line, parts
from nop.forwarding import first_up, forwarding, hands_over, slots, walk
from rtl.interface.isa import Opcode, Side, encode
from rtl.interface.limits import QUEUED_FLITS, WAITING

__all__ = ["AXES", "LineAxis", "LineCollective", "gate_command", "line_commands", "sum_order"]


class LineAxis(NamedTuple):
    """Sides of a die along which lines run: towards higher places, and towards lower ones; first semaphore."""

    up: Side
    down: Side
    semaphore: int


AXES = {"row": LineAxis(Side.EAST, Side.WEST, 0), "column": LineAxis(Side.SOUTH, Side.NORTH, 4)}

UP, DOWN, CHASE = 0, 1, 2
"""Semaphores of an axis: gates of its two send units, and words that the one who follows may read; the last two are for
reduce-scatter and all-gather."""
MOST_COMMANDS = WAITING + 1
"""Commands that a unit of the engine takes without having ended the first one."""
READ_AHEAD = 8
"""Commands between the last one of the first part and the gates: by then all units have the first word that they send,
even if all wanted the same bank of the exchange buffer."""
PITCH = 1 << 20


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
        First word of the first chunk in every exchange buffer, and words from one chunk to the next.
    """

    op: LineOp
    algorithm: Algorithm
    nodes: int
    flits: int
    base: int
    pitch: int


def line_commands(work: LineCollective, axis: LineAxis, place: int) -> tuple[list[list[int]], int]:
    """Commands of the die at ``place`` for each part of the op, and the semaphores that let the first part begin.

    Raises
    ------
    ValueError
        If a unit would get more commands of a part than it takes before it begins.
    """
    if work.nodes == 1:
        return [[] for _ in parts(work.op)], 0
    found: list[list[int]] = []
    gates = 0
    last = len(parts(work.op)) - 1
    for number, op in enumerate(parts(work.op)):
        schedule = line(op, work.nodes, work.algorithm)
        kind = forwarding(work.op, op, work.algorithm, work.flits, QUEUED_FLITS)
        make = {"copied": _copied, "passed": _passed, "stored": _stored}[kind]
        commands = make(work, schedule, axis, place, number == 0, number < last)
        for (opcode, side), count in Counter((opcode, fields["side"]) for opcode, fields in commands).items():
            if count > MOST_COMMANDS:
                unit = f"{opcode.name} {Side(side).name.lower()}"
                raise ValueError(f"collective: {count} commands for {unit}: must be at most {MOST_COMMANDS}")
        if number == 0:
            for opcode, fields in commands:
                gates |= fields.get("wait", 0) if opcode == Opcode.SEND else 0
        found.append([encode(opcode, **fields) for opcode, fields in commands])
    return found, gates


def gate_command(first: Iterable[int]) -> int:
    """Number of the command that opens the gates, in dies that have ``first`` commands of the first part."""
    return max(first) + READ_AHEAD


Commands = list[tuple[Opcode, dict[str, int]]]


def _side(axis: LineAxis, up: bool) -> Side:
    return axis.up if up else axis.down


def _chunk(work: LineCollective, slot: int) -> int:
    return work.base + slot * work.pitch


def _bit(axis: LineAxis, number: int) -> int:
    return 1 << (axis.semaphore + number)


def _ways(schedule: CollectiveSchedule, place: int, up: bool) -> tuple[list[int], list[int]]:
    """Chunks that leave a die for higher places (``up``) or lower ones, and those that come from there."""
    return (
        [t.chunk for t in schedule.transfers if t.sender == place and (t.receiver > place) == up],
        [t.chunk for t in schedule.transfers if t.receiver == place and (t.sender > place) == up],
    )


def _chunks(work: LineCollective, chunks: list[int]) -> dict[str, int]:
    """Fields of a command for chunks one after the other."""
    slot = slots(work.algorithm, work.nodes)
    found = walk([slot[chunk] for chunk in chunks], work.nodes)
    lap = {"lap": found.lap, "wrap": -found.step * work.nodes * work.pitch % PITCH} if found.lap else {}
    return {
        "base": _chunk(work, found.first),
        "pitch": found.step * work.pitch % PITCH,
        **lap,
        "chunks": len(chunks),
        "flits": work.flits,
    }


def _copied(
    work: LineCollective, schedule: CollectiveSchedule, axis: LineAxis, place: int, begins: bool, _more: bool
) -> Commands:
    """All-gather: one packet in each direction, of which every die on the way takes a copy."""
    sends: Commands = []
    receives: Commands = []
    for up in (True, False):
        targets = [t.receiver for t in schedule.transfers if t.chunk == place and (t.receiver > place) == up]
        if targets:
            sends.append(
                (
                    Opcode.SEND,
                    {
                        "wait": _bit(axis, UP if up else DOWN),
                        "ahead": int(begins),
                        "side": _side(axis, up),
                        "own": 1,
                        "copy": 1,
                        "target": max(targets) if up else min(targets),
                        "base": _chunk(work, place),
                        "chunks": 1,
                        "flits": work.flits,
                    },
                )
            )
        coming = [t.chunk for t in schedule.transfers if t.receiver == place and (t.sender < place) == up]
        if coming:
            receives.append(
                (
                    Opcode.RECEIVE,
                    {
                        "side": _side(axis, not up),
                        "by_source": 1,
                        "base": work.base,
                        "pitch": work.pitch,
                        "chunks": len(coming),
                        "flits": work.flits,
                    },
                )
            )
    return sends + receives


def _passed(
    work: LineCollective, schedule: CollectiveSchedule, axis: LineAxis, place: int, begins: bool, more: bool
) -> Commands:
    """What comes goes straight on; sums of the die's own chunk from both sides meet there.

    These meet in one of two ways, see :func:`nop.forwarding.hands_over`.
    """
    adds = schedule.op == "reduce-scatter"
    sends: Commands = []
    receives: Commands = []
    first = first_up(place, work.nodes)
    both = adds and all(_ways(schedule, place, up)[1] for up in (True, False))
    joins = both and hands_over(place, work.nodes, work.flits, QUEUED_FLITS)
    follows = both and not joins
    arriving = [t.chunk for t in schedule.transfers if t.receiver == place]
    for up in (True, False):
        leaving, coming = _ways(schedule, place, up)[0], _ways(schedule, place, not up)[1]
        if leaving:
            own = [chunk for chunk in leaving if chunk not in arriving]
            forwards = len(own) < len(leaving)
            sends.append(
                (
                    Opcode.SEND,
                    {
                        "wait": _bit(axis, UP if up else DOWN),
                        "ahead": int(begins),
                        "side": _side(axis, up),
                        "own": len(own),
                        "forward": int(forwards),
                        # At the ends of a line a ring comes back by the same side.
                        "turn": int(forwards and not coming),
                        "target": _target(schedule, place, up),
                        **_chunks(work, leaving),
                    },
                )
            )
        if coming:
            onward = [chunk for chunk in coming if any(t.chunk == chunk for t in _leaving(schedule, place))]
            is_first, is_second = both and up == first, both and up != first
            ready = _gates(work, axis, place) if more and not is_first else 0
            receives.append(
                (
                    Opcode.RECEIVE,
                    {
                        "post": ready,
                        "word_post": _bit(axis, CHASE) if is_first and follows else 0,
                        "word_wait": _bit(axis, CHASE) if is_second and follows else 0,
                        "side": _side(axis, not up),
                        "add": int(adds),
                        "hand": int(is_first and joins),
                        "join": int(is_second and joins),
                        "forwarded": len(onward),
                        "keep": int(not adds and bool(onward)),
                        "turn": int(bool(onward) and not leaving),
                        **_chunks(work, coming),
                    },
                )
            )
    return sends + receives


def sum_order(algorithm: Algorithm, schedule: CollectiveSchedule) -> list[Transfer]:
    """Transfers of a schedule such that sums made one after the other are those of the hardware, bit for bit."""
    if algorithm == "ring":
        return list(schedule.transfers)

    def second(transfer: Transfer) -> bool:
        up = transfer.sender < transfer.receiver
        return transfer.receiver == transfer.chunk and up != first_up(transfer.chunk, schedule.nodes)

    return sorted(schedule.transfers, key=lambda transfer: (second(transfer), transfer.step))


def _stored(
    work: LineCollective, schedule: CollectiveSchedule, axis: LineAxis, place: int, begins: bool, more: bool
) -> Commands:
    """Every chunk that comes around a ring is stored (and added to) before it goes on, word by word."""
    adds = schedule.op == "reduce-scatter"
    chase = _bit(axis, CHASE + adds)
    sends: Commands = []
    receives: Commands = []
    for up in (True, False):
        leaving, coming = _ways(schedule, place, up)
        if leaving:
            sends.append(
                (
                    Opcode.SEND,
                    {
                        "wait": _bit(axis, UP if up else DOWN),
                        "word_wait": chase if len(leaving) > 1 else 0,
                        "ahead": int(begins),
                        "side": _side(axis, up),
                        "own": 1,
                        "target": _target(schedule, place, up),
                        **_chunks(work, leaving),
                    },
                )
            )
        if coming:
            receives.append(
                (
                    Opcode.RECEIVE,
                    {
                        "post": _gates(work, axis, place) if more else 0,
                        "word_post": chase,
                        "side": _side(axis, up),
                        "add": int(adds),
                        "forwarded": len(coming) - 1,
                        "keep": 2,
                        **_chunks(work, coming),
                    },
                )
            )
    return sends + receives


def _leaving(schedule: CollectiveSchedule, place: int) -> list[Transfer]:
    return [transfer for transfer in schedule.transfers if transfer.sender == place]


def _target(schedule: CollectiveSchedule, place: int, up: bool) -> int:
    """Die that the chunks go to which leave by a side."""
    (target,) = {t.receiver for t in _leaving(schedule, place) if (t.receiver > place) == up}
    return target


def _gates(work: LineCollective, axis: LineAxis, place: int) -> int:
    """Gates of the send units of the all-gather, which wait for the die's own chunk."""
    schedule = line("all-gather", work.nodes, work.algorithm)
    ways = {t.receiver > place for t in _leaving(schedule, place)}
    return sum(_bit(axis, UP if up else DOWN) for up in ways)
