"""Predicted cycles of a collective on a line of dies: an event simulation of its schedule on links and engines.

The unit of simulation is a stream: the flits of one chunk over one link. A stream has a first and a last cycle and at
most one flit a cycle. This is exact, as every stage on its way forwards one flit a cycle: a stream leaves a stage
from ``first`` on, and its last flit leaves once it has arrived and ``flits`` cycles have passed. A link with frames
takes longer, see :mod:`nop.framed_link`; packets that follow each other share them. A packet holds a link from its
head to its tail. The die's own packets and packets that pass through take turns. Buffers are assumed to have room;
one that holds a single flit takes the next one when that has left, so its link has a flit in every second cycle.

The commands of the dies, their order and their waits are those of :mod:`nop.forwarding`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import NamedTuple

from nop.chunk_stream import ChunkStream
from nop.collectives import ALGORITHMS, OPS, Algorithm, CollectiveSchedule, LineOp, line
from nop.forwarding import Forwarding, first_up, forwarding, hands_over, sendings
from nop.framed_link import FramedLink, Frames
from nop.terms import NopTerms

__all__ = ["predict_line"]


class _UnitTask(NamedTuple):
    """One chunk in the commands of a unit.

    ``begins``: the chunk is the first of a command. For a send unit: the ``target``, and whether the chunk ``comes``
    from another die, or is summed of what comes.
    """

    part: int
    chunk: int
    begins: bool
    target: int = -1
    comes: bool = False


@dataclass
class _Unit:
    """A send or receive unit: its tasks, the number of the next one, and when it is free for that or a new command.

    ``came``: packets that wait at a receive unit. ``asked``: the send unit has offered its next chunk to the link.
    """

    tasks: list[_UnitTask] = field(default_factory=list)
    number: int = 0
    free: float = -inf
    over: float = -inf
    came: deque[_Packet] = field(default_factory=deque)
    asked: bool = False

    @property
    def task(self) -> _UnitTask | None:
        """The next task."""
        return self.tasks[self.number] if self.number < len(self.tasks) else None


Direction = tuple[int, bool]
"""Place of a die, and whether the direction is towards higher places."""


class _Packet(NamedTuple):
    """A chunk that waits for a link, and the cycles in which its flits are ready."""

    task: _UnitTask
    ready: ChunkStream


@dataclass
class _Link:
    """Output of a router: packets of the die's own engine, packets that pass through, and when the link is free.

    ``waiting``: packets whose flits are in the last frame, which is not complete, with the place of their first one.
    """

    frames: FramedLink | None
    own: deque[_Packet] = field(default_factory=deque)
    through: deque[_Packet] = field(default_factory=deque)
    free: float = 0.0
    served_own: bool = True
    waiting: list[tuple[_Packet, int]] = field(default_factory=list)


def predict_line(
    op: LineOp,
    nodes: int,
    algorithm: Algorithm,
    flits: int,
    per_word: int,
    terms: NopTerms | None = None,
    *,
    queued_flits: int,
    frames: Frames | None = None,
) -> float:
    """Cycles from the first flit that leaves an engine to the last one that enters an engine; 0 for one die.

    Parameters
    ----------
    op, algorithm
        The collective and its algorithm.
    nodes, flits
        Dies of the line, flits of a chunk, at least 1.
    per_word
        Flits in a word of the scratchpad.
    terms
        Cycles of the parts; those of the design unless given.
    queued_flits
        Flits that wait in a receive unit to go on.
    frames
        Those of the links, if they have adapters. ``terms`` then have the latency of a frame with as many flits of a
        chunk as it holds.

    Raises
    ------
    ValueError
        For an unknown op or algorithm, or a size below 1.
    """
    if op not in OPS:
        raise ValueError(f"collective op {op!r}: must be one of {', '.join(OPS)}")
    if algorithm not in ALGORITHMS:
        raise ValueError(f"collective algorithm {algorithm!r}: must be one of {', '.join(ALGORITHMS)}")
    sizes = {"nodes": nodes, "flits": flits, "per_word": per_word}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} = {value}: must be at least 1")
    if nodes == 1:
        return 0.0
    how = forwarding(op, algorithm, nodes, flits, queued_flits)
    line_at_work = _LineSimulation(
        line(op, nodes, algorithm),
        how,
        flits,
        per_word,
        terms or NopTerms(),
        queued_flits,
        frames,
    )
    return line_at_work.run()


class _LineSimulation:
    """The state of all dies and links of one line."""

    def __init__(
        self,
        schedule: CollectiveSchedule,
        how: Forwarding,
        flits: int,
        per_word: int,
        terms: NopTerms,
        queued_flits: int,
        frames: Frames | None,
    ) -> None:
        nodes = schedule.nodes
        self._nodes, self._flits, self._terms = nodes, flits, terms
        self._queued_flits, self._per_word = queued_flits, per_word
        # What the terms have of the frame in which the first flit leaves.
        self._framed = 0 if frames is None else frames.cycles[min(flits, len(frames.slots))]
        # Own chunks are there from the start.
        self._own = ChunkStream(0.0, 0.0, () if frames is None else (0.0,) * flits)
        # Cycles from a flit of a sender to its next one: an adapter has room where a router's buffer has none.
        self._step = terms.link_cycles if frames is None else 1.0
        # From the first to the last flit of a chunk, of its first word, and of its last one.
        self._span = (flits - 1) * terms.link_cycles
        self._first_word = (min(per_word, flits) - 1) * terms.link_cycles
        self._last_word = (flits - 1) % per_word * terms.link_cycles
        self._schedule, self._how = schedule, how
        self._parts = schedule.parts()
        sides: list[Direction] = [(place, up) for place in range(nodes) for up in (True, False)]
        self._links = {
            side: _Link(None if frames is None else FramedLink(frames, terms.link_cycles)) for side in sides
        }
        self._senders = {side: _Unit() for side in sides}
        self._receivers = {side: _Unit() for side in sides}
        # By part, die, chunk: what can be sent on, and whether a receive unit passes it on.
        self._there: dict[tuple[int, int, int], tuple[ChunkStream, bool]] = {}
        self._sent_on: set[tuple[int, int, int]] = set()  # the same, for what will be there
        self._between: set[int] = set()  # dies where sums of a chunk from both sides meet
        self._meeting: dict[
            int, ChunkStream
        ] = {}  # by die: the sum from one side, to which the other is added
        self._events: list[tuple[float, bool, int, Callable[[float], None]]] = []
        self._numbers = count()
        self._last = 0.0
        for place in range(nodes):
            for up in (True, False):
                self._add_tasks(place, up)

    def _add_tasks(self, place: int, up: bool) -> None:
        """Give the units of a side of a die their commands."""
        for number, part in enumerate(self._parts):
            coming = [t for t in part.transfers if t.receiver == place]
            if part.op == "reduce-scatter" and len(self._parts) == 1 and len({t.sender for t in coming}) > 1:
                self._between.add(place)
            came = [t.chunk for t in coming if (t.sender < place) == up]
            self._receivers[place, up].tasks += [
                _UnitTask(number, chunk, not first) for first, chunk in enumerate(came)
            ]
        for sending in sendings(self._schedule, place, up):
            self._sent_on |= {(part, place, chunk) for part, chunk in sending.forwarded}
            chunks = [
                *((0, chunk, False) for chunk in sending.own),
                *((*sent, True) for sent in sending.forwarded),
            ]
            self._senders[place, up].tasks += [
                _UnitTask(part, chunk, not first, sending.receiver, comes)
                for first, (part, chunk, comes) in enumerate(chunks)
            ]

    def run(self) -> float:
        """Simulate; return the last cycle in which a flit arrived."""
        for side in self._senders:
            self._offer(side)
        while self._events:
            now, _, _, what = heapq.heappop(self._events)
            what(now)
        return self._last

    def _at(self, time: float, what: Callable[[float], None], *, late: bool = False) -> None:
        """Schedule an action; a late one runs after all others of its cycle."""
        heapq.heappush(self._events, (time, late, next(self._numbers), what))

    def _go(self, unit: _Unit) -> float:
        """Cycle in which the next command asks for its semaphores."""
        return unit.over + self._terms.command_cycles

    def _offer(self, side: Direction) -> None:
        """Let a send unit ask for its link if its next chunk has arrived."""
        unit, terms = self._senders[side], self._terms
        task = unit.task
        if task is None or unit.asked:
            return
        place = side[0]
        ready, passes = self._own, False
        if task.comes:
            if (task.part, place, task.chunk) not in self._there:
                return
            ready, passes = self._there[task.part, place, task.chunk]
        first = unit.free
        if task.begins:
            first = self._go(unit) + (terms.pass_cycles if passes else terms.send_cycles)
        unit.asked = True
        first = max(first, ready.first)
        times = ready.behind(first, self._step)
        packet = _Packet(task, ChunkStream(first, max(ready.last, first + self._span), times))
        self._at(first, lambda _: self._ask(side, self._links[side].own, packet))

    def _ask(self, side: Direction, queue: deque[_Packet], packet: _Packet) -> None:
        queue.append(packet)
        self._at(packet.ready.first, lambda now: self._grant(side, now), late=True)

    def _grant(self, side: Direction, now: float) -> None:
        """Give a free link to the next packet: the die's own packets and passing packets take turns."""
        link = self._links[side]
        if link.free > now or not (link.own or link.through):
            return
        own = bool(link.own) and not (link.through and link.served_own)
        packet = (link.own if own else link.through).popleft()
        link.served_own = own
        if link.frames is None:
            sent = ChunkStream(now, max(packet.ready.last, now + self._span))
            self._sent(side, own, sent.last)
            self._arrive(side, packet, sent)
        else:
            self._put(side, own, packet, now, link.frames)

    def _sent(self, side: Direction, own: bool, last: float) -> None:
        """Go on when the last flit of a packet has left in the cycle ``last``."""
        link = self._links[side]
        link.free = last + self._step
        self._at(link.free, lambda now: self._grant(side, now), late=True)
        if own:
            unit = self._senders[side]
            unit.free, unit.over, unit.asked = link.free, last, False
            unit.number += 1
            self._offer(side)

    def _put(self, side: Direction, own: bool, packet: _Packet, now: float, frames: FramedLink) -> None:
        """Put the flits of a packet into frames; it arrives once the frame of its first flit is complete."""
        opened = frames.number
        places, ends = frames.put(packet.ready.behind(now, self._step))
        first = places[0]
        self._sent(side, own, places[-1].taken)
        if opened in ends:
            self._complete(side, frames, ends[opened])
        if first.frame in ends:
            times = frames.come(ends.get(place.frame, frames.end) + place.number for place in places)
            self._arrive(side, packet, ChunkStream(times[0], times[-1], times))
            return
        self._links[side].waiting.append((packet, first.number))
        # Behind all packets that are granted the link in that cycle.
        self._at(frames.closes + 0.5, lambda now: self._close(side, first.frame, now))

    def _close(self, side: Direction, frame: int, now: float) -> None:
        """End the last frame of a link if it waits for a flit in vain."""
        frames = self._links[side].frames
        if frames is not None and frames.number == frame and frames.closes < now:
            self._complete(side, frames, frames.end)

    def _complete(self, side: Direction, frames: FramedLink, end: float) -> None:
        """Let the packets that wait for the end of a frame arrive, as it is complete."""
        waiting, self._links[side].waiting = self._links[side].waiting, []
        for packet, first in waiting:
            times = frames.come(end + first + number for number in range(self._flits))
            self._arrive(side, packet, ChunkStream(times[0], times[-1], times))

    def _arrive(self, side: Direction, packet: _Packet, sent: ChunkStream) -> None:
        """Let a packet arrive whose flits leave like that. A flit leaves at the end of its frame, a cycle after the one
        before it in the frame.
        """
        place, up = side
        place += 1 if up else -1
        target = place == packet.task.target
        after = (self._terms.hop_cycles if target else self._terms.bypass_cycles) - self._framed
        came = sent.later(after)
        if target:
            self._receivers[place, up].came.append(packet._replace(ready=came))
            while self._take((place, up)):
                pass
        else:
            self._onward((place, up), packet, came)

    def _onward(self, side: Direction, packet: _Packet, ready: ChunkStream) -> None:
        """Let a passing packet ask for its next link."""
        onward = packet._replace(ready=ready)
        self._at(ready.first, lambda _: self._ask(side, self._links[side].through, onward))

    def _take(self, side: Direction) -> bool:
        """Let a receive unit take the next chunk that has arrived; return whether it could."""
        unit, terms = self._receivers[side], self._terms
        task = unit.task
        if task is None or not unit.came:
            return False
        place, up = side
        chunk, came = task.chunk, unit.came[0].ready
        adds = self._parts[task.part].op == "reduce-scatter"
        ready = unit.free
        if task.begins:
            ready = self._go(unit) + (terms.send_cycles if adds else terms.pass_cycles)
        first, last, times = max(came.first, ready), came.last, came.times
        # Sums of the die's own chunk that arrive from both sides.
        meets = chunk == place and place in self._between
        second = meets and up != first_up(place, self._nodes)
        if second:
            if place not in self._meeting:
                return False
            other = self._meeting[place]
            first, last = max(first, other.first), max(last, other.last)
            times = tuple(map(max, times, other.times))
        last = max(last, first + self._span)
        times = ChunkStream(first, last, times).behind(first, terms.link_cycles)
        self._last = max(self._last, last)
        added = terms.add_cycles if adds else 0.0
        unit.came.popleft()
        unit.number += 1
        unit.free, unit.over = last + terms.link_cycles, last + added
        out = ChunkStream(first, last, times).later(added)
        if meets and not second:
            self._meeting[place] = self._met(place, out)
            self._take((place, not up))
        else:
            self._goes_on(place, task, out)
        for way in (True, False):
            self._offer((place, way))
        return True

    def _goes_on(self, place: int, task: _UnitTask, out: ChunkStream) -> None:
        """Let a chunk that a receive unit has taken be sent on, or the sum of which it is the last part."""
        part, chunk = task.part, task.chunk
        if self._parts[part].op == "reduce-scatter" and self._schedule.home(chunk) == place:
            part += 1
        if (part, place, chunk) not in self._sent_on:
            return
        # On a chain only the ends store, where sums turn back.
        passes = self._how == "passed" or (self._schedule.homes is not None and part == task.part)
        self._there[part, place, chunk] = (out if passes else self._stored(out)), passes

    def _met(self, place: int, out: ChunkStream) -> ChunkStream:
        """When the sum from one side is available to the sum from the other."""
        if not hands_over(place, self._nodes, self._flits, self._queued_flits):
            return self._stored(out)
        return out.later(self._terms.hand_cycles)

    def _stored(self, out: ChunkStream) -> ChunkStream:
        """When a chunk that goes through the scratchpad is available again."""
        store, size = self._terms.store_cycles, self._per_word
        times = tuple(
            out.times[min(number - number % size + size, self._flits) - 1] + store + number % size
            for number in range(len(out.times))
        )
        return ChunkStream(out.first + self._first_word + store, out.last + store + self._last_word, times)
