"""Measured steps of Megatron-LM: their files, and the machine that they belong to."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from chiplet.studies.gpu_cluster import load_cluster
from chiplet.studies.megatron_runs import load_runs, runs_of
from chiplet.studies.preset_files import preset_names

TEXT = (resources.files("chiplet") / "presets" / "runs" / "b200.toml").read_text(encoding="utf-8")


def test_every_preset_machine_has_runs_with_their_sources() -> None:
    assert preset_names("runs") == preset_names("machine")
    for name in preset_names("runs"):
        found = runs_of(name, None)
        assert found.machine == load_cluster(name).name == name
        assert all(run.source == found.source for run in found.runs)


def test_a_run_has_the_source_of_its_own_or_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT + 'source = "our own clock"\n')
    assert load_runs(path).runs[0].source == "our own clock"
    path.write_text(TEXT)
    assert load_runs(path) == load_runs("b200")


def test_the_step_of_the_b200_run_follows_from_its_published_rate() -> None:
    (run,) = load_runs("b200").runs
    assert run.global_batch * run.sequence_length / (1600 * run.gpus) == pytest.approx(run.seconds)


def test_a_machine_without_measured_runs_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"^machine other\.toml: no measured runs come with it: .*--runs FILE\.toml"
    ):
        runs_of("other.toml", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 1", "not valid TOML: "),
        ('source = ""\nruns = []\n', "machine is missing"),
        ('machine = "x"\nsource = ""\nruns = []\n', "runs = []: list should have at least 1 item"),
        ("speed = 1\n" + TEXT, "unknown key speed: the nearest known one is source"),
        (TEXT.replace("seconds = 5.12", "seconds = nan"), "runs.0.seconds = nan: input should be"),
        (
            TEXT.replace("seconds = 5.12", "seconds = 0.0"),
            "runs.0.seconds = 0.0: input should be greater than 0",
        ),
        (TEXT.replace("seconds = 5.12", ""), "runs.0.seconds is missing"),
        (TEXT.replace("heads = 96", "heads = true"), "runs.0.heads = true: input should be a valid integer"),
        (
            TEXT.replace("heads = 96", "heads = 100"),
            "run 175B fp8 x512: hidden = 12288 is no multiple of heads = 100",
        ),
        (TEXT.replace("gpus = 512", "gpus = 500"), "gpus = 500 is no multiple of tensor x pipeline = 16"),
        (
            TEXT.replace("interleave = 6", "interleave = 5"),
            "layers = 96 is no multiple of pipeline x interleave = 20",
        ),
        (
            TEXT.replace("global_batch = 2048", "global_batch = 2050"),
            "global_batch = 2050 is no multiple of replicas x micro_batch = 64",
        ),
        (
            TEXT.replace('"fused"', '"some"'),
            "runs.0.recompute = \"some\": input should be 'full', 'selective' or",
        ),
        (TEXT + TEXT[TEXT.index("[[runs]]") :], "two runs are called '175B fp8 x512 fused'"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.toml: ") as refusal:
        load_runs(path)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unknown_runs_are_named() -> None:
    with pytest.raises(
        ValueError, match="unknown runs 'v100': must be one of a100, b200, h100, or a TOML file"
    ):
        load_runs("v100")
    with pytest.raises(ValueError, match="none.toml: cannot read the runs: No such file"):
        load_runs("none.toml")
