"""All published claims over the space of assumptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chiplet.claims.assumptions import ASSUMPTIONS, Assumption
from chiplet.claims.gains import Gains, check_base, claim_sweep, gains, tasks_of
from chiplet.claims.results import AssumptionEntry, ChoiceEntry, ClaimRow, ClaimStudy
from chiplet.claims.verdicts import like_for_like, pair_gain, verdict
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import check_predicted
from chiplet.projection.job import DEFAULT_GLOBAL_BATCH, check_length
from chiplet.studies.published import CLAIMS, PublishedClaim
from chiplet.sweep.evaluate import evaluate
from chiplet.workload.llm import load_model


class ClaimWork:
    """The points of all claims, which are evaluated in tasks.

    Raises ``ValueError``, in one line, for a machine that sets what the assumptions set, and for a batch or length that
    is not possible.
    """

    def __init__(
        self,
        system: SystemSpec,
        *,
        assumptions: Sequence[Assumption] = ASSUMPTIONS,
        claims: Sequence[PublishedClaim] = CLAIMS,
        global_batch: int | None = None,
        sequence_length: int | None = None,
    ) -> None:
        check_predicted(system.die, "projections")
        check_base(system, assumptions)
        self.assumptions, self.claims = tuple(assumptions), tuple(claims)
        self.global_batch = DEFAULT_GLOBAL_BATCH if global_batch is None else global_batch
        self._lengths = [check_length(load_model(claim.model), sequence_length) for claim in claims]
        self._sweeps = [
            claim_sweep(claim, assumptions, system, global_batch=self.global_batch, sequence_length=length)
            for claim, length in zip(claims, self._lengths, strict=True)
        ]
        self._tasks = [tasks_of(sweep) for sweep in self._sweeps]

    @property
    def points(self) -> int:
        """Points of all tasks."""
        return sum(task.stop - task.start for tasks in self._tasks for task in tasks)

    def study(self, advance: Callable[[int], None] = lambda _: None) -> ClaimStudy:
        """Evaluate all points, calling ``advance`` with the number of each task's, and judge them."""
        found: list[Gains] = []
        for claim, sweep, tasks in zip(self.claims, self._sweeps, self._tasks, strict=True):
            parts = []
            for task in tasks:
                parts.append(evaluate(task))
                advance(task.stop - task.start)
            found.append(gains(claim, self.assumptions, sweep, parts))
        return self._judged(found)

    def _judged(self, found: Sequence[Gains]) -> ClaimStudy:
        alike = like_for_like(self.assumptions)
        rows = []
        for row, places in enumerate(np.ndindex(*alike.shape)):
            pairs = [pair_gain(one, row) for one in found]
            rows.append(
                ClaimRow(
                    assumptions={
                        one.name: one.choices[place].label
                        for one, place in zip(self.assumptions, places, strict=True)
                    },
                    like_for_like=bool(alike[places]),
                    pairs=pairs,
                    reached=all(pair.speed_reached and pair.energy_reached for pair in pairs),
                )
            )
        return ClaimStudy(
            global_batch=self.global_batch,
            assumptions=[
                AssumptionEntry(
                    name=one.name,
                    meaning=one.meaning,
                    values=[ChoiceEntry(value=choice.label, source=choice.source) for choice in one.choices],
                )
                for one in self.assumptions
            ],
            summary=[verdict(one, length) for one, length in zip(found, self._lengths, strict=True)],
            reached=sum(row.reached for row in rows),
            rows=rows,
        )
