"""Runs that leave traces and waveforms: the same on every simulator, and the run is what it is without."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulation import QUICK_DIE
from chiplet.machine.specs import MemorySpec
from cosim.backends.base import Backend
from cosim.backends.cxxrtl import Cxxrtl
from cosim.backends.icarus import Icarus
from cosim.backends.registry import BACKENDS
from cosim.backends.verilator import Verilator
from cosim.jobs.base import CLOCK_NS
from cosim.observe.observation import Observation, ObservedDie
from cosim.observe.units import OBSERVED_UNITS
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.run.die import emit_bench
from cosim.run.gemm import run_gemm
from tests.simulators import installed

REQUEST = GemmRequest(m=7, k=11, n=5, form="nt", die=QUICK_DIE, memory=MemorySpec(), stall=0.2, seed=3)
SIMULATORS = installed()
WITH_WAVES = [name for name in SIMULATORS if BACKENDS[name].wave_formats]
PERIOD_PS = 1000 * CLOCK_NS


def outcome(record: GemmRecord) -> dict[str, Any]:
    """What must not change."""
    return record.model_dump(include={"cycles", "mismatches", "counters", "verilog_sha256"})


def counted(signal: str) -> str:
    """The counter of a signal."""
    return signal.removeprefix("registers.")


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return outcome(run_gemm(REQUEST))


def test_traces(tmp_path: Path, plain: dict[str, Any]) -> None:
    texts = []
    for sim in SIMULATORS:
        path = tmp_path / "deep" / f"{sim}.json"
        record = run_gemm(REQUEST.model_copy(update={"sim": sim}), observation=Observation(trace=path))
        assert outcome(record) == plain
        texts.append(path.read_text())
        assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []
    assert texts[0] == texts[1]

    events = json.loads(texts[0])["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert list(tracks.values()) == ["command processor", *(unit.name for unit in OBSERVED_UNITS)]
    cycles: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event["ph"] == "X":
            assert 0 <= event["ts"] < event["ts"] + event["dur"] <= plain["cycles"]
            cycles[tracks[event["tid"]], event["name"]] += event["dur"]
    for unit in OBSERVED_UNITS:
        assert cycles[unit.name, "busy"] == plain["counters"][counted(unit.busy)]
        for why, signal in unit.stalls.items():
            assert cycles[unit.name, f"stalled: {why}"] == plain["counters"][counted(signal)]
    named = [event["args"]["index"] for event in events if event.get("cat") == "command"]
    fetches = [event for event in events if event.get("cat") == "fetch"]
    fetched = [event["args"]["index"] for event in fetches]
    # Each command once on the track of its unit, and a GEMM on those of both halves of the array unit. The command
    # processor carries out a SET itself.
    assert fetched == sorted(fetched) == list(range(record.commands))
    of_units = {event["args"]["index"] for event in fetches if not event["name"].startswith("fetch SET")}
    assert set(named) == of_units
    assert len(of_units) >= len(fetched) - 1
    # What belongs to a command stays inside its span.
    for tid in tracks:
        mine = [(e["ts"], e["ts"] + e["dur"], e["cat"]) for e in events if e["ph"] == "X" and e["tid"] == tid]
        own = [(start, stop) for start, stop, kind in mine if kind == "command"]
        for start, stop, kind in mine:
            if kind in {"busy", "stall"} and own:
                assert any(begin <= start and stop <= end for begin, end in own)


def wave_values(path: Path, names: list[str]) -> dict[str, list[str]]:
    """Value of each signal of a VCD file before each rising edge of the clock."""
    header, _, body = path.read_text().partition("$enddefinitions")
    scope: list[str] = []
    signals: dict[str, str] = {}
    for line in header.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scope.append(words[2])
        elif words[:1] == ["$upscope"]:
            scope.pop()
        elif words[:1] == ["$var"]:
            signals[".".join([*scope, words[4]])] = words[3]
    assert not set(names) - signals.keys()
    values: dict[str, str] = {}
    found: dict[str, list[str]] = {name: [] for name in names}
    for line in body.splitlines():
        if line.startswith("#"):
            if int(line[1:]) % PERIOD_PS == 0:
                for name in names:
                    found[name].append(values.get(signals[name], "x"))
        elif line[:1] in "bB":
            value, signal = line[1:].split()
            values[signal] = value.lstrip("0") or "0"
        elif line[:1] in "01xXzZ":
            values[line[1:]] = line[0]
    return found


def test_waveforms_agree_and_views_name_what_is_in_them(tmp_path: Path, plain: dict[str, Any]) -> None:
    found = []
    for sim in WITH_WAVES:
        path = tmp_path / f"{sim}.vcd"
        record = run_gemm(REQUEST.model_copy(update={"sim": sim}), observation=Observation(waves=path))
        assert outcome(record) == plain
        surfer = re.findall("^variable_add (.+)$", path.with_suffix(".sucl").read_text(), re.MULTILINE)
        gtkwave = re.findall(r"^([a-z][\w.]+)(?:\[|$)", path.with_suffix(".gtkw").read_text(), re.MULTILINE)
        assert surfer == gtkwave
        values = {name[name.find("die.") :]: drawn for name, drawn in wave_values(path, surfer).items()}
        start = values["die.registers.running"].index("1")
        found.append({name: drawn[start : start + record.cycles] for name, drawn in values.items()})
    icarus, cxxrtl = found
    for name, reference in icarus.items():
        if name.startswith("die."):
            defined = [n for n, value in enumerate(reference) if set(value) <= {"0", "1"}]
            assert [cxxrtl[name][n] for n in defined] == [reference[n] for n in defined], name


def test_fst(tmp_path: Path, plain: dict[str, Any]) -> None:
    path = tmp_path / "run.fst"
    assert outcome(run_gemm(REQUEST, observation=Observation(waves=path))) == plain
    assert path.read_bytes()[:9] == bytes(
        [0, 0, 0, 0, 0, 0, 0, 1, 73]
    )  # block type and length of an FST header
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.fst", "run.gtkw", "run.sucl"]


@pytest.mark.parametrize("backend", [Icarus(), Cxxrtl()], ids=lambda backend: backend.name)
def test_a_model_with_waves_is_another_one(backend: Backend) -> None:
    design = emit_bench(QUICK_DIE, MemorySpec(), 1)
    models = [backend.build(design), *(backend.with_waves(one).build(design) for one in backend.wave_formats)]
    assert len(set(models)) == len(models)


@pytest.mark.parametrize(
    ("backend", "name", "message"),
    [
        (Icarus(), "run.lxt", "--sim icarus writes waveforms as .fst or .vcd, not as .lxt"),
        (Icarus(), "run", "--sim icarus writes waveforms as .fst or .vcd, not as a plain file"),
        (Cxxrtl(), "run.fst", "--sim cxxrtl writes waveforms as .vcd, not as .fst"),
        (Verilator(), "run.vcd", "--sim verilator writes no waveforms"),
    ],
)
def test_formats_that_are_not_written(tmp_path: Path, backend: Backend, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^--waves {re.escape(str(tmp_path / name))}: {message}$"):
        Observation(waves=tmp_path / name).instrument(backend)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=f"^--trace {re.escape(str(tmp_path))}: is a folder: must be a plain file, or absent$",
    ):
        Observation(trace=tmp_path).instrument(Icarus())


def test_nothing_is_kept_unless_asked_for() -> None:
    icarus = Icarus()
    assert Observation().instrument(icarus) is icarus
    assert Observation().signals([ObservedDie(path="die", commands=[])]) == []
