"""The operations of a mini-batch on the tracks of a package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from chiplet.methods.base import Method
from chiplet.step.collective_time import comm_seconds
from chiplet.step.overlap import Machine, array_of, gemm_cycles, operation_demand
from chiplet.step.runs import RunAccount
from chiplet.timeline.placed_tiles import AxisLoad, OperationLoad, Parts, Piece, place_tiles
from chiplet.timeline.spans import (
    ARRAY,
    BESIDE,
    MINI_BATCHES,
    OPERATIONS,
    VECTOR,
    Span,
    link_track,
)
from chiplet.workload.data_flow import follows_gemms
from chiplet.workload.operations import CommStep, Operation


def operation_load(
    operation: Operation, direction: str, machine: Machine, method: Method, tokens: float, tile: float
) -> OperationLoad:
    """What ``operation`` takes of each resource for a mini-batch of ``tokens`` in token tiles of ``tile``: the terms
    of :func:`chiplet.step.overlap.operation_demand`, part by part.
    """
    die = machine.system.die
    array = array_of(die, machine.terms)
    demand = operation_demand(operation, array, die.rows, method, tokens, tile)
    repeats = method.tile_count(tokens, tile) if method.token_tiled else 1
    axes: dict[str, AxisLoad] = {}
    for step in operation.comms:
        seconds = float(comm_seconds(step, machine.link, 1 if step.weights else repeats))
        part: Parts = ((step.name, seconds),)
        so_far = axes.get(step.axis, AxisLoad())
        late = follows_gemms(step, direction)
        axes[step.axis] = AxisLoad(
            so_far.before + (() if late else part), so_far.after + (part if late else ())
        )
    return OperationLoad(
        int(demand.parts),
        tuple(
            (f"{operation.name}: {gemm.name}", float(gemm_cycles(gemm, array, tile) / die.clock_hz))
            for gemm in operation.gemms
        ),
        tuple(
            (f"{operation.name}: {step.name}", float(machine.vector_seconds(step.work * step.elements)))
            for step in operation.vectors
        ),
        axes,
    )


@dataclass(frozen=True)
class Busy:
    """Seconds by track and kind (see :class:`chiplet.timeline.spans.Span`)."""

    seconds: Mapping[tuple[str, str], float]

    def __add__(self, other: Busy) -> Busy:
        keys = dict.fromkeys((*self.seconds, *other.seconds))
        return Busy({key: self.seconds.get(key, 0.0) + other.seconds.get(key, 0.0) for key in keys})

    def __mul__(self, times: float) -> Busy:
        return Busy({key: seconds * times for key, seconds in self.seconds.items()})

    def spans(self, name: str, start: float, count: int) -> Iterator[Span]:
        """An span on each track, and one behind it for links beside a busier axis."""
        ends: dict[str, float] = {}
        for (track, kind), seconds in self.seconds.items():
            if seconds:
                begin = ends.get(track, start)
                yield Span(track, name, begin, seconds, kind, count)
                ends[track] = begin + seconds


@dataclass(frozen=True)
class PlacedOperation:
    """An operation of a mini-batch: its time, and its token tiles, in seconds from its start."""

    name: str
    times: int
    load: OperationLoad
    seconds: float
    pieces: tuple[Piece, ...]

    @cached_property
    def busy(self) -> Busy:
        """What one run takes of each track."""
        seconds = {(ARRAY, ""): self.load.array, (VECTOR, ""): self.load.vector}
        seconds |= {(link_track(axis), self._kind(axis)): one.seconds for axis, one in self.load.axes.items()}
        return Busy(seconds)

    def _kind(self, axis: str) -> str:
        return "" if axis in ("array", "vector", self.load.busiest_axis) else BESIDE

    def spans(self, start: float) -> Iterator[Span]:
        """The spans of all runs from ``start`` on: the first tile by tile, the others in one piece."""
        tiles = self.load.tiles
        details = {"token tiles": tiles}
        yield Span(OPERATIONS, self.name, start, self.seconds, details=details)
        tracks = {"array": ARRAY, "vector": VECTOR}
        for piece in self.pieces:
            track = tracks.get(piece.axis) or link_track(piece.axis)
            tile = {"token tile": f"{piece.tile + 1} of {tiles}"}
            if piece.count > 1:
                tile = {"token tile": f"{piece.tile + 1} to {piece.tile + piece.count} of {tiles}"}
            yield Span(
                track,
                piece.name,
                start + piece.start,
                piece.seconds,
                self._kind(piece.axis),
                piece.count,
                details=tile,
            )
        again = self.times - 1
        if again:
            name = f"{self.name}, {again} more runs"
            yield Span(OPERATIONS, name, start + self.seconds, self.seconds * again, count=again)
            yield from (self.busy * again).spans(name, start + self.seconds, again)


class PlacedRun:
    """A mini-batch in one direction, its operations placed."""

    def __init__(
        self, run: RunAccount, direction: str, machine: Machine, method: Method, again: int = 0
    ) -> None:
        """The first ``again`` operations run forward once more."""
        self.tokens = int(run.tokens)
        self.operations: list[PlacedOperation] = []
        for place, operation in enumerate(run.operations):
            flow = "forward again" if place < again else direction
            load = operation_load(operation, flow, machine, method, run.tokens, run.tile)
            seconds, pieces = place_tiles(load, overlap=method.switches.overlap)
            name = f"{operation.name} {flow}"
            placed = PlacedOperation(name, int(operation.times), load, seconds, tuple(pieces))
            self.operations.append(placed)
        self.seconds = sum(one.seconds * one.times for one in self.operations)
        self.busy = sum_busy(one.busy * one.times for one in self.operations)

    def spans(self, name: str, start: float) -> Iterator[Span]:
        """All spans of the mini-batch from ``start`` on."""
        yield Span(MINI_BATCHES, name, start, self.seconds, details={"tokens": self.tokens})
        for operation in self.operations:
            yield from operation.spans(start)
            start += operation.seconds * operation.times

    def in_one_piece(self, name: str, start: float, count: int) -> Iterator[Span]:
        """``count`` such mini-batches from ``start`` on."""
        yield Span(
            MINI_BATCHES, name, start, self.seconds * count, count=count, details={"tokens": self.tokens}
        )
        yield from (self.busy * count).spans(name, start, count)


def once_busy(steps: Iterable[CommStep], machine: Machine) -> Busy:
    """What is communicated once in a step, one collective after the other."""
    seconds: dict[tuple[str, str], float] = {}
    for step in steps:
        key = (link_track(step.axis), "")
        seconds[key] = seconds.get(key, 0.0) + float(comm_seconds(step, machine.link))
    return Busy(seconds)


def sum_busy(parts: Iterable[Busy]) -> Busy:
    """The sum of ``parts``."""
    return sum(parts, Busy({}))
