"""The pipeline of every bench: folder, progress, provenance, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from chiplet.machine.specs import MemorySpec
from cosim.backends.base import Backend, Design, SimulationError
from cosim.jobs.base import FOLDER_VARIABLE
from cosim.jobs.folder import save_progress
from cosim.run import simulation
from cosim.run.simulation import Simulation, bench_depth
from rtl.emit.emitter import Emitted

BUILD_SECONDS, RUN_SECONDS = 0.3, 0.2


class Recorder(Backend):
    """A simulator that writes its folder into a file, or fails."""

    name = "recorder"

    def __init__(self, failure: str = "") -> None:
        self.folders: list[Path] = []
        self.failure = failure

    def version(self) -> str:
        return "7"

    def build(self, design: Design) -> Path:
        time.sleep(BUILD_SECONDS)
        return Path(design.top)

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.folders.append(folder)
        assert (folder / "input").read_text() == "work"
        save_progress(folder, 3)
        time.sleep(RUN_SECONDS)
        if self.failure:
            raise SimulationError(self.failure)
        (folder / "output").write_text(f"{model} {bench} {environment[FOLDER_VARIABLE] == str(folder)}")


def write_inputs(folder: Path, _observed: list[str]) -> None:
    (folder / "input").write_text("work")


def bench() -> Simulation[str]:
    return Simulation(
        bench="some.bench",
        emit=lambda: Emitted(
            top="top", files=(), modules=("top",), bytes=1, seconds=0.0, text="module", rtlil=""
        ),
        write_inputs=write_inputs,
        load_outcome=lambda folder: (folder / "output").read_text(),
        total_progress=4.0,
    )


def test_the_outcome_and_where_it_comes_from() -> None:
    simulated = bench().run(Recorder())
    assert simulated.outcome == "top some.bench True"
    provenance = simulated.provenance
    assert (provenance["sim"], provenance["simulator_version"]) == ("recorder", "7")
    assert len(provenance["verilog_sha256"]) == 64


def test_wall_seconds_are_those_of_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither building, nor writing inputs, nor reading the outcome count."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    assert bench().run(Recorder()).provenance["wall_seconds"] == pytest.approx(RUN_SECONDS)


def test_progress_is_a_fraction_of_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "WATCH_SECONDS", RUN_SECONDS / 10)
    fractions: list[float] = []
    bench().run(Recorder(), progress=fractions.append)
    assert set(fractions) <= {0.0, 0.75}


@pytest.mark.parametrize("failure", ["", "it stopped"])
def test_the_folder_is_removed_however_the_run_ends(failure: str) -> None:
    recorder = Recorder(failure)
    if failure:
        with pytest.raises(SimulationError, match="^it stopped$"):
            bench().run(recorder)
    else:
        bench().run(recorder)
    assert len(recorder.folders) == 1
    assert not recorder.folders[0].exists()


@pytest.mark.parametrize(
    ("words", "word_bytes", "memories", "depth"),
    [
        (1, 32, 1, 1 << 21),
        (1 << 21, 32, 1, 1 << 21),
        ((1 << 21) + 1, 32, 1, 1 << 22),
        (1, 4, 1, 1 << 21),
        (1, 256, 1, 1 << 18),
        (1, 32, 2, 1 << 20),
        (1, 32, 5, 1 << 18),
        (1 << 19, 32, 8, 1 << 19),
    ],
)
def test_the_depth_is_the_same_for_all_usual_sizes(
    words: int, word_bytes: int, memories: int, depth: int
) -> None:
    assert bench_depth(words, MemorySpec(word_bytes=word_bytes), memories=memories) == depth
