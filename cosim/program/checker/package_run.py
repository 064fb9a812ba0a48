"""One run of the programs of all dies, without time: chunks pass from send units to receive units, and on.

A chunk passes when the send unit, every receive unit that it reaches, and every unit to which these hand it on at once
have begun it. It waits nowhere but in the queue of a receive unit that forwards, if it fits there: a network that holds
more never stops where this one goes on.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chiplet.machine.queue_depths import QUEUED_FLITS
from cosim.program.checker.access_order import AccessOrder
from cosim.program.checker.command_steps import CommandSteps, opposite
from cosim.program.checker.queue_run import DieRun, QueuedProgram
from cosim.program.checker.step_clocks import Passing
from rtl.interface.isa import Side

__all__ = ["DieUnit", "Grid", "PackageRun", "routes"]

_STEPS = {Side.NORTH: (-1, 0), Side.EAST: (0, 1), Side.SOUTH: (1, 0), Side.WEST: (0, -1)}

DieUnit = tuple[int, str]
"""Number of a die, and one of its units."""


@dataclass(frozen=True)
class Grid:
    """Dies in rows and columns; ``origin`` is the row and column of the first one as packets address it."""

    rows: int
    cols: int
    origin: int = 0

    def coordinate(self, die: int, side: int) -> int:
        """Row or column of a die as packets that leave by ``side`` name it."""
        row, col = divmod(die, self.cols)
        return self.origin + (row if side in (Side.NORTH, Side.SOUTH) else col)

    def reached(self, die: int, command: CommandSteps) -> list[DieUnit]:
        """Receive units that take the chunks of a SEND, the nearest one first; empty if there is no such die."""
        field_of = command.fields
        side = Side(field_of["side"])
        row, col = divmod(die, self.cols)
        down, right = _STEPS[side]
        unit = f"receive_{opposite(side)}"
        on_the_way = []
        while True:
            row, col = row + down, col + right
            if not (0 <= row < self.rows and 0 <= col < self.cols):
                return []
            number = row * self.cols + col
            on_the_way.append((number, unit))
            if self.coordinate(number, side) == field_of["target"]:
                return on_the_way if field_of["copy"] else on_the_way[-1:]


def routes(grid: Grid, programs: Sequence[QueuedProgram]) -> dict[DieUnit, list[DieUnit]]:
    """Send units whose chunks each receive unit takes."""
    senders: dict[DieUnit, list[DieUnit]] = defaultdict(list)
    for die, program in enumerate(programs):
        for unit, queue in program.queues.items():
            if not unit.startswith("send_"):
                continue
            for receiver in {receiver for command in queue for receiver in grid.reached(die, command)}:
                senders[receiver].append((die, unit))
    return senders


@dataclass
class _Passage:
    """Chunks that pass together.

    Attributes
    ----------
    sends, receives
        Commands of the units that take part.
    taken
        Receive units the oldest chunk in whose queue passes.
    leaving
        Receive units the oldest chunk in whose queue has to pass, to make room.
    kept
        Chunks that stay in the queue of a receive unit: the unit, where they go, and their flits.
    given
        Pairs of units of a die: a receive unit gives its chunk at once to a send unit, or to the other receive unit.
    wanted
        The same, as the one that takes a chunk needs it.
    """

    sends: dict[DieUnit, CommandSteps] = field(default_factory=dict)
    receives: dict[DieUnit, CommandSteps] = field(default_factory=dict)
    taken: list[DieUnit] = field(default_factory=list)
    kept: list[tuple[DieUnit, str, int]] = field(default_factory=list)
    leaving: list[DieUnit] = field(default_factory=list)
    given: set[tuple[DieUnit, str]] = field(default_factory=set)
    wanted: set[tuple[DieUnit, str]] = field(default_factory=set)


class PackageRun:
    """A run of all dies.

    Parameters
    ----------
    grid : Grid
        Where the dies are.
    programs : sequence of QueuedProgram
        What each one does.
    observers : sequence of AccessOrder, optional
        What follows the run of each die.
    host_posts : sequence of int
        Semaphores that software posts on every die.
    held : mapping
        Steps that units which are held back may begin.
    follow : bool
        Whether receive units are told what is sure when chunks leave send units of other dies.

    Attributes
    ----------
    dies
        The run of each die.
    arrivals
        Of each receive unit, for every chunk that came: the send unit, and the number of the RECEIVE in its queue.
    violations
        Chunks of other sizes than those that the receive unit expects.
    """

    def __init__(
        self,
        grid: Grid,
        programs: Sequence[QueuedProgram],
        *,
        observers: Sequence[AccessOrder] = (),
        host_posts: Sequence[int] = (),
        held: Mapping[DieUnit, int] | None = None,
        follow: bool = False,
    ) -> None:
        self._grid, self._senders = grid, routes(grid, programs)
        self.dies = [
            DieRun(
                program,
                observer=observers[number] if observers else None,
                host_posts=host_posts,
                passive=True,
                held={unit: steps for (die, unit), steps in (held or {}).items() if die == number},
            )
            for number, program in enumerate(programs)
        ]
        self._sends = [
            (die, unit)
            for die, program in enumerate(programs)
            for unit in program.queues
            if unit.startswith("send_")
        ]
        self._observers, self._follow = observers, follow
        self._departures: dict[DieUnit, tuple[DieUnit, Passing | None]] = {}
        self._queues: dict[DieUnit, deque[tuple[str, int]]] = defaultdict(deque)
        self.arrivals: dict[DieUnit, list[tuple[DieUnit, int]]] = defaultdict(list)
        self.violations: dict[str, None] = {}

    @property
    def over(self) -> bool:
        """Whether all programs have ended, and no chunk is left."""
        return all(die.over for die in self.dies) and not any(self._queues.values())

    def run(self) -> None:
        """Go on as far as possible."""
        for die in self.dies:
            die.run()
        moved = True
        while moved:
            moved = False
            for sender in self._sends:
                passage = self._passage(sender)
                if passage is not None:
                    self._pass(passage)
                    moved = True

    def offered(self, unit: DieUnit) -> tuple[CommandSteps, int] | None:
        """The chunk that a send unit offers now: its command and number."""
        here = self._begun(unit)
        if here is None:
            return None
        command, chunk = here
        source = self._forwards_from(unit, command, chunk)
        if source is not None and self._head(source) != unit[1]:
            return None
        return here

    def stopped(self, unit: DieUnit) -> tuple[CommandSteps, int, int] | None:
        """The chunk that a send unit offers and that cannot pass: its command, its number, and the die where it stops.

        A chunk that dies on the way copy goes on from one when that has begun to take it.
        """
        offered = self.offered(unit)
        if offered is None:
            return None
        reached = self._grid.reached(unit[0], offered[0])
        at = next((receiver for receiver in reached if self._begun(receiver) is None), reached[-1])
        return *offered, at[0]

    def _begun(self, unit: DieUnit) -> tuple[CommandSteps, int] | None:
        """The chunk that a unit of the engine is at, if it has all semaphores of it."""
        run = self.dies[unit[0]]
        here = run.current(unit[1])
        if here is None:
            return None
        command, step = here
        if run.possible(command, step) < step + command.chunk_steps:
            return None
        # Of copies, a RECEIVE begins when everything that earlier ones forward has left.
        waits = step == 0 and command.fields.get("by_source", 0)
        if waits and any(to.startswith("send_") for to, _ in self._queues.get(unit, ())):
            return None
        return command, step // command.chunk_steps

    def _forwards_from(self, unit: DieUnit, command: CommandSteps, chunk: int) -> DieUnit | None:
        """The receive unit that forwards a chunk to a send unit, if one does."""
        fields = command.fields
        if not fields["forward"] or chunk < fields["own"]:
            return None
        side = fields["side"]
        name = Side(side).name.lower() if fields["turn"] else opposite(side)
        return unit[0], f"receive_{name}"

    def _head(self, unit: DieUnit) -> str | None:
        """Where the oldest chunk in the queue of a receive unit goes."""
        queue = self._queues[unit]
        return queue[0][0] if queue else None

    def _passage(self, sender: DieUnit) -> _Passage | None:
        """What passes with the next chunk of a send unit; None if it has to wait."""
        passage = _Passage()
        left = [sender]
        while left:
            unit = left.pop()
            if unit in passage.sends:
                continue
            here = self._begun(unit)
            if here is None:
                return None
            command, chunk = here
            passage.sends[unit] = command
            source = self._forwards_from(unit, command, chunk)
            if source is not None:
                left += self._want(passage, source, unit[1])
            for receiver in self._grid.reached(unit[0], command):
                more = self._arrive(passage, receiver, command)
                if more is None:
                    return None
                left += more
        complete = passage.given == passage.wanted and all(unit in passage.taken for unit in passage.leaving)
        return passage if complete else None

    def _want(self, passage: _Passage, source: DieUnit, taker: str) -> list[DieUnit]:
        """Take the chunk that a receive unit passes on: from its queue, or while it comes in."""
        if self._head(source) == taker:
            passage.taken.append(source)
            return []
        passage.wanted.add((source, taker))
        return list(self._sender(source))

    def _arrive(self, passage: _Passage, unit: DieUnit, sent: CommandSteps) -> list[DieUnit] | None:
        """Take a chunk; return send units that have to send at the same time, or None if it cannot come now."""
        here = self._begun(unit)
        if here is None or unit in passage.receives:
            return None
        command, chunk = here
        fields, flits = command.fields, sent.fields["flits"]
        if fields["flits"] != flits:
            self.violations[
                f"die {unit[0]}: {command.name}: flits is {fields['flits']}: a chunk of {flits} flits comes"
            ] = None
        passage.receives[unit] = command
        side = fields["side"]
        across = f"receive_{opposite(side)}"
        forwards = chunk < fields["forwarded"]
        more: list[DieUnit] = []
        taker = across if fields["hand"] else None
        if forwards:
            onward = f"send_{Side(side).name.lower() if fields['turn'] else opposite(side)}"
            taker = onward if fields["keep"] != 2 else None
        if taker is None or self._keep(passage, unit, taker, flits):
            pass
        elif self._queues[unit]:
            # It makes room in time if the oldest chunk leaves meanwhile.
            leaving, size = self._queues[unit][0]
            if not leaving.startswith("send_") or not self._keep(passage, unit, taker, flits - size):
                return None
            passage.kept[-1] = (unit, taker, flits)
            passage.leaving.append(unit)
            more.append((unit[0], leaving))
        else:
            passage.given.add((unit, taker))
            more += [(unit[0], taker)] if forwards else self._sender((unit[0], taker))
        if not forwards and fields["join"]:
            more += self._want(passage, (unit[0], across), unit[1])
        return more

    def _keep(self, passage: _Passage, unit: DieUnit, target: str, flits: int) -> bool:
        """Let a chunk wait in the queue of a receive unit, if it has room."""
        if sum(size for _, size in self._queues[unit]) + flits > QUEUED_FLITS:
            return False
        passage.kept.append((unit, target, flits))
        return True

    def _sender(self, receiver: DieUnit) -> Iterator[DieUnit]:
        """The send unit whose chunk a receive unit can take now."""
        for unit in self._senders[receiver]:
            here = self._begun(unit)
            if here is not None and receiver in self._grid.reached(unit[0], here[0]):
                yield unit
                return

    def _pass(self, passage: _Passage) -> None:
        for unit in passage.taken:
            self._queues[unit].popleft()
        for unit, target, flits in passage.kept:
            self._queues[unit].append((target, flits))
        for unit, command in passage.sends.items():
            for receiver in self._grid.reached(unit[0], command):
                number = self.dies[receiver[0]].program.queues[receiver[1]].index(passage.receives[receiver])
                self.arrivals[receiver].append((unit, number))
        for unit, command in self._in_order(passage):
            self._move(unit, command)
        for die in {unit[0] for unit in [*passage.receives, *passage.sends]}:
            self.dies[die].run()

    def _in_order(self, passage: _Passage) -> Iterator[tuple[DieUnit, CommandSteps]]:
        """Units of a passage, each behind those whose chunks it takes."""
        takers: dict[DieUnit, list[DieUnit]] = defaultdict(list)
        missing: dict[DieUnit, int] = defaultdict(int)
        for sender, command in passage.sends.items():
            takers[sender] = self._grid.reached(sender[0], command)
        for source, name in passage.given:
            takers[source].append((source[0], name))
        for units in takers.values():
            for unit in units:
                missing[unit] += 1
        commands = {**passage.sends, **passage.receives}
        left = [unit for unit in commands if not missing[unit]]
        # Chunks that make room for each other have no first one.
        left = left or [next(iter(passage.sends))]
        done = set()
        while left:
            unit = left.pop()
            done.add(unit)
            yield unit, commands[unit]
            for taker in takers[unit]:
                missing[taker] -= 1
                if not missing[taker] and taker not in done:
                    left.append(taker)

    def _move(self, unit: DieUnit, command: CommandSteps) -> None:
        """Let a unit do its next chunk, and give those that take it what is sure about it."""
        observer = self._observers[unit[0]] if self._observers else None
        if observer is not None and unit in self._departures:
            sender, departure = self._departures.pop(unit)
            observer.source = self._grid.coordinate(sender[0], command.fields["side"])
            observer.clocks.arrival = departure if self._follow else None
        self.dies[unit[0]].move(unit[1], command.chunk_steps)
        if observer is not None and unit[1].startswith("send_"):
            for receiver in self._grid.reached(unit[0], command):
                self._departures[receiver] = (unit, observer.clocks.departure)
