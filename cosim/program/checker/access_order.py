"""Accesses of two units to the same place that no semaphore keeps in order.

Follows a run of the queues (:mod:`cosim.program.checker.queue_run`). Two accesses are in order if one of the steps has
ended for sure when the other one begins. The last step of each unit that wrote a place, and that read it, are kept; if
each access is in order with those that came before it in the run, all are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.program.checker.accesses import Access, AccessMap
from cosim.program.checker.command_steps import CommandSteps
from cosim.program.checker.queue_run import QueuedProgram
from cosim.program.checker.step_clocks import Clock, StepClocks
from rtl.interface.isa import Opcode

__all__ = ["AccessOrder"]

_FEEDS = {Opcode.FEED_ACTIVATION, Opcode.FEED_WEIGHT, Opcode.FEED_SUMS}
_WRITES = {
    "scratchpad": {Opcode.LOAD, Opcode.DRAIN, Opcode.VECTOR, Opcode.RECEIVE},
    "memory": {Opcode.STORE},
    "activation": {Opcode.FEED_ACTIVATION},
    "weight": {Opcode.FEED_WEIGHT},
    "accumulator": {Opcode.GEMM, Opcode.FEED_SUMS},
}
_READS = {
    "scratchpad": _FEEDS | {Opcode.STORE, Opcode.VECTOR, Opcode.SEND, Opcode.RECEIVE},
    "memory": {Opcode.LOAD},
    "activation": {Opcode.GEMM},
    "weight": {Opcode.GEMM},
    "accumulator": {Opcode.GEMM, Opcode.DRAIN},
}
_WHAT = {
    "scratchpad": "scratchpad word",
    "memory": "memory word",
    "activation": "activation address",
    "weight": "weight address",
    "accumulator": "accumulator address",
}
_EVER = np.iinfo(np.int32).max


class _Places:
    """The last accesses to each place: rows of units that write, then of those that read."""

    def __init__(self, size: int, writers: list[int], readers: list[int]) -> None:
        self.writers = len(writers)
        self.units = np.array([*writers, *readers], np.intp)
        self.row_of = {
            **{(unit, True): row for row, unit in enumerate(writers)},
            **{(unit, False): row for row, unit in enumerate(readers, len(writers))},
        }
        self.last = np.zeros((len(self.units), size), np.int32)
        self.written = np.zeros(size, np.bool_)
        self.full = False


class AccessOrder:
    """Checks the order of all accesses of a die while its program runs.

    Parameters
    ----------
    program : QueuedProgram
        The program.
    clocks : StepClocks
        What is sure when its steps begin.
    accesses : AccessMap
        Places that its commands read and write.
    sizes : mapping
        Places of each memory of :class:`cosim.program.checker.accesses.Access`; one that is left out is not checked.

    Attributes
    ----------
    violations
        One line for each access that is not in order with another one.
    source
        Sender of the chunk that a receive unit is to take.
    """

    def __init__(
        self,
        program: QueuedProgram,
        clocks: StepClocks,
        accesses: AccessMap,
        sizes: Mapping[str, int],
    ) -> None:
        self.violations: list[str] = []
        self.clocks = clocks
        self.source: int | None = None
        self._program, self._accesses = program, accesses
        opcodes = {name: {steps.opcode for steps in queue} for name, queue in program.queues.items()}

        def users(of: set[Opcode]) -> list[int]:
            return [clocks.units[name] for name, all_of in opcodes.items() if all_of & of]

        self._places = {
            name: _Places(size, users(_WRITES[name]), users(_READS[name])) for name, size in sizes.items()
        }
        self._last_tile: tuple[int, int, int, int] | None = None

    def holds_data(self, memory: str, spans: Sequence[range]) -> None:
        """Places that hold data before the program starts."""
        places = self._places[memory]
        for span in spans:
            places.written[span.start : span.stop] = True
        places.full = bool(places.written.all())

    def take(self, command: CommandSteps, first: int, end: int) -> None:
        """Steps of a command begin and end."""
        unit = self.clocks.units[command.unit]
        taken = self.clocks.take(command, first, end)
        starts = taken.starts
        # A unit's own accesses are in order, but a receive unit reads ahead of its own writes.
        known = starts.copy()
        if command.opcode != Opcode.RECEIVE:
            known[..., unit] = _EVER
        sources = () if self.source is None else (self.source,)
        for access in self._accesses.of(command, first, end, sources):
            places = self._places.get(access.memory)
            if places is None:
                continue
            clock, behind = known, None
            if command.opcode == Opcode.SEND and command.fields["ahead"]:
                if access.first < command.fields["own"] * command.chunk_steps:
                    clock = taken.before
            elif taken.passing is not None and access.writes:
                clock = np.maximum(starts, taken.passing.begun)
                clock[..., unit] = _EVER
                behind = taken.behind
            elif command.opcode == Opcode.GEMM and access.memory == "accumulator":
                self._sums_apart(command, access, starts, first)
            self._access(command, access, places, clock, first, behind)

    def _access(
        self,
        command: CommandSteps,
        access: Access,
        places: _Places,
        starts: Clock,
        first: int,
        behind: tuple[int, int] | None,
    ) -> None:
        """Check an access of steps whose clocks are ``starts``, the same for all or one each from step ``first`` on."""
        rows = access.counts[0]
        # Rows that overlap are looked at one after the other, so that the last one is the one that is kept.
        if rows > 1 and access.rows_overlap:
            for row in access.rows():
                self._access(command, row, places, starts, first, behind)
            return
        unit = self.clocks.units[command.unit]
        checked = len(places.units) if access.writes else places.writers
        units = places.units[:checked]
        ones = (1,) * (len(access.counts) - 1)
        if starts.ndim == 2 and access.by_row:
            bounds = starts[access.first - first : access.first - first + rows, units].T
            bounds = bounds.reshape(checked, rows, *ones)
        else:
            clock = starts if starts.ndim == 1 else starts[access.first - first]
            bounds = clock[units].reshape(checked, 1, *ones)
        if behind is not None:
            number = places.row_of[behind[0], False]
            bounds = bounds.copy()
            bounds[number] = np.maximum(bounds[number], behind[1])
        if checked:
            open_order = _block(places.last[:checked], access) > bounds
            if open_order.any():
                self._report_order(command, access, places, open_order)
        if access.reads and not places.full:
            written = _block(places.written, access)
            if not written.all():
                place = _first_place(access, ~written)
                self._report(command, f"reads {_WHAT[access.memory]} {place}, which nothing has written")
        ended = command.first + 1 + access.first
        steps: Any = ended + access.last - access.first
        if access.by_row and rows > 1:
            steps = np.arange(ended, ended + rows, dtype=np.int32).reshape(-1, *ones)
        if access.reads:
            _block(places.last[places.row_of[unit, False]], access)[...] = steps
        if access.writes:
            _block(places.last[places.row_of[unit, True]], access)[...] = steps
            if not places.full:
                _block(places.written, access)[...] = True

    def _sums_apart(self, command: CommandSteps, access: Access, starts: Clock, first: int) -> None:
        """A sum must not come back to the adders while it is in them: panels that share sums begin at one address."""
        die, field = self._accesses.die, command.fields
        shortest = max(die.rows, die.stages)
        unit = self.clocks.units[command.unit]
        for number in range(access.counts[0]):
            address = access.base + number * access.pitches[0]
            before, ended = self._last_tile, command.first + access.first + number
            self._last_tile = (address, field["m"], max(field["m"], shortest), ended)
            if before is None or not field["accumulate"]:
                continue
            base, m, cycles, step = before
            overlaps = base < address + field["m"] and address < base + m
            row = starts if starts.ndim == 1 else starts[access.first - first + number]
            if overlaps and address - base > cycles - shortest and row[unit] <= step:
                self._report(
                    command,
                    f"adds to sums from accumulator address {address} on right behind a panel that begins at {base}: "
                    "they may still be in the adders",
                )

    def _report_order(
        self, command: CommandSteps, access: Access, places: _Places, open_order: NDArray[np.bool_]
    ) -> None:
        row = int(np.argmax(open_order.reshape(len(open_order), -1).any(axis=1)))
        place = _first_place(access, open_order[row])
        names = {number: name for name, number in self.clocks.units.items()}
        queue = self._program.queues[names[int(places.units[row])]]
        step = int(places.last[row, place]) - 1
        other = queue[bisect_right(queue, step, key=lambda steps: steps.first) - 1]
        does = "writes" if access.writes else "reads"
        did = "writes" if row < places.writers else "reads"
        self._report(
            command,
            f"{does} {_WHAT[access.memory]} {place}, which {other.name} {did}: no semaphore keeps them in order",
        )

    def _report(self, command: CommandSteps, what: str) -> None:
        self.violations.append(f"{command.name} {what}")


def _first_place(access: Access, chosen: NDArray[np.bool_]) -> int:
    """The first of the chosen places of a block."""
    index = np.unravel_index(int(np.argmax(chosen)), chosen.shape)
    return access.base + sum(int(n) * p for n, p in zip(index, access.pitches, strict=True))


def _block(array: NDArray[Any], access: Access) -> NDArray[Any]:
    """The places of a block, as a view of an array whose last dimension is that of the places."""
    size = array.itemsize
    strides = tuple([pitch * size for pitch in access.pitches])
    if array.ndim == 1:
        return np.ndarray(access.counts, array.dtype, array, access.base * size, strides)
    counts = (len(array), *access.counts)
    return np.ndarray(counts, array.dtype, array, access.base * size, (array.strides[0], *strides))
