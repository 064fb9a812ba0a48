"""Models: preset sizes, work, names of files, and refusals."""

from __future__ import annotations

import json
import re
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.workload.llm import from_config, load_model, model_names
from tests.chiplet.machines import small_model
from tests.chiplet.workload.small_configs import LLAMA

GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tinyllama-1.1b", 1.10e9),
        ("llama2-7b", 6.738e9),
        ("llama2-70b", 68.98e9),
        ("llama3.1-405b", 405.85e9),
        ("gpt3-175b", 174.6e9),
    ],
)
def test_presets_have_their_published_sizes(name: str, parameters: float) -> None:
    assert load_model(name).parameters == pytest.approx(parameters, rel=1e-3)
    assert name in model_names()


def test_gpt2_as_published_has_124_million_parameters(tmp_path: Path) -> None:
    path = tmp_path / "gpt2.json"
    path.write_text(json.dumps(GPT2))
    model = load_model(path)
    assert model.name == "gpt2"
    assert model.parameters == 124_439_808
    assert (model.ffn, model.gated, model.tied, model.norm) == (3072, False, True, "layernorm")


def test_llama_parameters_are_the_sum_of_the_matrices(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    model = load_model(folder)
    assert model.name == "my-model"
    layer = 64 * 64 * 2 + 2 * 64 * 16 + 3 * 64 * 160 + 2 * 64
    assert model.parameters == 3 * layer + 2 * 100 * 64 + 64
    assert from_config({**LLAMA, "tie_word_embeddings": True}, name="x", where="x").parameters == (
        model.parameters - 100 * 64
    )


def test_qwen2_has_biases_of_q_k_and_v() -> None:
    plain, qwen = (
        from_config({**LLAMA, "model_type": kind}, name="x", where="x") for kind in ("llama", "qwen2")
    )
    assert qwen.parameters - plain.parameters == 3 * (64 + 2 * 16)


def test_flops_are_those_of_every_product() -> None:
    model = small_model()
    tokens, length = 128, 64
    linears = 96 * (96 + 2 * 24) + 96 * 96 + 3 * 96 * 200
    attention = 2 * length * 96
    assert model.layer_forward_flops(tokens, length) == 2 * tokens * (linears + attention)
    assert model.forward_flops(tokens, length) == 2 * tokens * (2 * (linears + attention) + 96 * 101)
    assert model.backward_flops(tokens, length) == 2 * model.forward_flops(tokens, length)


@pytest.mark.parametrize(
    ("window", "full", "reach"),
    [(None, (), 64), (64, (), 64), (100, (), 64), (16, (), 16), (16, (1,), 16), (15, (0,), 15)],
)
def test_a_window_limits_the_work_of_scores_and_what_is_saved(
    window: int | None, full: tuple[int, ...], reach: int
) -> None:
    """In the layers that have it; the others multiply all keys."""
    plain, model = small_model(), small_model(window=window, full_layers=full)
    saved = plain.forward_flops(128, 64) - model.forward_flops(128, 64)
    assert saved == (2 - len(full)) * 4 * 128 * (64 - reach) * 96
    found = {number: kind.layer for kind in model.attention_kinds for number in kind.numbers}
    for number in range(2):
        keys = 64 if number in full else reach
        assert found[number].saved_features(64)["probabilities"] == 8 * keys
        assert found[number].attention_reach(np.array([8, 64])).tolist() == [8, keys]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("llama2-8b", "unknown model 'llama2-8b': nearest known names are llama2-7b, "),
        ("zzz", "unknown model 'zzz': nearest known names are tinyllama-1.1b, llama2-7b, "),
        ("no/such/config.json", "no/such/config.json: no such model configuration"),
    ],
)
def test_unknown_models_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        load_model(name)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "c.json: must be a JSON object, not list"),
        ({}, "c.json: model_type is missing: must be one of llama, mistral, "),
        ({**LLAMA, "model_type": "bert"}, "c.json: model_type 'bert': must be one of "),
        ({**LLAMA, "vocab_size": None}, "c.json: vocab_size is missing: must be a positive integer"),
        ({**LLAMA, "vocab_size": "many"}, "c.json: vocab_size = 'many': must be a positive integer"),
        ({**LLAMA, "num_hidden_layers": 0}, "c.json: num_hidden_layers = 0: must be a positive integer"),
        (
            {**LLAMA, "num_hidden_layers": True},
            "c.json: num_hidden_layers = True: must be a positive integer",
        ),
        ({**LLAMA, "tie_word_embeddings": 1}, "c.json: tie_word_embeddings = 1: must be true or false"),
        (
            {**LLAMA, "num_key_value_heads": 3},
            "c.json: num_attention_heads / num_key_value_heads: 3 does not divide 8",
        ),
        (
            {**LLAMA, "num_attention_heads": 6},
            "c.json: hidden_size / num_attention_heads: 6 does not divide 64",
        ),
        ({**GPT2, "n_head": 5}, "c.json: n_embd / n_head: 5 does not divide 768"),
    ],
)
def test_broken_configurations_are_refused_in_one_line(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        from_config(values, name="c", where="c.json")
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_text(json.dumps(LLAMA), encoding="utf-8-sig")
    assert load_model(path).parameters == from_config(LLAMA, name="x", where="x").parameters


def test_a_snapshot_of_a_download_cache_has_the_id_of_its_model(tmp_path: Path) -> None:
    """Its files are links to blobs, after which every model was called before."""
    cache = tmp_path / "models--meta-llama--Llama-2-7b"
    snapshot = cache / "snapshots" / "01ab"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs" / "cd23").write_text(json.dumps(LLAMA))
    (snapshot / "config.json").symlink_to(cache / "blobs" / "cd23")
    assert load_model(snapshot).name == "meta-llama/Llama-2-7b"
    assert load_model(snapshot / "config.json").name == "meta-llama/Llama-2-7b"
    link = tmp_path / "my-llama"
    link.symlink_to(snapshot)
    assert load_model(link).name == "my-llama"


def test_a_folder_that_is_called_by_an_id_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "meta-llama" / "Llama-2-7b"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.chdir(tmp_path)
    for text in ("meta-llama/Llama-2-7b", "meta-llama/Llama-2-7b/", "meta-llama/Llama-2-7b/config.json"):
        assert load_model(text).name == "meta-llama/Llama-2-7b"
    monkeypatch.chdir(folder)
    assert load_model("config.json").name == load_model(".").name == "Llama-2-7b"


def test_an_id_that_is_not_here_is_answered_with_a_hint() -> None:
    with pytest.raises(ValueError, match="models are not downloaded") as refusal:
        load_model("meta-llama/Llama-2-7b")
    assert str(refusal.value).startswith("meta-llama/Llama-2-7b: no such folder; ")


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a folder without a config.json"):
        load_model(tmp_path)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="config.json: not a JSON document: "):
        load_model(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="config.json: not a JSON document: "):
        load_model(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="config.json: not a JSON document: "):
        load_model(path)


@given(
    length=st.integers(1, 200),
    strip=st.integers(1, 70),
    window=st.none() | st.integers(1, 220),
)
def test_skipped_keys_are_those_that_no_query_of_a_strip_sees(
    length: int, strip: int, window: int | None
) -> None:
    model = small_model(window=window, max_positions=200)

    def seen(reach: int) -> float:
        """The mean of all queries, one strip after the other."""
        total = 0
        for first in range(0, length, strip):
            last = min(first + strip, length) - 1
            # The last strip may be short: it is given what a whole one sees.
            whole = min(reach + strip - 1, length)
            total += (last + 1 - first) * min(last + 1, whole)
        return min(reach, length, total / length)

    mean = seen(length if window is None else window)
    found = model.attention_reach(length, strip)
    assert found == ceil(mean - 1e-9)
    assert found <= model.attention_reach(length) + strip
    assert model.attention_reach(np.array([[length]]), np.array([[strip]])).item() == found


def test_flops_without_masked_keys() -> None:
    model = small_model()
    masked, without = (model.layer_forward_flops(128, 64, masked=masked) for masked in (True, False))
    assert masked - without == 4 * 128 * (64 - 33) * model.query_features
    assert model.backward_flops(128, 64, masked=False) == 2 * model.forward_flops(128, 64, masked=False)
