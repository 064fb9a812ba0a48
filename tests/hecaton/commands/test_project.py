"""``hecaton project`` predicts the cycles of the programs that ``hecaton cosim train-step`` runs, or says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chiplet.dataflow.package_play import StepTerms
from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_configuration
from chiplet.machine.terms import DieTerms, StepUnitTerms
from cosim.compile.compiler import compile_step
from cosim.run.training.training_inputs import initial_weights, training_tokens
from cosim.run.training.training_request import prepare_request, training_request
from hecaton.terminal.training_options import TrainingOptions
from nop.terms import NopTerms
from tests.hecaton.command import called, documented_keys

MODEL = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 20,
    "max_position_embeddings": 64,
}
MACHINE = """\
preset = "bench"
[die]
rows = 4
cols = 4
scratchpad_bytes = 262144
queue_depth = 16
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    path = tmp_path / "machine.toml"
    path.write_text(MACHINE)
    return path


def model(folder: Path, **changes: Any) -> str:
    (folder / "config.json").write_text(json.dumps({**MODEL, **changes}))
    return str(folder)


def projected(*arguments: str) -> dict[str, Any]:
    done = called("project", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def of_train_step(
    options: TrainingOptions, machine: Path, *overrides: str, calibration: Calibration | None = None
) -> tuple[int, dict[str, int]]:
    """What the record of ``hecaton cosim train-step`` predicts for ``options`` and no others."""
    system = load_configuration(machine, [*overrides, *options.assignments], preset="bench").system
    read = options.read()
    sizes = options.sizes(read, system)
    compiled = compile_step(sizes, system)
    tokens, weights = training_tokens(sizes, 1, None, seed=0), initial_weights(read.sizes, None, seed=0)
    request = training_request(
        sizes,
        system,
        weights,
        tokens,
        norm_epsilon=read.norm_epsilon,
        rope_theta=read.rope_theta,
        learning_rate=0.01,
    )
    terms = StepTerms.of(system, calibration)
    predicted = prepare_request(request, compiled, weights, tokens, terms=terms).predicted
    return predicted.cycles, dict(predicted.units)


@pytest.mark.parametrize(
    ("mesh", "changes", "batch", "length", "tiles", "optimizer", "overrides"),
    [
        ("1x1", {}, 1, 5, 1, "sgd", []),
        ("1x2", {"hidden_size": 18, "head_dim": 6, "num_key_value_heads": 1}, 3, 7, 2, "adam", []),
        ("2x1", {"vocab_size": 23, "tie_word_embeddings": True}, 2, 8, 1, "adam", ["die.rows=3"]),
        ("2x2", {"num_hidden_layers": 2, "intermediate_size": 25}, 3, 3, 2, "sgd", ["die.stages=2"]),
        ("3x2", {"hidden_size": 20, "head_dim": 4}, 4, 2, 2, "adam", ["die.cols=5"]),
        ("1x4", {}, 2, 6, 1, "adam", ["nop.flit_bits=128"]),
    ],
)
def test_cycles_are_those_of_train_step(
    tmp_path: Path,
    machine: Path,
    mesh: str,
    changes: dict[str, Any],
    batch: int,
    length: int,
    tiles: int,
    optimizer: str,
    overrides: list[str],
) -> None:
    folder = model(tmp_path, **changes)
    options = TrainingOptions(
        model=folder, mesh=mesh, sequence=length, batch=batch, tiles=tiles, optimizer=optimizer
    )
    words = [word for override in overrides for word in ("-P", override)]
    data = projected(
        *("--model", folder, "--mesh", mesh, "--config", str(machine), *words, "--optimizer", optimizer),
        *("--global-batch", str(batch), "--sequence-length", str(length), "--tiles", str(tiles)),
    )
    assert data.keys() == documented_keys("project")
    found = data["predicted_cycles"], data["units"], data["predicted_cycles_reason"]
    assert found == (*of_train_step(options, machine, *overrides), None)


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({}, ["--method", "optimus"], "method = optimus: programs of a step are those of the method hecaton"),
        (
            {},
            ["--switch", "recompute=full"],
            "switch recompute = full: programs of a step have recompute = none",
        ),
        ({}, ["--data-parallel", "2"], "2 packages: programs of a step are those of one"),
        ({}, ["-P", "die.dtype=int8"], "die.dtype = int8: must be bf16"),
        ({}, ["--tiles", "5"], "tiles = 5: must be at most the 4 sequences of a batch"),
        ({}, ["-P", "die.scratchpad_bytes=8192"], "die.scratchpad_bytes has 8192"),
        ({}, ["--global-batch", "4000", "--tiles", "4000"], "steps of up to 32768 are played"),
        ({"hidden_size": 512}, ["-P", "die.scratchpad_bytes=32768"], "operands of weights alone need"),
        ({"attention_bias": True}, [], "a training step does not have biases"),
        ({"vocab_size": 1}, [], "vocab = 1 cannot be split over 2 columns of dies"),
    ],
)
def test_a_step_that_is_no_programs_has_a_reason(
    tmp_path: Path, machine: Path, changes: dict[str, Any], options: list[str], reason: str
) -> None:
    folder = model(tmp_path, **changes)
    sizes = [] if "--global-batch" in options else ["--global-batch", "4"]
    words = ["--model", folder, "--mesh", "2x2", "--config", str(machine), "--sequence-length", "8"]
    data = projected(*words, *sizes, *options)
    assert data["predicted_cycles"] is data["units"] is None
    assert reason in data["predicted_cycles_reason"]
    assert "\n" not in data["predicted_cycles_reason"]
    assert "none:" in called("project", *words, *sizes, *options).stdout


def test_a_calibration_gives_both_its_terms(tmp_path: Path, machine: Path) -> None:
    """Those of dies, links and units in a step."""
    die = load_configuration(machine, [], preset="bench").system.die
    measured = Calibration(
        die=die, terms=DieTerms(load_command=7.0), nop=NopTerms(hop_cycles=5.0), step=StepUnitTerms(queue=6.0)
    )
    (tmp_path / "die.json").write_text(measured.to_json())
    options = TrainingOptions(model=model(tmp_path), mesh="1x2", sequence=4, batch=2)
    words = ["--model", str(options.model), "--mesh", "1x2", "--config", str(machine)]
    words += ["--global-batch", "2", "--sequence-length", "4"]
    design = projected(*words)["predicted_cycles"]
    data = projected(*words, "--calibration", str(tmp_path / "die.json"))
    assert (data["predicted_cycles"], data["units"]) == of_train_step(options, machine, calibration=measured)
    assert data["predicted_cycles"] > design


def test_the_lines_of_a_step_are_chains_whatever_the_switch_says(tmp_path: Path, machine: Path) -> None:
    words = ["--model", model(tmp_path), "--mesh", "1x3", "--config", str(machine), "--global-batch", "2"]
    ring, chain = (
        projected(*words, "--sequence-length", "4", "--switch", f"collective={name}")
        for name in ("ring", "chain")
    )
    assert ring["predicted_cycles"] == chain["predicted_cycles"] > 0


def test_a_large_projection_is_refused_by_its_sizes_without_the_compiler() -> None:
    from chiplet.projection.job import StepRequest, resolve
    from chiplet.projection.projected_step import projected_step

    def never(*_: object) -> Any:
        raise AssertionError

    system = load_configuration(None, [], preset="package").system
    for name, dies, reason in (
        ("llama3.1-405b", (32, 32), "rotary angles are scaled"),
        ("llama2-70b", (16, 16), "operands of weights alone need"),
        ("tinyllama-1.1b", (8, 8), "steps of up to"),
    ):
        job = resolve(StepRequest(name, system, mesh=dies))
        assert reason in str(projected_step(name, job, never).predicted_cycles_reason)
