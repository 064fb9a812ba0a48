"""``hecaton project`` and ``hecaton compare`` as their users run them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.hecaton.command import called, documented_keys, refused

SMALL = {
    "model_type": "llama",
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 128,
}

PROJECT = ["project", "--model", "llama2-7b", "--dies", "64"]
COMPARE = ["compare", "--model", "llama2-7b", "--dies", "64"]


def result(*arguments: str, cwd: Path | None = None) -> dict[str, Any]:
    done = called(*arguments, "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_project_prints_its_keys() -> None:
    data = result(*PROJECT)
    assert (data["model"], data["dies"], data["mesh"], data["method"]) == ("llama2-7b", 64, "8x8", "hecaton")
    for key in (
        "step_seconds",
        "tokens_per_second",
        "energy_joules",
        "mfu",
        "nop_elements_per_die_per_layer",
    ):
        assert data[key] > 0
    assert data.keys() >= {"breakdown", "memory", "measured_inputs", "assumed_inputs", "switches"}
    assert data["measured_inputs"] == []


def test_tables_say_how_the_mesh_was_chosen() -> None:
    """With ``--dies`` the quickest mesh, or the most square one for all methods; with ``--mesh`` it was not chosen."""
    quickest, square = "mesh: the quickest of at most 64 dies", "mesh: the most square one of 64 dies"
    assert quickest in called(*PROJECT).stdout
    assert square in called(*COMPARE).stdout
    for command in ("project", "compare"):
        shown = called(command, "--model", "llama2-7b", "--mesh", "8x8").stdout
        assert "8x8" in shown
        assert "mesh: " not in shown


def test_project_writes_its_timeline(tmp_path: Path) -> None:
    data = result(*PROJECT, "--trace", "step.json", "--plot", "step.svg", cwd=tmp_path)
    assert data.keys() == documented_keys("project", "--trace or --plot")
    assert data["files"] == ["step.json", "step.svg"]
    trace = json.loads((tmp_path / "step.json").read_text())
    ends = [event["ts"] + event["dur"] for event in trace["traceEvents"] if event["ph"] == "X"]
    assert max(ends) / 1e6 == pytest.approx(data["step_seconds"], rel=1e-9)
    assert trace["otherData"]["switches"] == data["switches"]
    assert (tmp_path / "step.svg").read_text().startswith("<?xml")


def test_compare_draws(tmp_path: Path) -> None:
    data = result(*COMPARE, "--plot", "methods.pdf", cwd=tmp_path)
    assert data["files"] == ["methods.pdf"]
    assert (tmp_path / "methods.pdf").read_bytes().startswith(b"%PDF")


def test_project_takes_a_config_json_a_mesh_switches_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    shape = ["--mesh", "3x2", "--global-batch", "7", "--sequence-length", "100"]
    small = ["project", "--model", "config.json", *shape, "-P", "die.rows=48"]
    data = result(*small, "--method", "flat-ring", "--switch", "overlap=false", cwd=tmp_path)
    assert (data["dies"], data["mesh"], data["global_batch"]) == (6, "3x2", 7)
    assert data["switches"]["overlap"] is False
    slower = result(*small, "-P", "die.clock_hz=1e8", cwd=tmp_path)
    assert slower["step_seconds"] > result(*small, cwd=tmp_path)["step_seconds"]


def test_project_counts_parameters_and_those_that_a_token_uses(tmp_path: Path) -> None:
    data = result(*PROJECT)
    assert (data["parameters"], data["active_parameters"]) == (6_738_415_616, 6_738_415_616)
    mixture = {**SMALL, "model_type": "mixtral", "num_local_experts": 8}
    (tmp_path / "config.json").write_text(json.dumps(mixture))
    small = ["project", "--model", "config.json", "--mesh", "2x2", "--global-batch", "4"]
    data = result(*small, cwd=tmp_path)
    assert data["parameters"] - data["active_parameters"] == 3 * 6 * 3 * 96 * 200
    assert "model.expert_imbalance" in {entry["name"] for entry in data["assumed_inputs"]}
    shown = " ".join(called(*small, cwd=tmp_path).stdout.split())
    assert f"{data['parameters']:,}, {data['active_parameters']:,} of them active for a token" in shown


def test_models_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**SMALL, "model_type": "deepseek_v2"}))
    small = ["project", "--model", "model.json", "--mesh", "2x2"]
    assert "num_experts_per_tok is missing" in refused(*small, cwd=tmp_path)
    path.write_text(json.dumps({**SMALL, "sliding_window": 64}))
    assert "model.json: sliding_window = 64: may change the shape or the work" in refused(
        *small, cwd=tmp_path
    )


def test_compare_prints_its_keys() -> None:
    data = result(*COMPARE)
    assert {entry["method"] for entry in data["methods"]} >= {"hecaton", "flat-ring", "torus-ring", "optimus"}
    for entry in data["methods"]:
        assert entry.keys() >= {
            "method",
            "step_seconds",
            "energy_joules",
            "speedup",
            "energy_ratio",
            "switches",
        }
        if entry["method"] == "flat-ring":
            assert (entry["speedup"], entry["energy_ratio"]) == (1.0, 1.0)


def test_compare_gives_a_switch_to_one_method_or_to_all() -> None:
    data = result(*COMPARE, "--switch", "overlap=false", "--switch", "hecaton.collective=chain")
    assert [entry["switches"]["overlap"] for entry in data["methods"]] == [False] * len(data["methods"])
    collectives = {entry["method"]: entry["switches"].get("collective") for entry in data["methods"]}
    assert collectives["hecaton"] == "chain"


@pytest.mark.parametrize("command", [PROJECT, COMPARE])
def test_tables_name_model_and_switches(command: list[str]) -> None:
    done = called(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "llama2-7b on 64 dies (8x8)" in done.stdout
    assert "overlap=yes" in done.stdout


@pytest.mark.parametrize("command", ["project", "compare"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Missing option '--model'"]),
        (["--model", "lama2-7b"], ["unknown model 'lama2-7b'", "llama2-7b"]),
        (["--model", "none/config.json"], ["none/config.json", "no such"]),
        (
            ["--model", "llama2-7b", "--dies", "0"],
            ["Invalid value for '--dies': must be an integer from 1 to 1048576, not 0"],
        ),
        (["--model", "llama2-7b", "--dies", "-4"], ["--dies", "-4"]),
        (["--model", "llama2-7b", "--dies", "many"], ["--dies", "many"]),
        (["--model", "llama2-7b", "--dies", "9" * 30], ["--dies"]),
        (["--model", "llama2-7b", "--mesh", "8"], ["--mesh 8: must be ROWSxCOLUMNS"]),
        (["--model", "llama2-7b", "--mesh", "0x8"], ["--mesh 0x8: must be ROWSxCOLUMNS"]),
        (["--model", "llama2-7b", "--mesh", "99999x99999"], ["must have at most"]),
        (["--model", "llama2-7b", "--mesh", "2x2", "--dies", "5"], ["2x2", "5"]),
        (["--model", "llama2-7b", "--switch", "overlap"], ["--switch overlap: must be NAME=VALUE"]),
        (["--model", "llama2-7b", "--switch", "overlop=true"], ["overlop", "nearest known one is overlap"]),
        (["--model", "llama2-7b", "--switch", "overlap=3"], ["overlap", "3"]),
        (["--model", "llama2-7b", "--optimizer", "adamant"], ["adamant", "must be one of"]),
        (["--model", "llama2-7b", "--global-batch", "0"], ["--global-batch"]),
        (["--model", "llama2-7b", "--sequence-length", "1.5"], ["--sequence-length", "1.5"]),
        (["--model", "llama2-7b", "--calibration", "none.json"], ["none.json", "No such file"]),
        (["--model", "llama2-7b", "--config", "none.toml"], ["none.toml: no such configuration file"]),
        (["--model", "llama2-7b", "-P", "die.rowz=3"], ["unknown key die.rowz", "die.rows"]),
        (["--model", "llama2-7b", "-P", "die.scratchpad_bytes=8192"], ["scratchpad"]),
    ],
)
def test_bad_input(tmp_path: Path, command: str, arguments: list[str], words: list[str]) -> None:
    message = refused(command, *arguments, cwd=tmp_path)
    for word in words:
        assert word in message


def test_project_refuses_an_unknown_method() -> None:
    assert "unknown method 'ring': must be one of hecaton" in refused(*PROJECT, "--method", "ring")


def test_compare_refuses_switches_of_an_unknown_method() -> None:
    assert "unknown method 'ring': must be one of hecaton" in refused(
        *COMPARE, "--switch", "ring.overlap=true"
    )


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"model_type": "bert"}', '{"model_type": "llama", "hidden_size": 0}']
)
def test_bad_model_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert refused("project", "--model", "config.json", cwd=tmp_path).startswith("config.json: ")


GEMM = '{"die": {}, "terms": {"gemm": {"per_row": %s}}}'


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"die": {"rows": 0}}', *(GEMM % value for value in ("-1e6", "0", "NaN", "true"))],
)
def test_bad_calibrations(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    message = refused(*PROJECT, "--calibration", "calibration.json", cwd=tmp_path)
    assert message.startswith("calibration.json: not a calibration: ")


def test_a_calibration_of_another_die_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({"die": {"rows": 3}}))
    assert "made for a die with die.rows = 3" in refused(
        *PROJECT, "--calibration", "calibration.json", cwd=tmp_path
    )


@pytest.mark.parametrize(
    ("words", "calibrated"),
    [
        (PROJECT, "hecaton calibrate -o die.json"),
        ([*PROJECT, "-P", "die.stages=2"], "hecaton calibrate -o die.json -P die.stages=2"),
        (
            [*PROJECT, "--config", "a machine.toml", "-P", "die.stages=2"],
            "hecaton calibrate -o die.json --config 'a machine.toml' -P die.stages=2",
        ),
        (
            ["cosim", "gemm", "--m", "1", "--k", "1", "--n", "1", "-P", "die.stages=2"],
            "hecaton calibrate -o die.json -P die.stages=2 -P preset=bench",
        ),
    ],
)
def test_the_advice_to_calibrate_is_the_whole_command(
    tmp_path: Path, words: list[str], calibrated: str
) -> None:
    """The command that is advised makes a calibration that the refused one accepts."""
    (tmp_path / "a machine.toml").write_text('preset = "package"\n[die]\nrows = 16\n')
    (tmp_path / "c.json").write_text(json.dumps({"die": {"rows": 3}}))
    message = refused(*words, "--calibration", "c.json", cwd=tmp_path)
    assert message.endswith(f"(to calibrate it: {calibrated})")
    (tmp_path / "c.json").write_text(
        json.dumps({"die": {"rows": 3}, "provenance": {"hecaton_version": "0.0.9"}})
    )
    message = refused(*words, "--calibration", "c.json", cwd=tmp_path)
    assert message.endswith(f"(to calibrate it: {calibrated.replace('die.json', 'c.json')})")


def test_project_spreads_a_step_over_packages() -> None:
    shared = ["--data-parallel", "2", "--pipeline-parallel", "4"]
    data = result(*PROJECT, *shared, "--explain")
    assert (data["packages"], data["dies"]) == (8, 64)
    assert data["parallel"]["stage_layers"] == [8, 8, 8, 8]
    assert data["breakdown"]["pipeline_bubble"] > 0
    assert data["energy"]["fabric"] > 0
    assert {"pipeline bubble", "transfers exposed", "gradients exposed"} <= {
        term["name"] for term in data["terms"]
    }
    same = result(*PROJECT, "-P", "parallel.data=2", "-P", "parallel.pipeline=4")
    assert same["step_seconds"] == data["step_seconds"]
    shown = called(*PROJECT, *shared).stdout
    assert "in each of 8 packages" in shown
    assert "pipeline bubble" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data-parallel", "0"], "Invalid value for '--data-parallel': must be an integer of at least 1"),
        (["--data-parallel", "513"], "parallel.data = 513: must be at most the 512 sequences"),
        (["--pipeline-parallel", "33"], "must be at most the 32 layers of llama2-7b"),
        (["-P", "parallel.interleave=2"], "interleave = 2 needs a pipeline of at least 2 packages"),
        (["--pipeline-parallel", "2", "--ablate"], "on one package only"),
    ],
)
def test_project_refuses_packages_that_it_cannot_use(arguments: list[str], words: str) -> None:
    assert words in refused(*PROJECT, *arguments)


def test_the_schedule_and_the_resources_are_shown() -> None:
    """The mini-batch that was chosen, and how long array, NoP, vector unit and DRAM are in use."""
    done = called("project", "--model", "llama2-7b", "--dies", "64")
    assert done.returncode == 0, done.stderr
    data = json.loads(called("project", "--model", "llama2-7b", "--dies", "64", "--json").stdout)
    for block, tokens in data["memory"]["mini_batch_tokens"].items():
        tiles = data["memory"]["token_tiles"][block]
        assert re.search(rf"{block} +{tokens} +{tiles['forward']} +{tiles['backward']} ", done.stdout)
    for resource in ("array", "NoP", "vector unit", "DRAM"):
        assert re.search(rf"^ {resource} +[\d.]+ m?s +[\d.]+ m?s +[\d.]+%", done.stdout, re.MULTILINE)


DEPTHS = ["-P", "die.stages=4", "-P", "vector.multiplier_stages=4", "-P", "vector.function_stages=13"]
SILICON = [*DEPTHS, "--silicon", "asap7-typical"]


def test_a_silicon_report_comes_along() -> None:
    with_report, without = result(*PROJECT, *SILICON), result(*PROJECT, *DEPTHS)
    (clock,) = (entry for entry in with_report["measured_inputs"] if entry["name"] == "die.clock_hz")
    assert "asap7" in clock["source"]
    assert with_report["silicon_report"] in clock["source"]
    assert without["silicon_report"] is None
    assert with_report["cost"]["die_area"]["sram"] == without["cost"]["die_area"]["sram"]
    assert with_report["cost"]["die_area"]["logic"] != without["cost"]["die_area"]["logic"]
    compared = result(*COMPARE, *SILICON)
    assert compared["silicon_report"] == with_report["silicon_report"]
    assert "clock" in called(*PROJECT, *SILICON).stdout


def test_bad_silicon_reports(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({"die": {"rows": 3}}))
    message = refused(*PROJECT, "--silicon", "calibration.json", cwd=tmp_path)
    assert message == "calibration.json: not a silicon report: design is missing"
    assert refused(*PROJECT, "--silicon", "asap7").startswith(
        "asap7: no silicon report: must be one of asap7-typical, or a JSON file"
    )
    assert refused(*PROJECT, "--silicon", "asap7-typical").startswith(
        "the silicon report was made for a die with die.stages = 4, not 1"
    )
    assert refused(*PROJECT, *SILICON, *SILICON[-2:]).startswith(
        "two silicon reports of dies with die.dtype = bf16"
    )
