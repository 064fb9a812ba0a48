"""Traces of packages: all phases of every die."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from cosim.observe.observation import Observation
from cosim.records.package import package_gemm_request
from cosim.run.package_gemm import run_package_gemm
from tests.cosim.packages import system


def test_spans_are_what_the_counters_of_all_phases_count(tmp_path: Path) -> None:
    path = tmp_path / "package.json"
    request = package_gemm_request(m=5, k=6, n=7, system=system(1, 2), direct=True)
    record = run_package_gemm(request, observation=Observation(trace=path))
    assert record.mismatches == 0

    events = json.loads(path.read_text())["traceEvents"]
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] == ["die 0,0", "die 0,1"]
    tracks = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    busy: Counter[tuple[int, str]] = Counter()
    for event in events:
        if event["ph"] == "X" and event["cat"] == "busy":
            busy[event["pid"], tracks[event["pid"], event["tid"]]] += event["dur"]
    for pid in range(2):
        phases = [counters[pid] for counters in record.counters.values()]
        for unit, counter in (
            ("load unit", "load_busy"),
            ("activation streamer", "array_busy"),
            ("store unit", "store_busy"),
            ("send east", "flits_sent_east"),
            ("receive west", "flits_received_west"),
        ):
            assert busy[pid, unit] == sum(counters[counter] for counters in phases)
    fetched = [e["args"]["index"] for e in events if e.get("cat") == "fetch" and e["pid"] == 0]
    assert fetched == list(range(len(fetched)))
