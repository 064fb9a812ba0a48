"""The steps of many machines at once, and the ways to run them: arrays with one row for each machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.schedule.buffers import BufferUse, DramNeed, Optimizer
from chiplet.schedule.context import ContextShare
from chiplet.schedule.fit import BlockWork, Fit, candidates, lacking
from chiplet.schedule.schedule import (
    StepWork,
    block_refusal,
    dram_refusal,
    dram_use,
    round_sequences,
    whole_model,
)
from chiplet.vectorized.elementwise import Number, anywhere
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

    @property
    def context(self) -> ContextShare:
        """How packages share each sequence."""
        return ContextShare.of(self.system.parallel)

    @property
    def own_length(self) -> Number:
        """Tokens of a sequence that a package has."""
        packages = self.context.packages
        return self.length if packages == 1 else self.length // packages

    def select(self, rows: NDArray[np.intp]) -> Jobs:
        """The machines ``rows``."""
        method, mesh = self.method, self.method.mesh
        assert isinstance(mesh, Meshes)
        meshes = Meshes(rows_of(mesh.rows, rows), rows_of(mesh.cols, rows))
        return replace(
            self,
            count=len(rows),
            method=method.on(meshes),
            system=_select_systems(self.system, rows),
            global_batch=rows_of(self.global_batch, rows),
            length=rows_of(self.length, rows),
            mini_batch=rows_of(self.mini_batch, rows),
        )


@dataclass(frozen=True)
class Ways:
    """How the machines ``rows`` can run: what they work on, and the candidates of each block, of size 0 where one does
    not fit or is none.
    """

    rows: NDArray[np.intp]
    jobs: Jobs
    need: DramNeed
    sequences: Number
    fits: tuple[tuple[Fit, ...], ...]

    def select(self, rows: NDArray[np.intp]) -> Ways:
        """The machines at ``rows``, with the candidates of any of them."""
        return Ways(
            self.rows[rows],
            self.jobs.select(rows),
            self.need.select(partial(rows_of, rows=rows)),
            rows_of(self.sequences, rows),
            tuple(
                tuple(
                    fit
                    for fit in (
                        replace(fit, slices=rows_of(fit.slices, rows), size=rows_of(fit.size, rows))
                        for fit in fits
                    )
                    if anywhere(fit.size > 0)
                )
                for fits in self.fits
            ),
        )

    def step(self) -> StepWork:
        """What they work on."""
        jobs = self.jobs
        work = BlockWork(
            jobs.method, jobs.system.die, self.sequences, jobs.own_length, jobs.mini_batch, jobs.context
        )
        return StepWork(
            work, jobs.global_batch, dram_use(jobs.method, jobs.system, self.need, self.sequences)
        )


def ways_to_run(jobs: Jobs, dram: DramNeed | None = None) -> tuple[Ways, dict[int, str]]:
    """How the machines of ``jobs`` can run; for those that do not fit, the message of a single projection.

    ``dram`` is as for :func:`chiplet.schedule.schedule.step_work`.
    """
    need = dram or whole_model(jobs.method, jobs.length, jobs.optimizer)
    given = need.sequences
    least = dram_use(jobs.method, jobs.system, need, 1 if given is None else given)
    refused: dict[int, str] = {}
    dies = _column(jobs.method.mesh.nodes, jobs.count)
    rows = np.arange(jobs.count)
    lacks = ~_column(least.fits, jobs.count).astype(bool)
    if lacks.any():
        uses_of_dram, held = _by_machine(least, jobs.count), _integers(given, jobs.count)
        for row in np.flatnonzero(lacks).tolist():
            refused[row] = str(dram_refusal(jobs.method, int(dies[row]), uses_of_dram[row], held[row]))
        rows = np.flatnonzero(~lacks)
        jobs, need = jobs.select(rows), need.select(partial(rows_of, rows=rows))

    method, system = jobs.method, jobs.system
    sequences = need.sequences
    if sequences is None:
        sequences = round_sequences(method, system, need, jobs.global_batch)
    work = BlockWork(method, system.die, sequences, jobs.own_length, jobs.mini_batch, jobs.context)
    blocks = method.blocks()
    fits = [candidates(work, block) for block in blocks] if jobs.count else [[] for _ in blocks]
    lacks = np.full(jobs.count, False)
    for number, of_block in enumerate(fits):
        fitting = [_column(fit.size, jobs.count) > 0 for fit in of_block]
        without = np.flatnonzero(~np.any([np.full(jobs.count, False), *fitting], axis=0) & ~lacks)
        lacks[without] = True
        if len(without):
            unfit = jobs.select(without)
            asked = lacking(
                BlockWork(
                    unfit.method,
                    unfit.system.die,
                    rows_of(sequences, without),
                    unfit.own_length,
                    unfit.mini_batch,
                    unfit.context,
                ),
                unfit.method.blocks()[number],
            )
            sizes = _integers(unfit.mini_batch, len(without))
            uses = zip(*(_by_machine(use, len(without)) for use in asked), strict=True)
            for row, buffers, size in zip(rows[without].tolist(), uses, sizes, strict=True):
                refusal = block_refusal(method, int(dies[row]), blocks[number], buffers, size)
                refused[row] = str(refusal)
    every = Ways(rows, jobs, need, sequences, tuple(map(tuple, fits)))
    return every.select(np.flatnonzero(~lacks)), refused


def rows_of(value: Any, rows: NDArray[np.intp]) -> Any:
    """The given rows of an array with one row for each machine; any other value unchanged."""
    return value[rows] if isinstance(value, np.ndarray) and value.ndim == 2 else value


def _select_systems(system: SystemSpec, rows: NDArray[np.intp]) -> SystemSpec:
    sections: dict[str, Any] = {}
    for name in SystemSpec.model_fields:
        section = getattr(system, name)
        fields = {key: value for key, value in vars(section).items() if isinstance(value, np.ndarray)}
        if fields:
            sections[name] = section.model_copy(
                update={key: rows_of(value, rows) for key, value in fields.items()}
            )
    return system.model_copy(update=sections)


def _column(value: Number, count: int) -> NDArray[Any]:
    """One number for each machine."""
    return np.broadcast_to(value, (count, 1))[:, 0]


def _integers(value: Number | None, count: int) -> list[int | None]:
    """One number for each machine, or None."""
    return [None] * count if value is None else [int(one) for one in _column(value, count).tolist()]


def _by_machine(use: BufferUse, count: int) -> list[BufferUse]:
    """What each machine needs of a buffer."""
    columns = (_integers(value, count) for value in (use.needed, use.available))
    return [BufferUse(use.name, *pair) for pair in zip(*columns, strict=True)]
