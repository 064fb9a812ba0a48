"""Timeline: what a calibration needs of it."""

from __future__ import annotations

import pytest

from chiplet.machine.config import load_system
from chiplet.machine.terms import DieTerms
from cosim.calibrate.die import FITTED_TERMS, request_for, samples
from cosim.predict.die import predict
from cosim.run.gemm import prepare


@pytest.mark.parametrize("term", FITTED_TERMS)
def test_a_fraction_of_a_cycle_in_a_fitted_term_is_seen(term: str) -> None:
    system = load_system(None, [], preset="package")
    terms = DieTerms()
    name = term.removeprefix("gemm.")
    if name == term:
        moved = terms.model_copy(update={name: getattr(terms, name) + 0.25})
    else:
        gemm = terms.gemm.model_copy(update={name: getattr(terms.gemm, name) + 0.25})
        moved = terms.model_copy(update={"gemm": gemm})
    changes = []
    for sample in samples(quick=True):
        request = request_for(sample, system, seed=0, sim="icarus")
        before, after = (
            predict(prepare(request).program, request.die, request.memory, used) for used in (terms, moved)
        )
        changes.append(after.cycles - before.cycles)
    assert max(changes) > 0.2, f"{term} cannot be fitted: no run depends on it"
