"""Several packages: what they share, what they send, and one package as the special case."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.explain.step import explain
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account, project
from chiplet.projection.results import Projection
from chiplet.schedule.buffers import STATE_BYTES
from tests.chiplet.machines import package, small_model, small_package

MODEL = small_model(layers=6)
BYTES = 2


def run(*overrides: str, **arguments: Any) -> Projection:
    values: dict[str, Any] = {"mesh": (2, 2), "global_batch": 24, **arguments}
    return project(StepRequest(values.pop("model", MODEL), small_package(*overrides), **values))


def parts(found: Projection) -> float:
    each = found.breakdown
    return (
        each.compute
        + each.nop_exposed
        + each.vector_exposed
        + each.dram_exposed
        + each.optimizer
        + each.pipeline_bubble
        + each.fabric_exposed
    )


@pytest.mark.parametrize("method", METHODS)
def test_one_package_is_the_special_case(method: str) -> None:
    alone = run(method=method)
    assert (alone.packages, alone.parallel, alone.breakdown.fabric_exposed) == (1, None, 0.0)
    assert "fabric" not in alone.energy
    assert not any(entry.name.startswith("fabric.") for entry in alone.assumed_inputs)


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(list(METHODS)),
    data=st.integers(1, 5),
    pipeline=st.integers(1, 6),
    batch=st.integers(5, 30),
    overlap=st.booleans(),
    shard=st.booleans(),
    tied=st.booleans(),
)
def test_parts_add_up_and_terms_explain_them(
    method: str, data: int, pipeline: int, batch: int, overlap: bool, shard: bool, tied: bool
) -> None:
    system = small_package(
        f"parallel.data={data}",
        f"parallel.pipeline={pipeline}",
        f"parallel.overlap={str(overlap).lower()}",
        f"parallel.shard_optimizer={str(shard).lower()}",
        "energy.static_watts=0.5",
    )
    found = account(
        StepRequest(small_model(layers=6, tied=tied), system, mesh=(2, 2), method=method, global_batch=batch)
    )
    result = found.projection
    assert result.packages == data * pipeline
    assert parts(result) == pytest.approx(result.step_seconds)
    each = result.breakdown
    ended = each.forward + each.backward + each.optimizer_step + each.pipeline_bubble + each.fabric_exposed
    assert ended == pytest.approx(result.step_seconds)
    assert sum(result.energy.values()) == pytest.approx(result.energy_joules)
    assert result.tokens_per_second == pytest.approx(batch * 64 / result.step_seconds)
    terms = {term.name: term for term in explain(found)}
    assert terms["step"].value == result.step_seconds
    assert terms["energy"].value == result.energy_joules
    for term in terms.values():
        values = [operand.value for operand in term.operands]
        if term.how == "sum":
            assert math.fsum(values) == pytest.approx(term.value, rel=1e-9, abs=1e-18), term.name
        elif term.how == "product":
            assert math.prod(values) == pytest.approx(term.value, rel=1e-9, abs=1e-18), term.name


def test_replicas_share_the_batch_and_sum_their_gradients() -> None:
    found = run("parallel.data=4", "parallel.overlap=false")
    alone = run(global_batch=6)
    parallel, system = found.parallel, small_package()
    assert parallel is not None
    ring = 2 * 3 * (MODEL.parameters * 4 / 4 / system.fabric.bytes_per_second + system.fabric.latency_seconds)
    assert parallel.gradient_seconds == pytest.approx(ring)
    # Gradients are summed behind the backward pass, and weights are updated behind that.
    update, hidden = found.breakdown.optimizer, alone.breakdown.optimizer
    assert update > hidden
    assert found.step_seconds == pytest.approx(alone.step_seconds - hidden + update + ring)
    assert found.breakdown.fabric_exposed == pytest.approx(ring)
    # 2 (n - 1) / n of the gradients leave each of n packages.
    assert parallel.fabric_bytes == pytest.approx(2 * 3 * MODEL.parameters * 4)
    dynamic = alone.energy_joules * 4
    sent = 8 * parallel.fabric_bytes
    extra = sent * system.fabric.pj_per_bit + 2 * sent * system.memory.pj_per_bit
    assert found.energy_joules == pytest.approx(dynamic + extra * 1e-12)
    assert found.energy["fabric"] == pytest.approx(sent * system.fabric.pj_per_bit * 1e-12)


def test_the_sum_of_gradients_hides_behind_the_backward_pass() -> None:
    hidden, shown = run("parallel.data=4"), run("parallel.data=4", "parallel.overlap=false")
    assert hidden.parallel is not None
    assert hidden.step_seconds < shown.step_seconds
    # Those of the last layer are never hidden.
    assert hidden.parallel.gradient_exposed >= hidden.parallel.gradient_seconds / MODEL.layers
    operand = run("parallel.data=4", "parallel.gradients=operand")
    assert operand.parallel is not None
    assert operand.parallel.gradient_bytes == hidden.parallel.gradient_bytes / 2


def test_uneven_shares_of_the_batch_take_as_long_as_the_largest() -> None:
    # 23 sequences over 4 replicas: three have 6 and one has 5.
    uneven, even = run("parallel.data=4", global_batch=23), run("parallel.data=4", global_batch=24)
    assert uneven.step_seconds == even.step_seconds
    assert uneven.energy_joules < even.energy_joules
    assert uneven.energy["array"] == pytest.approx(even.energy["array"] * 23 / 24)


def test_a_sharded_optimizer_keeps_and_updates_a_share() -> None:
    whole, shared = run("parallel.data=4"), run("parallel.data=4", "parallel.shard_optimizer=true")
    assert whole.memory.state_bytes_per_die == MODEL.parameters * (BYTES + STATE_BYTES["adam"]) / 4
    assert shared.memory.state_bytes_per_die == MODEL.parameters * (BYTES + 4 + 12 / 4) / 4
    assert shared.breakdown.optimizer < whole.breakdown.optimizer
    assert whole.parallel is not None
    assert shared.parallel is not None
    # Gradients are scattered, and weights gathered in the operand type.
    assert shared.parallel.fabric_bytes == 3 * MODEL.parameters * (4 + BYTES)
    assert shared.energy["vector"] < whole.energy["vector"]


def test_stages_share_the_layers_and_send_activations_and_gradients() -> None:
    found = run("parallel.pipeline=3", "parallel.micro_batch=2")
    parallel = found.parallel
    assert parallel is not None
    assert (parallel.stage_layers, parallel.micro_batches) == ([2, 2, 2], 12)
    assert parallel.transfer_bytes == 2 * 64 * MODEL.hidden * BYTES
    assert parallel.fabric_bytes == 2 * 2 * 24 * 64 * MODEL.hidden * BYTES
    alone = run(mini_batch=2)
    # The same layers run, whatever package they are on.
    assert found.energy["array"] == pytest.approx(alone.energy["array"])
    assert found.energy["nop"] == pytest.approx(alone.energy["nop"])
    assert found.nop_elements_per_die_per_layer == pytest.approx(alone.nop_elements_per_die_per_layer)
    # The last stage has the output head.
    assert parallel.pace_stage == 2
    seconds = parallel.stage_seconds
    assert seconds[2] > seconds[1]
    assert found.step_seconds > seconds[2]
    assert parallel.bubble_share == pytest.approx((seconds[0] + seconds[1]) / 12 / seconds[2])


def test_more_micro_batches_or_chunks_make_a_smaller_bubble() -> None:
    def share(*overrides: str) -> float:
        parallel = run("parallel.pipeline=3", *overrides).parallel
        assert parallel is not None
        return parallel.bubble_share

    assert share("parallel.micro_batch=2") == pytest.approx(2 * share("parallel.micro_batch=1"), rel=0.2)
    assert share("parallel.micro_batch=2", "parallel.interleave=2") == pytest.approx(
        share("parallel.micro_batch=2") / 2
    )


def test_the_micro_batch_that_is_quickest_is_taken() -> None:
    chosen = run("parallel.pipeline=3").step_seconds
    given_ = [
        run("parallel.pipeline=3", f"parallel.micro_batch={size}").step_seconds for size in (1, 2, 4, 8)
    ]
    assert chosen <= min(given_)


def test_a_model_too_large_for_one_package_fits_a_pipeline() -> None:
    small = f"memory.channel_bytes={MODEL.parameters * 18 // 8 * 3 // 4}"
    room = (small, "memory.channels=8", "memory.channels_per_edge_die=0")
    with pytest.raises(ValueError, match="does not fit: DRAM needs"):
        run(*room)
    found = run(*room, "parallel.pipeline=3")
    assert found.memory.dram.needed_bytes <= found.memory.dram.available_bytes


def test_activations_in_flight_are_held() -> None:
    def needed(*overrides: str) -> int:
        return run("parallel.micro_batch=1", *overrides).memory.dram.needed_bytes

    table = MODEL.vocab * MODEL.hidden
    saved = needed("parallel.pipeline=3") - 18 * (2 * MODEL.layer_parameters + table)
    # The first of 3 stages holds 3 micro-batches of 2 layers: as much as one sequence of all layers.
    whole = run(mini_batch=1, global_batch=1).memory.dram.needed_bytes - 18 * MODEL.parameters
    assert saved == whole
    more = needed("parallel.pipeline=3", "parallel.interleave=2")
    assert more - needed("parallel.pipeline=3") == pytest.approx(saved * (3 + 2 / 2) / 3 - saved)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["parallel.data=25"], "parallel.data = 25: must be at most the 24 sequences of the global batch"),
        (
            ["parallel.pipeline=7"],
            "parallel.pipeline x parallel.interleave = 7: must be at most the 6 layers",
        ),
        (["parallel.pipeline=4", "parallel.interleave=2"], "= 8: must be at most the 6 layers of small"),
        (
            ["parallel.pipeline=2", "parallel.micro_batch=25"],
            "parallel.micro_batch = 25: must be at most the 24",
        ),
        (
            ["parallel.pipeline=3", "parallel.interleave=2", "parallel.micro_batch=24"],
            "the 24 sequences of a replica make no multiple of 3 micro-batches of 24",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=r"parallel\.") as refusal:
        run(*overrides)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_only_a_pipeline_interleaves() -> None:
    with pytest.raises(ValueError, match="interleave = 2 needs a pipeline of at least 2 packages"):
        package("parallel.interleave=2")
