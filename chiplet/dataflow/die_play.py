"""Operators of the graph on the units of a die, in the order of all programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from chiplet.dataflow.die_tensors import DieTensors
from chiplet.dataflow.die_units import DieUnits
from chiplet.dataflow.place_times import Use
from chiplet.dataflow.product_play import OperandPair, ProductPlay, UsedOperand
from chiplet.graph.graph import Graph, Instance, TensorKey
from chiplet.graph.operators import Carried, Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import DiePlace, KvHeads
from chiplet.graph.vector_program import Tensor
from chiplet.layout.line_layouts import head_sums, slot_runs
from chiplet.layout.line_uses import LineUses
from chiplet.layout.operator_parts import Part, head_of, part_of, parts
from chiplet.layout.program_part import ProgramPart, pass_pieces
from chiplet.layout.storage import RowRun, Storage, value_storage
from chiplet.layout.word_passes import COPY, PACK, UNPACK, copied_cols
from chiplet.layout.words_to_clear import WordBlock
from chiplet.machine.chunks import chunk_flits
from chiplet.machine.specs import SystemSpec

__all__ = ["DiePlay", "LineChunks", "ReplicaSum"]

_APART = 1 << 30
"""A word beyond all buffers: what lies there is not beside what lies in them."""


class LineChunks(NamedTuple):
    """What a die takes part in: flits of a chunk, what it sends, and what comes from lower and from higher places.

    ``rows``: those of a chunk of sums, which is sent as soon as they are there; 0: it is sent when all are.
    """

    flits: int
    reads: tuple[Use, ...]
    lower: Use
    higher: Use
    rows: int = 0


class ReplicaSum(NamedTuple):
    """Sum of a head over the dies of a row that hold it: their places, which tensor and head, and what is to do."""

    owners: range
    what: tuple[str, int]
    chunks: LineChunks
    finish: Callable[[], None]


class DiePlay(DieTensors):
    """A die that goes through the operators."""

    def __init__(
        self,
        system: SystemSpec,
        graph: Graph,
        uses: LineUses,
        place: Callable[[int | None], DiePlace],
        units: DieUnits,
    ) -> None:
        super().__init__(system, graph, uses, place, units)
        self._products = ProductPlay(system, units)

    def run(self, instance: Instance) -> None:
        """A vector program: one run for each part."""
        operator = instance.operator
        assert isinstance(operator, VectorRun)
        die, tensors = self.place(instance.tile), self._graph.tensors
        held = {name: self._get(name, instance) for name in operator.reads}
        for name in operator.writes:
            if name in held:
                continue
            held[name] = self._new(name, instance, clears=True)
        storages = {name: storage for name, (_, storage) in held.items()}
        runs = [
            (part, run)
            for part in parts(operator, tensors, die)
            if (run := ProgramPart(operator, tensors, die, part, storages)).there
        ]
        if not runs:
            for name in operator.writes:
                self._clear_behind(
                    storages[name], 0, storages[name].taken(storages[name].rows), Use(held[name][0])
                )
        for part, run in runs:
            self._run_part(operator, part, run, {name: key for name, (key, _) in held.items()})

    def _run_part(
        self, operator: VectorRun, part: Part, run: ProgramPart, keys: dict[str, TensorKey]
    ) -> None:
        program, tensors = operator.program, self._graph.tensors
        layouts = dict(run.layouts)
        for name, tensor in program.tensors.items():
            if name not in layouts:
                value = name in program.inputs
                layouts[name] = (
                    value_storage("fp32", self._word_bytes, 1)
                    if value
                    else run.scratch_layout(tensor, self._word_bytes)
                )

        def use(name: str) -> tuple[Use, ...]:
            if name not in operator.bind:
                return ()
            of = operator.bind[name].tensor
            where = Part(part.sequence, head_of(tensors[of], part, operator.each))
            return self._uses_of(keys[of], where)

        for step in program.passes:
            rows, cols = Tensor(*program.extents(step)).shape(run.rows, run.cols)
            work = program.operation(step, causal=operator.causal and cols > 1)
            reads = tuple(of for name in step.operands.values() for of in use(name))
            writes = tuple(of for name in step.results for of in use(name))
            for _, width in pass_pieces(program, step, work, layouts, cols, operator.name):
                self._pass(work, rows, width, reads, writes)

    # ---- products ----

    def product(self, instances: Sequence[Instance]) -> None:
        """Products that leave one tensor."""
        first = instances[0]
        operator = first.operator
        assert isinstance(operator, Product)
        die, tensors = self.place(first.tile), self._graph.tensors
        goes_on = operator.accumulate != "no" and self._graph.key(operator.y, first) in self._held
        y_key, y = self._get(operator.y, first) if goes_on else self._new(operator.y, first)
        terms: dict[Part, list[OperandPair]] = {}
        first_parts: dict[Part, Part] = {}
        for instance in instances:
            product = instance.operator
            assert isinstance(product, Product)
            (a_key, a), (b_key, b) = (self._get(name, instance) for name in (product.a, product.b))
            for part in parts(product, tensors, die):
                where = Part(part.sequence, head_of(tensors[product.y], part, product.each))
                pair = []
                for name, key, storage in ((product.a, a_key, a), (product.b, b_key, b)):
                    of = Part(part.sequence, head_of(tensors[name], part, product.each))
                    taken = part_of(storage, tensors[name], part, product.each, die)
                    pair.append(UsedOperand(taken, Use(key, of), self._gathered.get(key, {})))
                terms.setdefault(where, [])
                first_parts.setdefault(where, part)
                if all(operand.storage.rows and operand.storage.cols for operand in pair):
                    terms[where].append((pair[0], pair[1]))
        for where, pairs in terms.items():
            target = part_of(y, tensors[operator.y], first_parts[where], operator.each, die)
            if not target.rows or not target.cols:
                continue
            if not pairs:
                if not goes_on:
                    self._clear_behind(y, 0, y.taken(y.rows), Use(y_key))
                continue
            self._products.play(operator.form, pairs, (target, Use(y_key, where)), start=goes_on)

    # ---- moves ----

    def move(self, instance: Instance) -> None:
        """LOADs of what the die does not hold yet, or STOREs."""
        operator = instance.operator
        assert isinstance(operator, Move)
        for name in operator.tensors:
            if operator.direction == "load":
                if self._graph.key(name, instance) in self._held:
                    continue
                key, storage = self._new(name, instance)
            else:
                key, storage = self._get(name, instance)
            words = storage.taken(storage.rows)
            if not storage.rows or not storage.cols:
                continue
            if operator.direction == "load":
                self.units.load(words, (Use(key),))
            else:
                self.units.store(words, (Use(key),))

    # ---- collectives ----

    def gather(self, instance: Instance, carried: Carried) -> LineChunks | None:
        """Prepare an all-gather; None if nothing is sent."""
        operator, die = instance.operator, self.place(instance.tile)
        assert isinstance(operator, Gather)
        source_key, source = self._get(carried.source, instance)
        target = self._graph.key(carried.target, instance)
        nodes, place = die.line(operator.axis)
        if nodes == 1:
            self._same(target, source_key, source)
            return None
        rows = self._graph.tensors[carried.source].rows
        chunk = rows.chunk(die)
        stride = self._whole_flits(source.taken(chunk))
        runs = []
        lower, own, higher = Use((target, "lower")), Use(source_key), Use((target, "higher"))
        self._gathered[target] = {}
        for other in range(nodes):
            part = rows.part(die.at(operator.axis, other))
            word = other * stride + (_APART if other == place and not source.values else 0)
            runs.append(RowRun(part.start, len(part), word))
            use = own if other == place else lower if other < place else higher
            self._gathered[target][part.start] = use
        self._held[target] = replace(source, runs=tuple(sorted(runs)))
        if not stride:
            return None
        self._clear_behind(source, source.rows, stride, Use(source_key))
        flits = chunk_flits(stride, self._system.nop, self._system.memory)
        return LineChunks(flits, (own,), lower, higher)

    def scatter(self, instance: Instance, carried: Carried) -> LineChunks | None:
        """Prepare a reduce-scatter; None if nothing is sent."""
        operator, die = instance.operator, self.place(instance.tile)
        assert isinstance(operator, Scatter)
        source_key, source = self._get(carried.source, instance)
        target = self._graph.key(carried.target, instance)
        nodes, _ = die.line(operator.axis)
        rows = self._graph.tensors[carried.target].rows
        chunk, own = rows.chunk(die), len(rows.part(die))
        if source.values:
            stride = self._whole_flits(source.words_of(chunk))
            exact = nodes == 1 or chunk * source.element_bytes == stride * self._word_bytes
            if not _is_one_run(source) or not exact:
                self._in_slots(source, source_key, nodes, chunk, stride)
                source = replace(source, runs=(RowRun(0, source.rows, 0),))
            elif nodes > 1:
                self._clear_behind(source, source.rows, nodes * stride, Use(source_key))
        else:
            stride = chunk * source.pitch
            if nodes > 1:
                self._clear_behind(source, source.rows, nodes * stride, Use(source_key))
        if nodes == 1:
            self._same(target, source_key, source)
            return None
        self._held[target] = replace(source, runs=(RowRun(0, own, 0),))
        flits = chunk_flits(stride, self._system.nop, self._system.memory)
        rows_of_chunk = 0 if source.values else chunk
        return LineChunks(flits, self._uses_of(source_key), Use(target), Use(target), rows_of_chunk)

    def _in_slots(self, source: Storage, key: TensorKey, nodes: int, chunk: int, stride: int) -> None:
        """Values again, so that each chunk begins a word."""
        use, reads = (Use(key),), self._uses_of(key)
        self._clear([WordBlock(0, nodes * stride)], Use(key))
        for run in source.runs:
            if run.rows:
                self._pass(UNPACK, run.rows, 1, reads, use)
        for run in slot_runs(source.rows, nodes, chunk, stride):
            if run.rows:
                self._pass(PACK, run.rows, 1, use, use)

    def scattered(self, instance: Instance, carried: Carried) -> None:
        """Behind a reduce-scatter: what stays for long is copied."""
        key, storage = self._get(carried.target, instance)
        crosses = self._uses.crosses_sections(carried.target)
        if crosses and storage.rows and not storage.values:
            self._pass(COPY, storage.rows, copied_cols(storage), (Use(key),), (Use(key),))

    def replicas(self, instance: Instance) -> Iterator[ReplicaSum]:
        """Prepare the sum of each tensor and head that several dies hold, one after the other."""
        operator, die = instance.operator, self.place(instance.tile)
        assert isinstance(operator, Reduce)
        for name in operator.tensors:
            heads = self._graph.tensors[name].cols
            assert isinstance(heads, KvHeads)
            key, storage = self._get(name, instance)
            for share in head_sums(heads, die, storage, storage.rows, self._whole_flits):
                use = Use(key, Part(None, share.head))
                copy = partial(
                    self._pass, COPY, storage.rows, copied_cols(share.copy), reads=(use,), writes=(use,)
                )
                self._clear(share.to_clear(), use)
                copy()
                flits = chunk_flits(share.stride, self._system.nop, self._system.memory)
                chunks = LineChunks(flits, (use,), use, use)
                yield ReplicaSum(share.owners, (name, share.head), chunks, copy)


def _is_one_run(values: Storage) -> bool:
    """Whether values lie one behind the other from the start of a word on."""
    runs = [run for run in values.runs if run.rows]
    per_word = values.word_bytes // values.element_bytes
    return all((run.word - runs[0].word) * per_word == run.row - runs[0].row for run in runs)
