"""The trace file has what Perfetto reads, and nothing that it would leave out."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from chiplet.timeline.chrome_trace import chrome_trace, disjoint
from chiplet.timeline.placed_step import timeline
from tests.chiplet.machines import PACKAGE


def test_events_are_on_named_tracks_and_do_not_overlap() -> None:
    accounted = account(StepRequest("tinyllama-1.1b", PACKAGE, mesh=(4, 4)))
    trace = json.loads(chrome_trace(timeline(accounted), {"model": "tinyllama-1.1b"}))
    result = accounted.projection
    assert trace["otherData"]["model"] == "tinyllama-1.1b"
    records = trace["traceEvents"]
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in records if one["name"] == "thread_name"}
    tracks = defaultdict(list)
    for one in records:
        if one["ph"] == "X":
            tracks[names[one["pid"], one["tid"]]].append(one)
    assert {"array", "vector unit", "links of rows", "links of columns", "DRAM"} <= tracks.keys()
    for events in tracks.values():
        for one, following in itertools.pairwise(events):
            assert int(one["ts"] * 1000) + int(one["dur"] * 1000) <= int(following["ts"] * 1000)
    busy = sum(one["dur"] for one in tracks["array"])
    assert busy / 1e6 == pytest.approx(result.breakdown.compute, rel=1e-9)
    end = max(one["ts"] + one["dur"] for events in tracks.values() for one in events)
    assert end / 1e6 == pytest.approx(result.step_seconds, rel=1e-9)
    counters = {one["name"] for one in records if one["ph"] == "C"}
    assert counters == {
        f"{name}, held" for name in ("scratchpad", "weight buffer", "accumulator buffer", "DRAM")
    }


@given(st.floats(0, 1e9), st.floats(0, 1e4), st.floats(0, 1))
def test_an_event_ends_before_the_next_in_whole_nanoseconds(
    start: float, duration: float, gap: float
) -> None:
    following = start + duration + gap
    found = disjoint(start, duration, following)
    assert int(start * 1000) + int(found * 1000) <= int(following * 1000)
    assert duration - 2e-3 <= found <= duration
    assert disjoint(start, duration, inf) == duration
