"""Traces and waveforms of collectives: tracks for the units of every die, the same on each simulator."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from cosim.observe.observation import NOTHING, Observation
from cosim.observe.units import ENGINE_UNITS, units
from cosim.records.collective import CollectiveRecord, collective_request
from cosim.run.collective import run_collective
from rtl.interface.register_map import SIDES

REQUEST = {"op": "reduce-scatter", "algorithm": "chain", "rows": 2, "cols": 3, "axis": "row", "flits": 9}


def run(sim: str, observation: Observation = NOTHING, **fields: int) -> CollectiveRecord:
    return run_collective(collective_request(**{**REQUEST, **fields}, sim=sim), observation)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[CollectiveRecord, str]]:
    """Record and trace of each simulator."""
    folder = tmp_path_factory.mktemp("traces")
    found = {}
    for sim in ("icarus", "cxxrtl"):
        path = folder / f"{sim}.json"
        found[sim] = run(sim, Observation(trace=path)), path.read_text()
    return found


def test_simulators_agree(traced: dict[str, tuple[CollectiveRecord, str]]) -> None:
    (icarus, first), (cxxrtl, second) = traced.values()
    assert first == second
    differs = {"request", "sim", "simulator_version", "wall_seconds"}
    plain, *others = (one.model_dump(exclude=differs) for one in (run("cxxrtl"), icarus, cxxrtl))
    assert others == [plain, plain]
    assert icarus.mismatches == 0


def test_each_die_has_a_track_for_each_unit(traced: dict[str, tuple[CollectiveRecord, str]]) -> None:
    record, text = traced["cxxrtl"]
    events = json.loads(text)["traceEvents"]
    dies = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert dies == {n: f"die {n // 3},{n % 3}" for n in range(6)}
    names = ["command processor", *(unit.name for unit in units(engine=True))]
    tracks = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert tracks == {(pid, tid): name for pid in dies for tid, name in enumerate(names)}

    cycles: Counter[tuple[int, str, str]] = Counter()
    for event in events:
        if event["ph"] == "X":
            cycles[event["pid"], tracks[event["pid"], event["tid"]], event["name"]] += event["dur"]
    for pid, counters in enumerate(record.counters):
        for side in SIDES:
            assert cycles[pid, f"send {side}", "busy"] == counters[f"flits_sent_{side}"]
            assert cycles[pid, f"receive {side}", "busy"] == counters[f"flits_received_{side}"]
        for kind, why in (("send", "semaphore"), ("send", "link"), ("receive", "semaphore")):
            stalled = sum(cycles[pid, f"{kind} {side}", f"stalled: {why}"] for side in SIDES)
            assert stalled == counters[f"{kind}_stall_{why}"]
    moved = {
        (e["name"].split()[0].lower(), e["args"]["side"])
        for e in events
        if e.get("cat") == "command" and tracks[e["pid"], e["tid"]] in {u.name for u in ENGINE_UNITS}
    }
    assert moved == {(kind, side) for kind in ("send", "receive") for side in ("east", "west")}


@pytest.mark.parametrize(
    ("sim", "suffix"), [("icarus", ".fst"), pytest.param("cxxrtl", ".vcd", marks=pytest.mark.slow)]
)
def test_views_name_the_units_of_every_die(tmp_path: Path, sim: str, suffix: str) -> None:
    path = tmp_path / f"run{suffix}"
    run(sim, Observation(waves=path), rows=2, cols=1)
    assert path.stat().st_size
    groups = re.findall("^divider_add (.+)$", path.with_suffix(".sucl").read_text(), re.MULTILINE)
    assert len(groups) == len(set(groups))
    assert {"die_0,0_send_east", "die_1,0_send_east"} < set(groups)
