"""Vector programs on the generated die: no bit differs, and the prediction holds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from chiplet.machine.terms import DieTerms
from chiplet.machine.vector_specs import VectorSpec
from cosim.predict.vector import predict_vector
from cosim.records.vector import VectorRequest, vector_request
from cosim.run.vector import prepare, run_vector

DIE = DieSpec(rows=1, cols=1, weight_bytes=64, activation_bytes=64, accumulator_bytes=64)


def request_of(**fields: Any) -> VectorRequest:
    """Four lanes, two of which evaluate functions."""
    machine = {"die": DIE, "memory": MemorySpec(word_bytes=16), "vector": VectorSpec(function_lanes=2)}
    return vector_request(**(machine | {"program": "softmax", "rows": 4, "cols": 4} | fields))


@pytest.mark.parametrize(
    ("program", "rows", "cols", "fields"),
    [
        ("softmax", 7, 10, {"causal": True}),
        ("silu-backward", 3, 21, {"operands": "special"}),
        ("cross-entropy-merge", 5, 1, {"lines": 2, "stall": 0.3, "seed": 3}),
    ],
)
def test_results_are_those_of_the_golden_model(
    program: str, rows: int, cols: int, fields: dict[str, Any]
) -> None:
    record = run_vector(request_of(program=program, rows=rows, cols=cols, **fields))
    assert record.mismatches == 0
    assert record.results > 0
    assert (record.lanes, record.function_lanes) == (4, 2)
    assert record.beat_cycles < record.vector_cycles < record.cycles
    assert record.passes == sum(
        command.opcode.name == "VECTOR" for command in prepare(record.request).made.commands
    )
    if "stall" not in fields:
        assert record.predicted_cycles == record.cycles


@pytest.mark.parametrize(
    ("program", "rows", "cols", "fields", "blocks"),
    [
        ("softmax", 23, 10, {"causal": True}, (4, 6, 1)),
        ("residual", 21, 7, {"interval": 2}, (4, 6, 2)),
        ("cross-entropy-merge", 50, 1, {"lines": 2}, (4, 16, 1)),
    ],
)
def test_what_does_not_fit_goes_in_blocks_of_rows(
    program: str, rows: int, cols: int, fields: dict[str, Any], blocks: tuple[int, int, int]
) -> None:
    """No bit differs from the golden model, which does not know of blocks, and the prediction is exact."""
    die = DIE.model_copy(update={"scratchpad_bytes": 1024})
    record = run_vector(request_of(program=program, rows=rows, cols=cols, die=die, **fields))
    assert (record.blocks, record.block_rows, record.buffers) == blocks
    assert record.mismatches == 0
    assert record.predicted_cycles == record.cycles


@pytest.mark.parametrize(
    ("program", "rows", "cols"), [("residual", 21, 14), ("adam", 9, 20), ("rmsnorm-backward", 17, 12)]
)
def test_more_scratchpad_never_costs_cycles(program: str, rows: int, cols: int) -> None:
    cycles = []
    for size in range(10, 16):
        request = request_of(
            program=program,
            rows=rows,
            cols=cols,
            die=DIE.model_copy(update={"scratchpad_bytes": 1 << size}),
        )
        made = prepare(request).made
        cycles.append(
            predict_vector(made.commands, request.die, request.memory, DieTerms(), vector=request.vector)
        )
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[-1] < cycles[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"program": "relu"}, "vector program 'relu': must be one of softmax, "),
        ({"program": "adam", "causal": True}, "vector program adam has no causal mask"),
        ({"program": "adam", "lines": 2}, "vector program adam joins no parts: lines must be 1"),
        (
            {"vector": VectorSpec(lanes=8)},
            "vector.lanes = 8: must be at most 4, the 32-bit values of a word of ",
        ),
        ({"sim": "spice"}, "--sim spice is unknown"),
    ],
)
def test_what_cannot_run_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        prepare(request_of(**fields))
