"""The demo: every file that it names is there and comes out of the command beside it, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from chiplet.graph.training.sizes import ModelSizes
from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from cosim.calibrate.die import Sample
from cosim.calibrate.network import NopSample
from cosim.records.gemm import GemmRecord, GemmRequest
from cosim.records.train_step import TrainStepRecord, TrainStepRequest
from hecaton import cli
from hecaton.demo import plan as demo_plan
from hecaton.demo import setup as demo_setup
from hecaton.demo.plan import FULL, DemoCase, Plan
from hecaton.demo.run import Demo, run_demo
from hecaton.demo.setup import Setup
from hecaton.demo.training import DemoTraining
from hecaton.results.records import Run
from hecaton.terminal.output import Output
from nop.topology import most_square
from rtl.emit.output_files import write_output
from tests.hecaton.command import ROOT, documented_keys, hecaton, refused

SMALL = Plan(
    cases=(
        DemoCase(3, 4, 5),
        DemoCase(4, 3, 2, "tn", array=(2, 3), dtype="int8", stall=0.3),
    ),
    training=DemoTraining(
        mesh=(1, 2),
        array=(3, 5),
        model=ModelSizes(hidden=4, heads=2, kv_heads=1, head_dim=4, ffn=5, layers=1, vocab=7),
        sequence=3,
        batch=2,
        tiles=2,
        steps=3,
        learning_rate=0.05,
    ),
    samples=(Sample(2, 2, 3, 4, 5, "nn", holdout=False), Sample(2, 2, 5, 3, 2, "nt", holdout=True)),
    nop_samples=(
        NopSample("all-gather", "chain", 2, 1, holdout=False),
        NopSample("reduce-scatter", "ring", 2, 5, holdout=True),
    ),
    model="tinyllama-1.1b",
    dies=16,
    scaling=(("tinyllama-1.1b", 16),),
    scaling_methods=("hecaton", "flat-ring"),
)
OVERRIDES = ["link.lanes=32", "die.queue_depth=2"]
SEED = 3


@pytest.fixture(autouse=True, scope="module")
def no_compiler() -> Iterator[None]:
    """Training runs in the interpreter: its model for CXXRTL takes a minute to build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", "no-compiler")
        yield


@pytest.fixture(scope="module")
def done(no_compiler: None, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("a demo") / "deep" / "er"
    return run_demo(folder, Output(True), plan=SMALL, overrides=OVERRIDES, seed=SEED)


def folder_of(demo: Demo) -> Path:
    return Path(demo.data["folder"])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_index_lists_every_file(done: Demo) -> None:
    folder = folder_of(done)
    assert sorted(entry["file"] for entry in done.data["files"]) == files_in(folder)
    assert json.loads((folder / "index.json").read_text()) == json.loads(json.dumps(done.data))
    assert (folder / "index.md").read_text() == done.text
    for entry in done.data["files"]:
        assert entry["what"]
        assert entry["command"].startswith("hecaton ")


def test_the_index_shows_tables_and_pictures(done: Demo) -> None:
    links = re.findall(r"\]\(([^)]+)\)", done.text)
    assert [link for link in links if not (folder_of(done) / link).exists()] == []
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", done.text)
    assert pictures == ["training.png", "calibration.png", "comparison.png", "scaling.png"]
    for name in pictures:
        content = (folder_of(done) / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 20_000
    assert "| 2x3 int8 | 4x3x2 tn, stall 0.3 | 0 |" in done.text
    assert "| 2x2 | 5 | 3 | 2 | nt | holdout |" in done.text
    assert "| tinyllama-1.1b | 16 | flat-ring |" in done.text


def test_figures(done: Demo) -> None:
    data = done.data
    assert set(data) == documented_keys("demo")
    assert [stage["name"] for stage in data["stages"]] == [
        "Verilog",
        "Co-simulation",
        "Training",
        "Calibration",
        "Comparison",
        "Weak scaling",
    ]
    assert data["seconds"] == pytest.approx(sum(stage["seconds"] for stage in data["stages"]), abs=0.01)
    assert (data["mismatches"], data["left_out"], data["seed"], data["sim"]) == (0, [], SEED, "icarus")
    assert (data["runs"], data["reused"], data["samples"], data["samples_reused"]) == (2, 0, 2, 0)
    assert 0 < data["utilization"] <= 1
    assert data["speedup"] > 0
    assert [row["method"] for row in data["scaling"]] == ["hecaton", "flat-ring"]
    calibration = Calibration.load(folder_of(done) / "calibration.json")
    assert calibration.provenance["holdout_max_relative_error"] == data["holdout_max_relative_error"]
    assert calibration.provenance["nop_holdout_max_relative_error"] == data["nop_holdout_max_relative_error"]
    assert calibration.nop is not None
    assert calibration.die.queue_depth == 2


def test_training_without_a_compiler_has_a_loss_and_no_cycles(done: Demo) -> None:
    training = done.data["training"]
    assert (training["steps"], training["simulator"], training["cycles"]) == (3, None, None)
    assert training["predicted_cycles"] > 0
    assert training["words"] > 0
    assert len(training["loss"]) == 3
    assert training["loss"][-1] < training["loss"][0]
    assert "no-compiler is not installed: the cxxrtl backend needs a C++ compiler" in done.text


def test_training_is_what_its_command_asks_for(
    done: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[TrainStepRequest] = []

    def prepare(request: TrainStepRequest, *_: object, **__: object) -> None:
        asked.append(request)
        raise ValueError("not run")

    monkeypatch.setattr("cosim.run.training.training_request.prepare_request", prepare)
    options = [word for override in OVERRIDES for word in ("-P", override)]
    words = [str(word) for word in SMALL.training.words(options, seed=SEED, sim="icarus")]
    assert cli.run(words) == 2
    assert capsys.readouterr().err.endswith("not run\n")
    system = load_system(None, [*OVERRIDES, *SMALL.training.assignments], preset="bench")
    assert asked == [SMALL.training.prepared(system, seed=SEED, sim="icarus").request]


def named(demo: Demo, start: str) -> list[dict[str, str]]:
    return [entry for entry in demo.data["files"] if entry["file"].startswith(start)]


def words_of(entry: dict[str, str]) -> list[str]:
    """The words of an entry's command after ``hecaton``, up to where its output goes."""
    words = shlex.split(entry["command"])[1:]
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.parametrize("start", ["comparison.json", "comparison.txt", "projections/"])
def test_projections_come_out_of_their_commands(
    done: Demo, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in named(done, start):
        assert cli.run(words_of(entry)) == 0
        assert capsys.readouterr().out == (folder_of(done) / entry["file"]).read_text()


def test_verilog_comes_out_of_its_command(done: Demo, tmp_path: Path) -> None:
    words = words_of(named(done, "verilog/")[0])
    words[words.index("-o") + 1] = str(tmp_path)
    assert cli.run(words) == 0
    assert files_in(tmp_path) == files_in(folder_of(done) / "verilog")
    for name in files_in(tmp_path):
        assert (tmp_path / name).read_bytes() == (folder_of(done) / "verilog" / name).read_bytes()


def test_a_record_comes_out_of_its_command(done: Demo, tmp_path: Path) -> None:
    entry = named(done, "records/")[-1]
    words = words_of(entry)
    words[words.index("--records") + 1] = str(tmp_path)
    assert cli.run(words) == 0
    again, first = (
        GemmRecord.model_validate_json(path.read_bytes())
        for path in (tmp_path / Path(entry["file"]).name, folder_of(done) / entry["file"])
    )
    assert again.model_copy(update={"wall_seconds": first.wall_seconds}) == first


@pytest.mark.parametrize("wrong", ["co-simulation", "calibration"])
def test_mismatches_end_it_with_exit_code_1(
    wrong: str,
    done: Demo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "demo"
    paths = (folder_of(done) / "records").iterdir()
    records_by_name = {path.name: GemmRecord.model_validate_json(path.read_bytes()) for path in paths}
    stages = iter(["co-simulation", "calibration"])

    def measured(
        requests: Sequence[GemmRequest], records: Path, *, ended: Callable[[Run], None], workers: int | None
    ) -> list[Run]:
        """What the finished demo measured, with two results wrong in one of the stages."""
        update = {"mismatches": 1 if next(stages) == wrong else 0}
        runs = []
        for request in requests:
            record = next(record for record in records_by_name.values() if record.request == request)
            write_output(records / record.file_name, "")
            run = Run(record.model_copy(update=update), records / record.file_name, reused=False)
            ended(run)
            runs.append(run)
        return runs

    monkeypatch.setattr(demo_setup, "run_gemms", measured)
    monkeypatch.setattr(demo_plan, "FULL", SMALL)
    options = [word for override in OVERRIDES for word in ("-P", override)]
    assert cli.run(["demo", "-o", str(folder), "--seed", str(SEED), "--json", *options]) == 1
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == (
        f"hecaton: error: 2 results differ from the golden model: see {folder / 'index.md'}"
    )
    data = json.loads(shown.out)
    assert data["mismatches"] == 2
    assert data["left_out"][-2:] == ["Comparison", "Weak scaling"]
    assert data["holdout_max_relative_error"] is None
    assert sorted(entry["file"] for entry in data["files"]) == files_in(folder)
    assert "**2 results differ from the golden model.**" in (folder / "index.md").read_text()
    assert not (folder / "calibration.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-P", "die.rowz=8"], "-P die.rowz=8: unknown key die.rowz: the nearest known one is die.rows"),
        (["--sim", "modelsim"], "--sim modelsim is unknown: must be one of "),
        (["-o", "README.md"], "README.md: Not a directory"),
        (["-P", "die.scratchpad_bytes=65536"], "bytes and has 65536"),
        (["--workers", "0"], "must be an integer from 1 to 1024, not 0"),
    ],
)
def test_refusals_come_before_any_work(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    assert message in refused("demo", *arguments, cwd=tmp_path)
    assert files_in(tmp_path) == ["README.md"]


def test_the_full_plan_covers_forms_types_arrays_and_stalls() -> None:
    covered = {(case.form, case.dtype, case.array) for case in FULL.cases}
    for form in ("nn", "nt", "tn"):
        for dtype in ("bf16", "int8"):
            for array in ((4, 4), (5, 3)):
                assert (form, dtype, array) in covered
    assert any(case.stall for case in FULL.cases)
    assert any(case.operands == "special" for case in FULL.cases)
    assert {sample.holdout for sample in FULL.samples} == {False, True}


def test_all_methods_have_the_most_square_mesh(tmp_path: Path) -> None:
    bench, package = (load_system(None, [], preset=name) for name in ("bench", "package"))
    trained = load_system(None, FULL.training.assignments, preset="bench")
    setup = Setup(
        tmp_path,
        Output(True),
        FULL,
        bench,
        package,
        trained,
        (),
        "bench",
        "package",
        workers=1,
        seed=SEED,
        sim="icarus",
    )
    assert [(row.model, row.mesh, row.method) for row in (one.projection for one in setup.scaled(None))] == [
        (model, str(most_square(dies)), method)
        for model, dies in FULL.scaling
        for method in FULL.scaling_methods
    ]
    assert setup.compared(None).mesh == str(most_square(FULL.dies))


def interrupted(folder: Path) -> list[Path]:
    """Start the demo, interrupt it after its first record, and return the records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hecaton", "demo", "-o", str(folder)],
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    records = folder / "records"
    while not list(records.glob("gemm*")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "hecaton: error: interrupted"
    assert "Traceback" not in err
    return sorted(records.iterdir())


@pytest.mark.slow
def test_full_run_after_an_interrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX")
    folder = tmp_path / "demo"
    left = interrupted(folder)
    for path in left:
        assert GemmRecord.model_validate_json(path.read_bytes()).mismatches == 0
    assert len(left) == len(list(folder.glob("records/gemm*")))

    done = hecaton("demo", "-o", str(folder), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert data["reused"] == len(left)
    assert data["mismatches"] == 0
    assert data["holdout_max_relative_error"] < 0.05
    assert data["check_max_relative_error"] < 0.05
    assert data["utilization"] > 0.98
    training = data["training"]
    assert training["simulator"] == "cxxrtl"
    assert training["loss"][-1] < training["loss"][0] / 2
    assert training["predicted_cycles"] == pytest.approx(training["cycles"], rel=0.05)
    (path,) = folder.glob("records/train*")
    record = TrainStepRecord.model_validate_json(path.read_bytes())
    assert (record.mismatches, record.cycles) == (0, training["cycles"])
    assert [*record.loss] == training["loss"]
    assert sorted(entry["file"] for entry in data["files"]) == files_in(folder)
