"""Tensors that a die holds, where they lie and since when, and passes of its vector unit over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from chiplet.dataflow.die_units import DieUnits
from chiplet.dataflow.place_times import Use
from chiplet.graph.graph import Graph, Instance, TensorKey
from chiplet.graph.pass_cycles import beat_cycles, result_words, stage_cycles
from chiplet.graph.sharding import DiePlace
from chiplet.graph.vector_pass import VectorPass
from chiplet.layout.line_uses import LineUses
from chiplet.layout.operator_parts import Part
from chiplet.layout.storage import Storage, layout_of
from chiplet.layout.word_passes import CLEAR, word_cols
from chiplet.layout.words_to_clear import WordBlock, words_behind, words_of_ends, words_of_gaps
from chiplet.machine.chunks import whole_flits
from chiplet.machine.specs import SystemSpec, function_lanes, vector_lanes

__all__ = ["CONSTANTS", "DieTensors"]

CONSTANTS = Use("constants")
"""Constants of all vector programs, which are loaded before all else."""


class DieTensors:
    """What a die holds while the operators are gone through, and the passes that move and clear it."""

    def __init__(
        self,
        system: SystemSpec,
        graph: Graph,
        uses: LineUses,
        place: Callable[[int | None], DiePlace],
        units: DieUnits,
    ) -> None:
        self._system, self._graph, self._uses, self.place, self.units = system, graph, uses, place, units
        self._word_bytes = system.memory.word_bytes
        self._held: dict[TensorKey, Storage] = {}
        self._gathered: dict[TensorKey, dict[int, Use]] = {}  # uses of runs, by their first rows
        self._lanes = vector_lanes(system.vector, system.memory)
        self._functions = function_lanes(system.vector, system.memory)

    # ---- tensors ----

    def _get(self, name: str, instance: Instance) -> tuple[TensorKey, Storage]:
        key = self._graph.key(name, instance)
        if key not in self._held:
            key = key._replace(tile=None)
        return key, self._held[key]

    def _new(self, name: str, instance: Instance, *, clears: bool = False) -> tuple[TensorKey, Storage]:
        """A tensor that is written anew; ``clears``: its unit leaves the end of a word as it is."""
        die, key = self.place(instance.tile), self._graph.key(name, instance)
        storage = layout_of(self._graph.tensors[name], die, self._word_bytes)
        sent = self._uses.sent(name, die)
        if sent and name in self._uses.scatters and not storage.values:
            storage = replace(storage, pitch=self._whole_flits(storage.pitch))
        self._held[key] = storage
        if sent and clears:
            self._clear(words_of_ends(storage), Use(key))
        if sent:
            self._clear(words_of_gaps(storage), Use(key))
        return key, storage

    def _uses_of(self, key: TensorKey, part: Part | None = None) -> tuple[Use, ...]:
        """What is used of a tensor, or of all runs of one that was gathered."""
        runs = self._gathered.get(key)
        return (Use(key, part or Part()),) if runs is None else tuple(dict.fromkeys(runs.values()))

    def _whole_flits(self, words: int) -> int:
        return whole_flits(words, self._system.nop, self._system.memory)

    def _same(self, target: TensorKey, source: TensorKey, storage: Storage) -> None:
        """On a line of one die what is gathered, or scattered, is what there was."""
        self._held[target] = storage
        self.units.places.same(target, source)
        if source in self._gathered:
            self._gathered[target] = self._gathered[source]

    # ---- vector unit ----

    def _pass(
        self,
        work: VectorPass,
        rows: int,
        cols: int,
        reads: tuple[Use, ...],
        writes: tuple[Use, ...],
    ) -> None:
        beats = int(
            beat_cycles(
                work,
                rows=rows,
                cols=cols,
                lanes=self._lanes,
                function_lanes=self._functions,
                word_bytes=self._word_bytes,
            )
        )
        streams = sum(operand.spread in ("matrix", "row") for operand in work.operands.values())
        terms = self.units.step
        cycles = terms.vector_pass + terms.vector_beat * beats
        cycles += stage_cycles(work, lanes=self._lanes, die=self._system.die, vector=self._system.vector)
        self.units.vector(
            cycles,
            streams=streams,
            beats=beats,
            results=result_words(work, rows=rows, cols=cols, word_bytes=self._word_bytes),
            reads=(*reads, CONSTANTS),
            writes=writes,
        )

    def _clear(self, blocks: Iterable[WordBlock], use: Use) -> None:
        """Words become +0."""
        for block in blocks:
            self._pass(CLEAR, block.rows, word_cols(block.words, self._word_bytes), (), (use,))

    def _clear_behind(self, storage: Storage, rows: int, words: int, use: Use) -> None:
        """What lies behind the first ``rows`` of a tensor, up to ``words`` from its first word on."""
        self._clear(words_behind(storage, rows, words), use)
