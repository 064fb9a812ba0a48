"""``hecaton cosim train-step``: its JSON, its files, and one line for what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chiplet.workload.pretrained_model import read_pretrained
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.compiler import compile_step
from cosim.golden.training.pretrained import load_weights
from cosim.program.command import Command
from rtl.interface.isa import Opcode
from tests.hecaton.command import called, documented_keys, refused

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "intermediate_size": 5, "num_hidden_layers": 1, "vocab_size": 7, "hidden_act": "silu", "rms_norm_eps": 1e-4,
    "rope_theta": 500.0, "tie_word_embeddings": False, "max_position_embeddings": 64,
}  # fmt: skip
DIE = ("-P", "die.rows=3", "-P", "die.cols=5")
MODEL = ("--hidden", "4", "--heads", "2", "--kv-heads", "1", "--head-dim", "4", "--ffn", "5", "--layers", "1")
BATCH = ("--vocab", "7", "--sequence", "3", "--batch", "2")
RUN = ("cosim", "train-step", "--mesh", "1x2", *BATCH, *MODEL, *DIE)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A folder with a model."""
    folder = tmp_path / "llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def tokens_of(path: Path, *shape: int, most: int = 7) -> Path:
    np.save(path, np.random.default_rng(0).integers(0, most, shape))
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--mesh", "1x3"),
            "training step: heads = 2 cannot be split over 3 columns of dies: must be at least 3",
        ),
        (("--kv-heads", "3"), "model: heads = 2: must be a multiple of kv_heads = 3"),
        (("--tiles", "3"), "training step: tiles = 3: must be at most the 2 sequences of a batch"),
        (("-P", "die.dtype=int8"), "training step: die.dtype = int8: must be bf16"),
        (("--optimizer", "lion"), "training step: optimizer = 'lion': must be one of sgd, adam"),
        (("--learning-rate", "-1"), "learning_rate = -1.0: input should be greater than or equal to 0"),
        (("--learning-rate", "nan"), "learning_rate = nan: input should be "),
        (("--steps", "0"), "--steps"),
        (("--stall", "1"), "stall = 1.0: input should be less than or equal to 0.9"),
        (("--sim", "none"), "--sim none is unknown: must be one of icarus, cxxrtl, verilator"),
        (("--mesh", "17x16"), "package: 17 x 16 dies: must be at most 256 for a simulation"),
        (("--trace", "."), "--trace .: is a folder: must be a plain file, or absent"),
        (("--dump", "dump.npz"), "dump.npz: cannot write the dump: its suffix must be .safetensors"),
        (
            ("--plot", "loss.gif"),
            "loss.gif: cannot write the plot: its suffix must be one of .pdf, .svg, .png",
        ),
        (("--weights", "nowhere"), "nowhere: cannot read the weights: "),
        (("--tokens", "nowhere.npy"), "nowhere.npy: cannot read the tokens: No such file or directory"),
        (
            ("--direct", "--flips", "0.1"),
            "links without adapters have no faults: leave out --direct, or the faults",
        ),
        (("-P", "die.scratchpad_bytes=2048"), "scratchpad: "),
    ],
)
def test_bad_input_ends_with_one_line(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refused(*RUN, *options, cwd=tmp_path)
    assert not [*tmp_path.iterdir()]


def without_a_wait(commands: Sequence[Command]) -> list[Command]:
    place = next(n for n, c in enumerate(commands) if c.opcode == Opcode.GEMM and c.fields.get("wait_0"))
    spoilt = Command(Opcode.GEMM, {**commands[place].fields, "wait_0": 0})
    return [*commands[:place], spoilt, *commands[place + 1 :]]


def without_a_command(commands: Sequence[Command]) -> list[Command]:
    place = next(n for n, c in enumerate(commands) if c.opcode == Opcode.RECEIVE)
    return [*commands[:place], *commands[place + 1 :]]


def with_another_command(commands: Sequence[Command]) -> list[Command]:
    place = max(n for n, c in enumerate(commands) if c.opcode == Opcode.STORE)
    spoilt = Command(Opcode.STORE, {**commands[place].fields, "address": 0})
    return [*commands[:place], spoilt, *commands[place + 1 :]]


@pytest.mark.parametrize("change", [without_a_wait, without_a_command, with_another_command])
def test_a_corrupt_program_is_refused_before_anything_runs(
    change: Callable[[Sequence[Command]], list[Command]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(*arguments: Any, **fields: Any) -> CompiledStep:
        step = compile_step(*arguments, **fields)
        first, *others = step.dies
        return replace(step, dies=[replace(first, commands=change(first.commands)), *others])

    monkeypatch.setattr("cosim.compile.compiler.compile_step", spoilt)
    message = refused(*RUN, cwd=tmp_path)
    assert message.startswith("the program breaks what it must keep: die 0: ")
    assert len(message) < 250
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            np.zeros((1, 2, 3), np.int64),
            "tokens have shape (1, 2, 3): must be steps x batch x (sequence + 1) = (1, 2, 4)",
        ),
        (np.full((1, 2, 4), 7), "tokens from 7 to 7: must be from 0 to 6"),
        (np.full((1, 2, 4), -1), "tokens from -1 to -1: must be from 0 to 6"),
        (np.zeros((1, 2, 4)), "tokens are float64: must be integers"),
        (np.zeros((1, 2, 4), object), "cannot read the tokens: not an .npy file of numbers"),
        (b"tokens", "cannot read the tokens: not an .npy file of numbers"),
        (b"", "cannot read the tokens: not an .npy file of numbers"),
    ],
)
def test_tokens_of_another_kind_are_refused(contents: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.npy"
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    else:
        np.save(path, contents)
    assert refused(*RUN, "--tokens", str(path)) == f"{path}: {message}"


def test_weights_of_another_model_are_refused(llama: Path) -> None:
    weights = llama / "model.safetensors"
    save_file({"model.embed_tokens.weight": np.zeros((7, 5), np.float32)}, weights)
    for where in (llama, weights):
        message = refused(*RUN, "--weights", str(where))
        assert message == f"{where}: tensor model.embed_tokens.weight has shape (7, 5): must be (7, 4)"
    assert "has sizes of its own" in refused(*RUN, "--model", str(llama))


def busy_cycles(trace: Path) -> dict[tuple[str, str], int]:
    """Busy cycles of each unit in a trace, by die and unit."""
    events = json.loads(trace.read_text())["traceEvents"]
    dies = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    units = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name"
    }
    busy: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event.get("cat") == "busy":
            busy[dies[event["pid"]], units[event["pid"], event["tid"]]] += event["dur"]
    return dict(busy)


@pytest.mark.slow
def test_a_model_goes_in_and_a_trained_one_comes_out(llama: Path, tmp_path: Path) -> None:
    steps = 2
    tokens = tokens_of(tmp_path / "tokens.npy", steps, 2, 4)
    dump, plot, trace = llama / "model.safetensors", tmp_path / "loss.svg", tmp_path / "trace.json"
    run = (
        "cosim",
        "train-step",
        "--mesh",
        "1x2",
        "--model",
        str(llama),
        "--sequence",
        "3",
        "--batch",
        "2",
        *DIE,
    )
    files = (
        "--tokens",
        str(tokens),
        "--dump",
        str(dump),
        "--plot",
        str(plot),
        "--trace",
        str(trace),
        "--records",
        str(tmp_path / "records"),
    )
    options = ("--steps", str(steps), "--optimizer", "adam", "--learning-rate", "0.1", "--direct")
    done = called(*run, *files, *options, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim train-step")
    assert data["mismatches"] == 0
    assert data["words"] > 0
    assert (data["steps"], len(data["loss"]), len(data["step_cycles"])) == (steps, steps, steps)
    assert data["cycles"] == data["step_cycles"][-1]
    assert data["predicted_cycles"] == pytest.approx(data["cycles"], rel=0.05)
    assert data["units"]["array"]["predicted"] == data["units"]["array"]["measured"] < data["cycles"]
    assert 0 < data["units"]["vector"]["measured"] < data["cycles"]
    assert data["nop_exposed_cycles"] > 0
    assert 0 < data["nop_busy_cycles"] < data["cycles"]
    assert json.loads(Path(data["record"]).read_text())["counters"] == data["counters"]
    assert plot.read_text().startswith("<?xml")
    busy = busy_cycles(trace)
    assert {die for die, _ in busy} == {"die 0,0", "die 0,1"}
    for name, counters in zip(("die 0,0", "die 0,1"), data["counters"], strict=True):
        for unit in ("load", "store", "drain", "feed_activation", "feed_weight", "vector"):
            # Those of the record are of the last step, in which every die does what it did in the first one.
            cycles = busy[name, f"{unit.replace('_', ' ')} unit"]
            assert cycles == pytest.approx(steps * counters[f"{unit}_busy"], rel=0.02)
        assert busy[name, "activation streamer"] == steps * counters["array_busy"]
    assert busy["die 0,0", "send east"] == busy["die 0,1", "receive west"] > 0
    tensors = load_file(dump)
    assert tensors["losses"].tolist() == data["loss"]
    names = {name for name in tensors if name.startswith(("model.", "lm_head"))}
    for prefix in ("gradient", "optimizer.m", "optimizer.v"):
        assert {name.removeprefix(f"{prefix}.") for name in tensors if name.startswith(f"{prefix}.")} == names
    sizes = read_pretrained(llama).sizes
    assert len(load_weights(llama, sizes)) == len(names)
