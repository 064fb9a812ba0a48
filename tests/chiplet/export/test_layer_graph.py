"""The graph of a layer: order, volumes and work are those of the projection."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.export.layer_graph import layer_operations, layer_sequences, layer_trace
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from tests.chiplet.machines import LATENT, small_model, small_package

# Heads, features and tokens that 2 x 2 and 2 x 4 dies share without a rest.
MODEL = small_model(hidden=128, heads=8, kv_heads=8, head_dim=16, ffn=256)


def accounted(method: str, mesh: tuple[int, int], **values: Any) -> Accounted:
    arguments: dict[str, Any] = {"global_batch": 8, "switches": None, **values}
    return account(
        StepRequest(arguments.pop("model", MODEL), small_package(), mesh=mesh, method=method, **arguments)
    )


@pytest.mark.parametrize("token_tiles", [False, True])
@pytest.mark.parametrize("recompute", ["none", "full"])
@pytest.mark.parametrize("mesh", [(1, 1), (2, 2), (2, 4), (3, 2)])
@pytest.mark.parametrize("method", METHODS)
def test_nodes_follow_those_that_they_wait_for(
    method: str, mesh: tuple[int, int], recompute: str, token_tiles: bool
) -> None:
    found = accounted(method, mesh, switches={"recompute": recompute})
    nodes = layer_trace(found, token_tiles=token_tiles)
    assert [node.number for node in nodes] == list(range(len(nodes)))
    for node in nodes:
        assert all(before < node.number for before in node.after)
        assert node.seconds > 0
    # Only the first steps wait for none, and only the last ones are waited for by none.
    starts = {node.name.partition(", tile")[0] for node in nodes if not node.after}
    assert all(name.startswith("attention forward") for name in starts)
    waited = {before for node in nodes for before in node.after}
    assert all(node.name.startswith("attention backward") for node in nodes if node.number not in waited)


@pytest.mark.parametrize("mesh", [(2, 2), (2, 4)])
@pytest.mark.parametrize("method", METHODS)
def test_volume_is_that_of_the_projection(method: str, mesh: tuple[int, int]) -> None:
    """All sequences of the batch in one mini-batch: the trace is the layer's whole step."""
    found = accounted(method, mesh, switches={"sums": "operand"})
    nodes = layer_trace(found, sequences=8)
    assert found.projection.memory.rounds == 1
    elements = sum(node.received_bytes for node in nodes) / found.method.element_bytes
    assert elements == pytest.approx(found.projection.nop_elements_per_die_per_layer)
    tiled = layer_trace(found, sequences=8, token_tiles=True)
    assert sum(node.received_bytes for node in tiled) == pytest.approx(
        sum(node.received_bytes for node in nodes)
    )


@pytest.mark.parametrize("mesh", [(1, 1), (2, 2), (2, 4)])
@pytest.mark.parametrize("method", METHODS)
def test_work_is_that_of_the_layer(method: str, mesh: tuple[int, int]) -> None:
    found = accounted(method, mesh)
    nodes = layer_trace(found, sequences=8)
    dies = mesh[0] * mesh[1]
    operations = sum(node.operations for node in nodes if node.gemm is not None) * dies
    assert operations == pytest.approx(3 * MODEL.layer_forward_flops(8 * 64, 64))


@pytest.mark.parametrize("method", METHODS)
def test_compute_takes_the_time_of_the_schedule(method: str) -> None:
    found = accounted(method, (2, 2), mini_batch=8)
    nodes = layer_trace(found, sequences=8)
    array = sum(node.seconds for node in nodes if node.gemm is not None)
    passes = [each for each in found.step.passes if each.block != "head"]
    assert array == pytest.approx(sum(float(each.on_package.compute) for each in passes))
    collectives = sum(node.seconds for node in nodes if node.line is not None)
    assert collectives > 0


def test_tiles_of_one_operation_follow_one_another() -> None:
    found = accounted("hecaton", (2, 2))
    names = [node.name for node in layer_trace(found, sequences=8, token_tiles=True)]
    plain = [node.name for node in layer_trace(found, sequences=8)]
    assert len(names) > len(plain)
    assert len(set(plain)) == len(plain)
    forward = {name for _, name, *_ in layer_operations(found, 8)}
    assert forward == {"forward", "backward"}


def test_sequences_are_those_of_a_mini_batch_at_most() -> None:
    found = accounted("hecaton", (2, 2))
    assert layer_sequences(found) == 2
    with pytest.raises(ValueError, match="sequences = 9: must be from 1 to the 8 of a mini-batch"):
        layer_trace(found, sequences=9)


def test_an_attention_in_blocks_is_exported_in_blocks() -> None:
    model = small_model(max_positions=2**17)
    found = account(
        StepRequest(
            model,
            small_package(),
            mesh=(2, 2),
            global_batch=2,
            sequence_length=2**17,
            switches={"recompute": "full"},
        )
    )
    assert found.projection.memory.parts["attention"] == 4
    gemms = [
        operation.gemms
        for block, _, operation, _, _ in layer_operations(found, 1)
        if block == "attention" and operation.strip_rows
    ]
    for operation in gemms:
        assert all(gemm.count > 10 for gemm in operation)
        for gemm in operation:  # all queries, or features; a block of keys
            assert sorted((gemm.m, gemm.k, gemm.n))[1] < 2**17


@pytest.mark.parametrize("method", METHODS)
def test_latent_attention_is_exported(method: str) -> None:
    model = small_model(**LATENT)
    found = account(StepRequest(model, small_package(), mesh=(2, 2), method=method, global_batch=8))
    count = layer_sequences(found)
    macs = sum(
        gemm.macs for _, _, operation, _, _ in layer_operations(found, count) for gemm in operation.gemms
    )
    assert 2 * macs == pytest.approx(3 * model.layer_forward_flops(count * 64, 64))
    names = " ".join(node.name for node in layer_trace(found, sequences=count))
    for part in ("latent QKV", "up Q", "up KV", "shared keys: all-gather", "shared keys: reduce-scatter"):
        assert part in names


def test_layers_that_differ_are_refused_by_name() -> None:
    model = small_model(window=16, full_layers=(1,))
    found = account(StepRequest(model, small_package(), mesh=(2, 2), global_batch=8))
    with pytest.raises(ValueError, match="small: export of layers with and without a window is not modelled"):
        layer_sequences(found)
