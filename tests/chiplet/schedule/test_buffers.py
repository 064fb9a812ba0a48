"""Memory of training: published activation sizes and optimizer states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.config import memory_preset_names
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.schedule.buffers import (
    BlockMemory,
    BufferUse,
    DoesNotFitError,
    dram_capacity,
    dram_state_bytes,
    saved_bytes_per_token,
)
from chiplet.workload.llm import load_model
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model

SIDE = st.integers(1, 12)


def test_saved_activations_stand_beside_the_published_count() -> None:
    """Published: s b h (34 + 5 a s / h) bytes, with dropout masks (1 byte a feature and score) that we lack.

    Ours: inputs 2 x 2 h, Q, K, V and output 2 x 4 h, FFN before and after GELU 2 x 8 h; probabilities 2 a s.
    The published count also keeps the norms' outputs, the dropouts' inputs and the softmax's inputs.
    """
    model = load_model("gpt3-175b")
    length, h, a = 2048, model.hidden, model.heads
    assert saved_bytes_per_token(model, length, "none", 2) == model.layers * (28 * h + 2 * a * length)
    assert saved_bytes_per_token(model, length, "selective", 2) == model.layers * 28 * h
    assert saved_bytes_per_token(model, length, "full", 2) == model.layers * 4 * h
    assert saved_bytes_per_token(model, length, "none", 2) < model.layers * (34 * h + 5 * a * length)


def test_training_state() -> None:
    model = load_model("llama2-7b")
    assert dram_state_bytes(model, "adam", 2) == 18 * model.parameters
    assert dram_state_bytes(model, "sgd", 2) == 10 * model.parameters


def test_channels_follow_the_edge_or_are_fixed() -> None:
    assert dram_capacity(PACKAGE, 128) == 128 * 2**38
    assert dram_capacity(package("memory.channels_per_edge_die=0", "memory.channels=3"), 128) == 3 * 2**38
    assert dram_capacity(package("memory.channels_per_edge_die=0.01"), 4) == 2**38


def test_a_buffer_says_what_it_lacks() -> None:
    assert BufferUse("weight buffer", 8, 8).fits
    lacking = BufferUse("weight buffer", 9, 8)
    assert not lacking.fits
    assert str(lacking.refusal("it")) == "it does not fit: weight buffer needs 9 bytes and has 8"


@given(
    name=st.sampled_from(list(METHODS)),
    rows=SIDE,
    cols=SIDE,
    more_rows=st.integers(0, 12),
    more_cols=st.integers(0, 12),
    sequences=st.integers(1, 20),
    parts=st.integers(1, 3),
)
def test_more_dies_never_raise_a_dies_memory(
    name: str, rows: int, cols: int, more_rows: int, more_cols: int, sequences: int, parts: int
) -> None:
    def blocks(mesh: Mesh) -> list[BlockMemory]:
        method = method_type(name)(small_model(), mesh, make_switches(name), 2)
        return [BlockMemory(method, block, PACKAGE.die, 64, parts) for block in method.blocks()]

    for few, many in zip(
        blocks(Mesh(rows, cols)), blocks(Mesh(rows + more_rows, cols + more_cols)), strict=True
    ):
        slack = 1 + 1e-12
        assert many.weight_bytes <= few.weight_bytes * slack
        assert many.gradient_bytes <= few.gradient_bytes * slack
        assert many.activation_bytes(sequences * 64, sequences) <= (
            few.activation_bytes(sequences * 64, sequences) * slack
        )
        assert many.tile_operand_bytes <= few.tile_operand_bytes * slack
        assert many.tile_sum_bytes <= few.tile_sum_bytes * slack


@pytest.mark.parametrize("name", memory_preset_names())
def test_memory_presets_are_sourced_and_hold_a_7b_model(name: str) -> None:
    found = project(StepRequest("llama2-7b", package(f"memory.preset={name}"), dies=64))
    dram = found.memory.dram
    assert dram.needed_bytes <= dram.available_bytes
    status = {entry.name: entry.status for entry in found.assumed_inputs}
    assert status["memory.channel_bytes_per_second"] == status["memory.pj_per_bit"] == "published"


def test_a_model_that_the_stacks_cannot_hold_is_refused() -> None:
    with pytest.raises(DoesNotFitError, match=r"does not fit: DRAM needs \d+ bytes and has 549755813888"):
        project(StepRequest("llama2-70b", package("memory.preset=hbm2e"), dies=256))
