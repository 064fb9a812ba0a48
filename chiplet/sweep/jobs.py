"""Schedules of many machines at once: arrays with one row for each machine.

Machines whose blocks run in the same parts share one :class:`chiplet.schedule.schedule.Schedule` of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.schedule.buffers import BufferUse, DramNeed, Optimizer
from chiplet.schedule.fit import BlockWork, Fit, fit_block, lacking
from chiplet.schedule.schedule import (
    Schedule,
    assemble,
    block_refusal,
    dram_refusal,
    dram_use,
    round_sequences,
    whole_model,
)
from chiplet.vectorized.elementwise import Number
from chiplet.vectorized.meshes import Meshes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Jobs:
    """Training steps by one method on ``count`` machines.

    The meshes of ``method``, fields of ``system`` and the numbers are arrays of ``count`` rows and one column, or one
    value for all. Fields of ``system`` that no schedule depends on may be arrays with one axis: then each row stands
    for as many machines as these have elements.
    """

    count: int
    method: Method
    system: SystemSpec
    terms: GemmTerms
    global_batch: Number
    length: Number
    mini_batch: Number | None
    optimizer: Optimizer

    def select(self, rows: NDArray[np.intp]) -> Jobs:
        """The machines ``rows``."""
        method, mesh = self.method, self.method.mesh
        assert isinstance(mesh, Meshes)
        meshes = Meshes(_rows(mesh.rows, rows), _rows(mesh.cols, rows))
        return replace(
            self,
            count=len(rows),
            method=type(method)(method.model, meshes, method.switches, method.element_bytes),
            system=_select_systems(self.system, rows),
            global_batch=_rows(self.global_batch, rows),
            length=_rows(self.length, rows),
            mini_batch=_rows(self.mini_batch, rows),
        )


@dataclass(frozen=True)
class Decided:
    """How the machines ``rows`` run: what DRAM holds, ``sequences`` of a round, and how each block fits."""

    rows: NDArray[np.intp]
    jobs: Jobs
    need: DramNeed
    sequences: Number
    fits: tuple[Fit, ...]

    def select(self, places: slice) -> Decided:
        """The machines at ``places``."""
        rows = np.arange(len(self.rows))[places]
        return Decided(
            self.rows[places],
            self.jobs.select(rows),
            self.need.select(partial(_rows, rows=rows)),
            _rows(self.sequences, rows),
            tuple(Fit(fit.parts, _rows(fit.slices, rows), _rows(fit.size, rows)) for fit in self.fits),
        )

    def schedule(self) -> Schedule:
        """Their schedules."""
        jobs = self.jobs
        work = BlockWork(jobs.method, jobs.system.die, self.sequences, jobs.length, jobs.mini_batch)
        dram = dram_use(jobs.method, jobs.system, self.need, self.sequences)
        return assemble(work, self.fits, (), jobs.global_batch, dram)


def decide(jobs: Jobs, dram: DramNeed | None = None) -> tuple[list[Decided], dict[int, str]]:
    """How the machines of ``jobs`` run, grouped by parts and slicing; for those that do not fit, the message of
    :func:`chiplet.schedule.schedule.make_schedule`, whose ``dram`` is the same.
    """
    method, system = jobs.method, jobs.system
    need = dram or whole_model(method, jobs.length, jobs.optimizer)
    given = need.sequences
    least = dram_use(method, system, need, 1 if given is None else given)
    sequences = given
    if given is None:
        sequences = round_sequences(method, system, need, jobs.global_batch)
    work = BlockWork(method, system.die, sequences, jobs.length, jobs.mini_batch)
    blocks = method.blocks()
    fits = [fit_block(work, block, fused=True) for block in blocks]

    refused: dict[int, str] = {}
    dies = _column(method.mesh.nodes, jobs.count)
    lacks = ~_column(least.fits, jobs.count).astype(bool)
    if lacks.any():
        uses_of_dram, held = _by_machine(least, jobs.count), _integers(given, jobs.count)
        for row in np.flatnonzero(lacks).tolist():
            use = uses_of_dram[row]
            refused[row] = str(dram_refusal(method.model.name, int(dies[row]), use, held[row]))
    key = np.zeros(jobs.count, dtype=np.int64)
    for number, fit in enumerate(fits):
        without = np.flatnonzero((_column(fit.size, jobs.count) == 0) & ~lacks)
        lacks[without] = True
        if len(without):
            unfit = jobs.select(without)
            asked = lacking(
                BlockWork(
                    unfit.method,
                    unfit.system.die,
                    _rows(sequences, without),
                    unfit.length,
                    unfit.mini_batch,
                ),
                unfit.method.blocks()[number],
            )
            sizes = _integers(unfit.mini_batch, len(without))
            uses = zip(*(_by_machine(use, len(without)) for use in asked), strict=True)
            for row, buffers, size in zip(without.tolist(), uses, sizes, strict=True):
                refusal = block_refusal(
                    method.model.name, int(dies[row]), method.name, blocks[number].name, buffers, size
                )
                refused[row] = str(refusal)
        key = 8 * key + 2 * _column(fit.parts, jobs.count).astype(np.int64)
        key += _column(fit.slices, jobs.count) > 1
    decided = []
    fitting = np.flatnonzero(~lacks)
    for label in np.unique(key[fitting]).tolist():
        rows = fitting[key[fitting] == label]
        parts = [label >> shift & 7 for shift in range(3 * (len(blocks) - 1), -1, -3)]
        chosen = tuple(
            Fit(part >> 1, _rows(fit.slices, rows) if part & 1 else 1, _rows(fit.size, rows))
            for part, fit in zip(parts, fits, strict=True)
        )
        part = need.select(partial(_rows, rows=rows))
        decided.append(Decided(rows, jobs.select(rows), part, _rows(sequences, rows), chosen))
    return decided, refused


def _rows(value: Any, rows: NDArray[np.intp]) -> Any:
    """The given rows of an array with one row for each machine; any other value unchanged."""
    return value[rows] if isinstance(value, np.ndarray) and value.ndim == 2 else value


def _select_systems(system: SystemSpec, rows: NDArray[np.intp]) -> SystemSpec:
    sections: dict[str, Any] = {}
    for name in SystemSpec.model_fields:
        section = getattr(system, name)
        fields = {key: value for key, value in vars(section).items() if isinstance(value, np.ndarray)}
        if fields:
            sections[name] = section.model_copy(
                update={key: _rows(value, rows) for key, value in fields.items()}
            )
    return system.model_copy(update=sections)


def _column(value: Number, count: int) -> NDArray[Any]:
    """One number for each machine."""
    return np.broadcast_to(value, (count, 1))[:, 0]


def _integers(value: Number | None, count: int) -> list[int | None]:
    """One number for each machine, or None."""
    return [None] * count if value is None else _column(value, count).astype(np.int64).tolist()


def _by_machine(use: BufferUse, count: int) -> list[BufferUse]:
    """What each machine needs of a buffer."""
    columns = (_column(value, count).astype(np.int64).tolist() for value in (use.needed, use.available))
    return [BufferUse(use.name, *pair) for pair in zip(*columns, strict=True)]
