"""Timeline: exact on dies on which everything waits for something, and what a calibration needs of it."""

from __future__ import annotations

import pytest

from chiplet.layout.block_sizes import Form
from chiplet.machine.config import load_system
from chiplet.machine.terms import DieTerms
from cosim.calibrate.die import FITTED_TERMS, request_for, samples
from cosim.predict.die import predict
from cosim.records.gemm import gemm_request
from cosim.run.gemm import prepare, run_gemm


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


@pytest.mark.parametrize(
    ("cause", "keys", "shape", "form"),
    [
        (
            "commands wait for room in the queues of their units",
            (
                "die.rows=7 die.cols=4 die.stages=1 die.queue_depth=2 die.weight_bytes=112 die.activation_bytes=862 "
                "die.accumulator_bytes=2163 die.scratchpad_bytes=256 memory.outstanding=1 memory.latency_cycles=3"
            ),
            (19, 3, 3),
            "nn",
        ),
        (
            "a memory full of reads takes no write",
            (
                "die.rows=3 die.cols=1 die.dtype=int8 die.queue_depth=6 die.weight_bytes=14 die.activation_bytes=19 "
                "die.accumulator_bytes=66 memory.outstanding=1 memory.word_bytes=8 memory.latency_cycles=21"
            ),
            (2, 2, 27),
            "nt",
        ),
        (
            "commands are fetched no faster than they are handed out",
            (
                "die.rows=1 die.cols=1 die.dtype=int8 die.stages=2 die.queue_depth=6 die.weight_bytes=4 "
                "die.activation_bytes=2 die.accumulator_bytes=14 die.scratchpad_bytes=666 memory.outstanding=5 "
                "memory.latency_cycles=11"
            ),
            (52, 1, 1),
            "nt",
        ),
    ],
)
def test_cycles_are_exact_where(cause: str, keys: str, shape: tuple[int, int, int], form: Form) -> None:
    system = load_system(None, keys.split(), preset="bench")
    m, k, n = shape
    record = run_gemm(gemm_request(m=m, k=k, n=n, form=form, die=system.die, memory=system.memory))
    assert record.predicted_cycles == record.cycles, cause
