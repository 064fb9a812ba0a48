"""The random collectives of the acceptance: which they are, without running them."""

from __future__ import annotations

from benchmarks.accept.collectives import MODELS, requests_of
from cosim.program.collective import mesh_programs
from cosim.run.collective import line_collectives


def test_the_collectives_are_those_of_the_promise() -> None:
    deep = [model for model in MODELS if model.at_full_rate]
    requests = [request for model in deep for request in requests_of(model, seed=0)]
    assert len(requests) == 300
    assert {model.flit_bits for model in deep} == {32, 64, 128, 256, 512, 1024}
    assert {model.buffer_flits for model in deep} == set(range(2, 9))
    assert {model.package for model in deep} == {True, False}
    assert {request.axis for request in requests} == {"row", "column", "both"}
    assert {(request.op, request.algorithm) for request in requests} == {
        (op, algorithm)
        for op in ("all-gather", "reduce-scatter", "all-reduce")
        for algorithm in ("ring", "chain")
    }
    assert {(model.buffer_flits, model.lanes) for model in MODELS if model not in deep} == {
        (1, None),
        (1, 5),
        (7, 4),
        (4, 16),
        (2, 2),
    }


def test_the_collectives_are_the_same_again_and_have_programs() -> None:
    for model in MODELS:
        requests = list(requests_of(model, seed=3))
        assert requests == list(requests_of(model, seed=3)) != list(requests_of(model, seed=4))
        for request in requests:
            programs, _ = mesh_programs(line_collectives(request), request.rows, request.cols)
            assert any(programs)
