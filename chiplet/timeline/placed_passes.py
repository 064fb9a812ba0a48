"""A block's pass over one layer on the tracks of a package, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chiplet.methods.base import Method
from chiplet.schedule.mini_batches import parts_of, size_unit
from chiplet.schedule.schedule import BlockSchedule
from chiplet.step.fused_blocks import PassAccount
from chiplet.step.overlap import Machine
from chiplet.timeline.placed_operations import Busy, PlacedRun, once_busy, sum_busy
from chiplet.timeline.spans import DRAM, LAYERS, MINI_BATCHES, Span

RoundBatches = tuple[tuple[int, int], ...]
"""The mini-batches of a round: places in the runs of a pass, each with how often it runs."""


def round_batches(block: BlockSchedule, sequences: int, last: int) -> list[RoundBatches]:
    """The mini-batches of a whole round of ``sequences`` sequences, and of the last one if it has ``last`` of them.

    Places are those in :attr:`chiplet.schedule.schedule.BlockSchedule.mini_batches`: the largest is the first, and each
    smaller one ends a round.
    """
    memory = block.memory
    size = block.batch.sequences if block.block.name == "attention" else block.batch.tokens
    rounds: list[RoundBatches] = []
    place = 0
    for total in (sequences, last):
        if not total:
            continue
        count, left = parts_of(memory, total * size_unit(memory), size)
        found = [(0, int(count))] if count else []
        if left > 0:
            place += 1
            found.append((place, 1))
        rounds.append(tuple(found))
    return rounds


@dataclass(frozen=True)
class _Part:
    """``count`` equal mini-batches in a row."""

    run: PlacedRun
    first: int
    count: int
    detailed: bool


class PlacedPass:
    """A pass over one layer: its time in each kind of round, and its spans.

    The time of a pass is the larger of its mini-batches' and its DRAM time, and what it waits for weights and
    gradients. Each mini-batch has a share of that: its own time, made longer where DRAM takes longer, and DRAM moves
    what belongs to it meanwhile. What is communicated once in a step follows the last round.
    """

    def __init__(
        self,
        account: PassAccount,
        block: BlockSchedule,
        method: Method,
        machine: Machine,
        *,
        sequences: int,
        global_batch: int,
    ) -> None:
        self.account = account
        self.block, self.direction, self.layers = account.block, account.direction, int(account.layers)
        self.rounds = -(-global_batch // sequences)
        last = global_batch % sequences
        self._batches = round_batches(block, sequences, last)
        self._shorter = bool(last)
        again = 0
        if account.direction == "backward" and method.switches.recompute == "full":
            again = len(method.passes(block.block, block.batch, block.slices).forward)
        self._runs = [PlacedRun(run, account.direction, machine, method, again) for run in account.runs]
        self._once = once_busy(method.once_comms(block.block), machine)
        if account.direction == "forward":
            self._once = Busy({})
        elapsed = float(account.on_package.elapsed)
        memory_seconds, waiting = float(account.memory_seconds), float(account.waiting)
        self._stretch = max(1.0, memory_seconds / elapsed)
        # Weights and gradients that the pass waits for are part of the DRAM traffic.
        waited = min(waiting, memory_seconds)
        self._moved = (memory_seconds - waited) / elapsed
        for_gradients = 0.0 if block.gradients_behind else float(account.gradients_wait)
        self._waiting = (waiting - min(for_gradients, waiting)) / self.rounds
        self._storing = min(for_gradients, waiting) / self.rounds
        self._waited = waited / waiting if waiting else 0.0

    def _round(self, number: int) -> RoundBatches:
        return self._batches[-1 if self._is_shorter(number) else 0]

    def _is_shorter(self, number: int) -> bool:
        return self._shorter and number == self.rounds - 1

    def _once_seconds(self, number: int) -> float:
        return float(self.account.once.elapsed) if number == self.rounds - 1 else 0.0

    def _working(self, number: int) -> float:
        """Time of the mini-batches of a round, and of what is communicated once, s."""
        runs = sum(self._runs[place].seconds * count for place, count in self._round(number))
        return runs + self._once_seconds(number)

    def seconds(self, number: int) -> float:
        """Time in one layer of round ``number``, s."""
        return self._waiting + self._working(number) * self._stretch + self._storing

    def busy(self, number: int) -> Busy:
        """What one layer of round ``number`` takes of each track."""
        total = sum_busy(self._runs[place].busy * count for place, count in self._round(number))
        if self._once_seconds(number):
            total += self._once
        waited = (self._waiting + self._storing) * self._waited
        return total + Busy({(DRAM, ""): self._working(number) * self._moved + waited})

    def in_one_piece(self, name: str, start: float, number: int) -> Iterator[Span]:
        """The pass over one layer in round ``number`` from ``start`` on, without its mini-batches."""
        yield self._event(name, start, number)
        count = sum(count for _, count in self._round(number))
        yield from self.busy(number).spans(name, start, count)

    def spans(self, name: str, start: float, number: int) -> Iterator[Span]:
        """The pass over one layer in round ``number`` from ``start`` on: the first, the second and the last mini-batch
        in detail, the others in one piece.
        """
        yield self._event(name, start, number)
        yield from self._wait(f"{name}: weights", start, self._waiting)
        start += self._waiting
        parts = list(self._parts(number))
        total = sum(part.count for part in parts)
        for part in parts:
            run = part.run
            label = f"{name}, mini-batch {part.first + 1} of {total}"
            moved = f"{name}: activations, weights and gradients beside mini-batch {part.first + 1}"
            if part.detailed:
                yield from run.spans(label, start)
            else:
                label = f"{name}, mini-batches {part.first + 1} to {part.first + part.count} of {total}"
                moved = f"{name}: activations, weights and gradients beside {part.count} mini-batches"
                yield from run.in_one_piece(label, start, part.count)
            seconds = run.seconds * part.count
            if self._moved:
                yield Span(DRAM, moved, start, seconds * self._moved, count=part.count)
            start += seconds * self._stretch
        once = self._once_seconds(number)
        if once:
            label = f"{name}: gradients of replicated weights"
            yield Span(MINI_BATCHES, label, start, once)
            yield from self._once.spans(label, start, 1)
            if self._moved:
                yield Span(DRAM, f"{name}: beside them", start, once * self._moved)
            start += once * self._stretch
        yield from self._wait(f"{name}: gradients", start, self._storing)

    def _event(self, name: str, start: float, number: int) -> Span:
        return Span(LAYERS, name, start, self.seconds(number), self.direction)

    def _wait(self, name: str, start: float, seconds: float) -> Iterator[Span]:
        if seconds:
            yield Span(DRAM, f"{name} that the block waits for", start, seconds * self._waited)

    def _parts(self, number: int) -> Iterator[_Part]:
        """The mini-batches of a round, and which of them are drawn in detail."""
        batches: Sequence[tuple[int, int]] = self._round(number)
        total = sum(count for _, count in batches)
        first = 0
        for place, count in batches:
            end = first + count
            while first < end:
                if first < 2 or first == total - 1:
                    yield _Part(self._runs[place], first, 1, True)
                    first += 1
                else:
                    until = max(first + 1, min(end, total - 1))
                    yield _Part(self._runs[place], first, until - first, False)
                    first = until
