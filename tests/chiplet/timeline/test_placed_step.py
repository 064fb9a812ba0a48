"""The timeline of a step ends with it, and its tracks are busy as long as its projection says."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.schedule.buffers import DoesNotFitError
from chiplet.timeline.placed_step import timeline
from chiplet.timeline.spans import DRAM, UPDATE_DRAM, UPDATE_VECTOR, Span, Timeline
from tests.chiplet.machines import MIXED, PACKAGE, package, small_model, small_package

TOLERANCE = 1e-9
"""Of the step: sums of thousands of floats, each as exact as the time at which its span starts."""


def check(accounted: Accounted) -> Timeline:
    found, result = timeline(accounted), accounted.projection
    slack = TOLERANCE * result.step_seconds
    assert found.seconds == pytest.approx(result.step_seconds, rel=TOLERANCE)
    assert max(span.end for span in found.spans) == pytest.approx(result.step_seconds, rel=TOLERANCE)
    breakdown = result.breakdown.model_dump()
    for name, seconds in found.busy().items():
        assert seconds == pytest.approx(breakdown[name], abs=slack), name
    tracks: dict[tuple[int, str], list[Span]] = defaultdict(list)
    for span in found.spans:
        assert span.seconds >= 0
        tracks[span.process, span.track].append(span)
    for spans in tracks.values():
        spans.sort(key=lambda span: span.start)
        assert all(one.end <= other.start + slack for one, other in itertools.pairwise(spans))
        assert -slack <= spans[0].start
        assert spans[-1].end <= result.step_seconds + slack
    peaks: dict[str, float] = defaultdict(float)
    for level in found.levels:
        assert level.held >= 0
        peaks[level.memory] = max(peaks[level.memory], level.held)
    needed = {name: use.needed_bytes for name, use in result.memory.buffers.items()}
    assert peaks == {**needed, DRAM: result.memory.dram.needed_bytes}
    return found


SWITCHES = st.fixed_dictionaries(
    {"overlap": st.booleans(), "recompute": st.sampled_from(["none", "selective", "full"])}
)
MODELS = st.sampled_from(
    [
        {},
        {"layers": 1},
        {"gated": False, "norm": "layernorm"},
        {"kv_heads": 8, "layers": 3},
        {"hidden": 500},
        *MIXED,
    ]
)
MACHINES = st.sampled_from(
    [
        (),
        ("memory.channel_bytes_per_second=1e7",),
        ("link.lane_rate=1e8",),
        ("die.scratchpad_bytes=60000",),
        ("die.weight_bytes=30000", "die.accumulator_bytes=60000"),
        ("memory.channel_bytes=1200000",),
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(list(METHODS)),
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    batch=st.integers(1, 40),
    length=st.integers(1, 64),
    model=MODELS,
    machine=MACHINES,
    switches=SWITCHES,
    optimizer=st.sampled_from(["adam", "sgd"]),
)
def test_ends_and_sums_are_those_of_the_projection(
    method: str,
    rows: int,
    cols: int,
    batch: int,
    length: int,
    model: dict[str, Any],
    machine: tuple[str, ...],
    switches: dict[str, Any],
    optimizer: Any,
) -> None:
    request = StepRequest(
        small_model(**model),
        small_package(*machine),
        mesh=(rows, cols),
        method=method,
        switches=switches,
        global_batch=batch,
        sequence_length=length,
        optimizer=optimizer,
    )
    try:
        accounted = account(request)
    except DoesNotFitError:
        return
    check(accounted)


@pytest.mark.parametrize("method", METHODS)
def test_published_models(method: str) -> None:
    check(account(StepRequest("llama2-7b", PACKAGE, mesh=(8, 8), method=method)))


def test_a_layer_is_drawn_in_detail() -> None:
    found = check(account(StepRequest("llama2-7b", PACKAGE, mesh=(8, 8))))
    for begin, end in found.detail:
        inside = [span for span in found.spans if begin <= span.start < end]
        assert {span.track for span in inside} == set(found.tracks()) - {"step", UPDATE_DRAM, UPDATE_VECTOR}
        assert any("token tile" in span.details for span in inside)
    assert found.detail[0][1] <= found.detail[1][0]


@pytest.mark.parametrize("parts", [("pipeline=4",), ("data=3",), ("pipeline=2", "data=2", "interleave=4")])
def test_several_packages(parts: tuple[str, ...]) -> None:
    system = package(*(f"parallel.{part}" for part in parts))
    accounted = account(StepRequest("llama2-7b", system, mesh=(4, 4), global_batch=48))
    found = check(accounted)
    parallel = accounted.parallel
    assert parallel is not None
    for stage, seconds in zip(parallel.stages, parallel.seconds, strict=True):
        own = [span for span in found.spans if span.process == stage.number + 1]
        work = sum(span.seconds for span in own if span.kind == "work")
        assert work == pytest.approx(seconds * parallel.micro_batches)
        assert own[0].start == pytest.approx(0)
    last = max(found.spans, key=lambda span: (span.process > 0, span.end))
    assert last.process == parallel.done_last.number + 1
    assert last.end == pytest.approx(accounted.projection.step_seconds)
