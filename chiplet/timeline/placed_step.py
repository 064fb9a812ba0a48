"""The timeline of a whole step: rounds of all layers forward and backward, and what is around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chiplet.projection.project import Accounted
from chiplet.timeline.memory_levels import MemoryLevels
from chiplet.timeline.placed_operations import sum_busy
from chiplet.timeline.placed_passes import PlacedPass
from chiplet.timeline.spans import (
    DRAM,
    LAYERS,
    STEP,
    UPDATE_DRAM,
    UPDATE_VECTOR,
    MemoryLevel,
    Span,
    Timeline,
    link_track,
)
from chiplet.timeline.stages import stage_spans

DIRECTIONS = ("forward", "backward")

EMBEDDING_PARTS = {"forward": 1 / 3, "backward": 2 / 3}
"""Parts of the time of embedding rows, as in the breakdown of a projection."""

SHOWN_ROUNDS = 3
"""Most rounds that are all shown; of more, these are the first, the second and the last."""


def timeline(accounted: Accounted) -> Timeline:
    """The timeline of ``accounted``: spans whose ends and sums are the times of its projection.

    In the first round every layer has a span for each pass; the first layer, and where layers differ the first of
    each kind, has its mini-batches and token tiles as well, forward and backward. Other rounds are drawn as a whole.
    With several packages the timeline is that of the stage that sets the pace, and every stage has a track besides.
    """
    return _PlacedStep(accounted).timeline()


class _PlacedStep:
    """Collects the spans of a step; ``now`` is the time that it has come to."""

    def __init__(self, accounted: Accounted) -> None:
        self.found, self.account = accounted, accounted.step
        self.sequences = int(accounted.schedule.sequences)
        # Of the largest replica.
        self.batch = -(-accounted.job.global_batch // accounted.machine.system.parallel.data)
        self.rounds = -(-self.batch // self.sequences)
        self.memories = MemoryLevels(accounted, self.sequences)
        placed = [
            PlacedPass(
                one_pass,
                self.memories.blocks[one_pass.block],
                accounted.method,
                accounted.machine,
                sequences=self.sequences,
                global_batch=self.batch,
            )
            for one_pass in accounted.step.passes
        ]
        self.passes = {
            direction: [one for one in placed if one.direction == direction] for direction in DIRECTIONS
        }
        self.now = 0.0
        self.spans: list[Span] = []
        self.levels: list[MemoryLevel] = []
        self.detail = dict.fromkeys(DIRECTIONS, (0.0, 0.0))

    def timeline(self) -> Timeline:
        """All of it."""
        for numbers in _groups(self.rounds):
            for direction in DIRECTIONS:
                self._direction(direction, numbers)
        self._add("pipeline bubble", self.account.bubble, "pipeline_bubble")
        self._add("between packages, exposed", self.account.fabric, "fabric_exposed")
        self.levels += self.memories.after(self.now)
        self._add("optimizer", self.account.update_seconds, "optimizer_step")
        # As late as they can be: how much of them is behind which layer is not drawn.
        for track, seconds in (
            (UPDATE_DRAM, self.account.update_dram),
            (UPDATE_VECTOR, self.account.update_vector),
        ):
            self.spans.append(Span(track, "optimizer", self.now - float(seconds), float(seconds)))
        processes = {0: f"package of {self.found.method.mesh} dies"}
        parallel = self.found.parallel
        if parallel is not None:
            processes[0] = f"stage {parallel.pace.number + 1}, which sets the pace: {processes[0]}"
            for number, (name, spans) in enumerate(stage_spans(parallel).items()):
                processes[number + 1] = name
                self.spans += spans
        detail = (self.detail["forward"], self.detail["backward"])
        return Timeline(self.now, tuple(self.spans), tuple(self.levels), processes, detail)

    def _add(self, name: str, seconds: float, kind: str) -> None:
        """An span of the whole package."""
        if seconds:
            self.spans.append(Span(STEP, name, self.now, float(seconds), kind))
            self.now += float(seconds)

    def _direction(self, direction: str, numbers: Sequence[int]) -> None:
        """Rounds ``numbers`` in one direction."""
        label = f"round {numbers[0] + 1}"
        if len(numbers) > 1:
            label = f"rounds {numbers[0] + 1} to {numbers[-1] + 1}"
        start, backward = self.now, direction == "backward"
        tokens = sum(min(self.sequences, self.batch - number * self.sequences) for number in numbers)
        embedding = EMBEDDING_PARTS[direction] * tokens / self.batch
        if not backward:
            self._embedding(f"embedding rows forward, {label}", embedding)
        if numbers[0] == 0:
            self._layers(direction)
        else:
            self.levels.append(self.memories.saved(1.0, self.now))
            self._rounds(f"{direction}, {label}", direction, numbers)
        if backward:
            self._embedding(f"embedding rows backward, {label}", embedding)
        seconds = self.now - start
        self.spans.append(Span(STEP, f"{direction}, {label}", start, seconds, direction, len(numbers)))

    def _embedding(self, name: str, share: float) -> None:
        account, (axis,) = self.account, {step.axis for step in self.found.method.embedding_comms(1)}
        for track, seconds in (
            (LAYERS, account.embedding_seconds),
            (DRAM, account.embedding_dram),
            (link_track(axis), account.embedding_nop),
        ):
            if seconds:
                self.spans.append(Span(track, name, self.now, float(seconds) * share))
        self.now += float(account.embedding_seconds) * share

    def _layers(self, direction: str) -> None:
        """The first round, layer by layer."""
        order = list(self._order(self.passes[direction]))
        shown = {one.block: (layer, one) for layer, one in reversed(order)}
        if direction == "backward":
            order.reverse()
        numbers = self._numbers()
        for layer, one in order:
            name = (
                f"{one.block} {direction}" if layer is None else f"layer {layer + 1} {one.block} {direction}"
            )
            start = self.now
            # The input precedes the first layer, and the head follows the last one.
            done = 1 if layer is None else numbers.index(layer) + 1
            if one.block == "head":
                done = len(numbers)
            self.levels.append(self.memories.saved(done / len(numbers), start))
            self.levels += self.memories.of_pass(one.block, direction, start, one.seconds(0))
            self.now += one.seconds(0)
            if shown[one.block] == (layer, one):
                self.spans += one.spans(name, start, 0)
            else:
                self.spans += one.in_one_piece(name, start, 0)
            if layer == numbers[0]:
                self.detail[direction] = (self.detail[direction][0] or start, self.now)

    def _numbers(self) -> tuple[int, ...]:
        """The numbers of the layers: all, or those of the stage that sets the pace."""
        if self.found.parallel is not None:
            return self.found.parallel.pace.numbers
        return tuple(range(self.found.method.model.layers))

    def _order(self, passes: Sequence[PlacedPass]) -> Iterator[tuple[int | None, PlacedPass]]:
        """The passes in the order of the data flow forward, each with the number of its layer; input and head have
        none.
        """
        by_label = {one.block: one for one in passes}
        model = self.found.method.model
        if "input" in by_label:
            yield None, by_label["input"]
        for number in self._numbers():
            for kind in (*model.attention_kinds, *model.ffn_kinds):
                if number in kind.numbers:
                    yield number, by_label[kind.label]
        if "head" in by_label:
            yield None, by_label["head"]

    def _rounds(self, name: str, direction: str, numbers: Sequence[int]) -> None:
        """Rounds in one piece; all but the last are alike."""
        parts = [(one, number) for one in self.passes[direction] for number in {numbers[0], numbers[-1]}]
        counts = [one.layers * ((len(numbers) - 1) if number != numbers[-1] else 1) for one, number in parts]
        seconds = sum(one.seconds(number) * count for (one, number), count in zip(parts, counts, strict=True))
        busy = sum_busy(one.busy(number) * count for (one, number), count in zip(parts, counts, strict=True))
        self.spans.append(Span(LAYERS, name, self.now, seconds, direction, len(numbers)))
        self.spans += busy.spans(name, self.now, len(numbers))
        self.now += seconds


def _groups(rounds: int) -> list[range]:
    """Numbers of the rounds that are drawn together."""
    if rounds <= SHOWN_ROUNDS + 1:
        return [range(number, number + 1) for number in range(rounds)]
    return [range(1), range(1, 2), range(2, rounds - 1), range(rounds - 1, rounds)]
