"""Programs of a collective: the commands of each die of a line, out of the schedule of the collective.

How a schedule is carried out is said in :mod:`nop.carriage`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from nop.carriage import carriage, first_up, hands_over, parts, runs, slots
from nop.collectives import Algorithm, Schedule, Transfer, line
from nop.floor import LineOp
from rtl.engine import HANDED_FLITS, WAITING
from rtl.isa import Opcode, Side, encode

__all__ = ["AXES", "Axis", "Line", "line_commands", "sum_order"]


class Axis(NamedTuple):
    """Sides of a die along which lines run: towards higher places, and towards lower ones; first semaphore."""

    up: Side
    down: Side
    semaphore: int


AXES = {"row": Axis(Side.EAST, Side.WEST, 0), "column": Axis(Side.SOUTH, Side.NORTH, 4)}

UP, DOWN, CHASE = 0, 1, 2
"""Semaphores of an axis: gates of its two send units, words that a send unit may read, in each direction."""
MOST_COMMANDS = WAITING + 1
"""Commands that a unit of the engine takes without having ended the first one."""
PITCH = 1 << 20


@dataclass(frozen=True)
class Line:
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


def line_commands(work: Line, axis: Axis, place: int) -> tuple[list[list[int]], int]:
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
        make = {"copied": _copied, "passed": _passed, "stored": _stored}[carriage(schedule)]
        commands = make(work, schedule, axis, place, number < last)
        for (opcode, side), count in Counter((opcode, fields["side"]) for opcode, fields in commands).items():
            if count > MOST_COMMANDS:
                unit = f"{opcode.name} {Side(side).name.lower()}"
                raise ValueError(f"collective: {count} commands for {unit}: must be at most {MOST_COMMANDS}")
        if number == 0:
            for opcode, fields in commands:
                gates |= fields.get("wait", 0) if opcode == Opcode.SEND else 0
        found.append([encode(opcode, **fields) for opcode, fields in commands])
    return found, gates


Commands = list[tuple[Opcode, dict[str, int]]]


def _side(axis: Axis, up: bool) -> Side:
    return axis.up if up else axis.down


def _chunk(work: Line, slot: int) -> int:
    return work.base + slot * work.pitch


def _bit(axis: Axis, number: int) -> int:
    return 1 << (axis.semaphore + number)


def _copied(work: Line, schedule: Schedule, axis: Axis, place: int, _following: bool) -> Commands:
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
                        "side": _side(axis, up),
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


def _passed(work: Line, schedule: Schedule, axis: Axis, place: int, following: bool) -> Commands:
    """Reduce-scatter: sums go through, and those of the die's own chunk meet there.

    The sums meet in one of two ways, see :func:`nop.carriage.hands_over`.
    """
    sends: Commands = []
    receives: Commands = []
    first = first_up(place, work.nodes)
    both = 0 < place < work.nodes - 1
    joins = both and hands_over(place, work.nodes, work.flits, HANDED_FLITS)
    follows = both and not joins
    for up in (True, False):
        leaving = [t.chunk for t in schedule.transfers if t.sender == place and (t.receiver > place) == up]
        coming = [t.chunk for t in schedule.transfers if t.receiver == place and (t.sender < place) == up]
        if leaving:
            step = leaving[1] - leaving[0] if len(leaving) > 1 else 0
            sends.append(
                (
                    Opcode.SEND,
                    {
                        "wait": _bit(axis, UP if up else DOWN),
                        "side": _side(axis, up),
                        "forward": int(bool(coming)),
                        "target": place + (1 if up else -1),
                        "base": _chunk(work, leaving[0]),
                        "pitch": step * work.pitch % PITCH,
                        "chunks": len(leaving),
                        "flits": work.flits,
                    },
                )
            )
        if coming:
            step = coming[1] - coming[0] if len(coming) > 1 else 0
            is_first, is_second = both and up == first, both and up != first
            # Both send units of the all-gather that follows wait for the die's own chunk.
            sending = [UP] * (place < work.nodes - 1) + [DOWN] * (place > 0)
            ready = sum(_bit(axis, number) for number in sending) if following and not is_first else 0
            receives.append(
                (
                    Opcode.RECEIVE,
                    {
                        "post": ready,
                        "word_post": _bit(axis, CHASE) if is_first and follows else 0,
                        "word_wait": _bit(axis, CHASE) if is_second and follows else 0,
                        "side": _side(axis, not up),
                        "add": 1,
                        "hand": int(is_first and joins),
                        "join": int(is_second and joins),
                        "forwarded": len(coming) - 1,
                        "base": _chunk(work, coming[0]),
                        "pitch": step * work.pitch % PITCH,
                        "chunks": len(coming),
                        "flits": work.flits,
                    },
                )
            )
    return sends + receives


def sum_order(algorithm: Algorithm, schedule: Schedule) -> list[Transfer]:
    """Transfers of a schedule such that sums made one after the other are those of the hardware, bit for bit."""
    if algorithm == "ring":
        return list(schedule.transfers)

    def second(transfer: Transfer) -> bool:
        up = transfer.sender < transfer.receiver
        return transfer.receiver == transfer.chunk and up != first_up(transfer.chunk, schedule.nodes)

    return sorted(schedule.transfers, key=lambda transfer: (second(transfer), transfer.step))


def _stored(work: Line, schedule: Schedule, axis: Axis, place: int, following: bool) -> Commands:
    """Every chunk that comes is stored (and added to) before it goes on, word by word."""
    adds = schedule.op == "reduce-scatter"
    slot = slots(work.algorithm, work.nodes)
    leaving = [t for t in schedule.transfers if t.sender == place]
    coming = [t for t in schedule.transfers if t.receiver == place]
    arrived = {t.chunk for t in coming}
    passed_on = {t.chunk for t in leaving}
    (target,) = {t.receiver for t in leaving}
    (source,) = {t.sender for t in coming}
    out_up, in_up = target > place, source < place
    chase = _bit(axis, CHASE + adds)
    begin = _bit(axis, UP if out_up else DOWN)
    sends: Commands = []
    for number, run in enumerate(runs((slot[t.chunk], t.chunk in arrived) for t in leaving)):
        sends.append(
            (
                Opcode.SEND,
                {
                    "wait": begin if number == 0 else 0,
                    "word_wait": chase if run.flag else 0,
                    "side": _side(axis, out_up),
                    "target": target,
                    "base": _chunk(work, run.first),
                    "pitch": run.step * work.pitch % PITCH,
                    "chunks": run.length,
                    "flits": work.flits,
                },
            )
        )
    receives: Commands = []
    found = runs((slot[t.chunk], t.chunk in passed_on) for t in coming)
    for number, run in enumerate(found):
        after = _next_gate(schedule, axis, place) if following and number == len(found) - 1 else 0
        receives.append(
            (
                Opcode.RECEIVE,
                {
                    "post": after,
                    "word_post": chase if run.flag else 0,
                    "side": _side(axis, not in_up),
                    "add": int(adds),
                    "base": _chunk(work, run.first),
                    "pitch": run.step * work.pitch % PITCH,
                    "chunks": run.length,
                    "flits": work.flits,
                },
            )
        )
    return sends + receives


def _next_gate(schedule: Schedule, axis: Axis, place: int) -> int:
    """Gate of the send unit that the mirrored schedule uses."""
    (target,) = {t.receiver for t in schedule.mirrored().transfers if t.sender == place}
    return _bit(axis, UP if target > place else DOWN)
