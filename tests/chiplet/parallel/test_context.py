"""Packages that share each sequence: what they send, when it is hidden, and one package as the special case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.explain.step import explain
from chiplet.methods.registry import METHODS
from chiplet.parallel.context import ring_backward_exposed, ring_exposed
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account, project
from chiplet.projection.results import Projection
from chiplet.workload.seen_keys import seen_keys
from tests.chiplet.machines import small_model, small_package
from tests.chiplet.parallel.test_step import parts

MODEL = small_model(layers=6)


def shared(*overrides: str, **arguments: Any) -> Accounted:
    values: dict[str, Any] = {"mesh": (2, 2), "global_batch": 24, "sequence_length": 48, **arguments}
    return account(StepRequest(values.pop("model", MODEL), small_package(*overrides), **values))


def run(*overrides: str, **arguments: Any) -> Projection:
    return shared(*overrides, **arguments).projection


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("packages", [("parallel.data=1",), ("parallel.data=3", "parallel.pipeline=2")])
def test_one_package_of_a_sequence_is_the_special_case(method: str, packages: tuple[str, ...]) -> None:
    alone = run(*packages, method=method)
    ring = run(*packages, "parallel.context=1", "parallel.exchange=ring", method=method)
    for name in ("step_seconds", "energy", "breakdown", "memory", "mfu"):
        assert getattr(ring, name) == getattr(alone, name)
    assert alone.parallel is None or alone.parallel.exchange_bytes == 0


def sent_in_a_ring(packages: int, *, again: bool) -> tuple[int, int]:
    """Blocks of keys, and of gradients, that all packages send of a layer, played out block by block."""
    keys = gradients = 0
    for _ in range(3 if again else 2):
        here = list(range(packages))
        seen = [{block} for block in here]
        while any(len(blocks) < packages for blocks in seen):
            here = [here[number - 1] for number in range(packages)]
            keys += packages
            for number, block in enumerate(here):
                seen[number].add(block)
    for owner in range(packages):
        # The sum begins at the next package, and ends where the block belongs.
        at = (owner + 1) % packages
        while at != owner:
            at = (at + 1) % packages
            gradients += 1
    return keys, gradients


@settings(max_examples=15, deadline=None)
@given(
    context=st.integers(2, 6),
    ring=st.booleans(),
    full=st.booleans(),
    data=st.integers(1, 3),
    pipeline=st.integers(1, 3),
    overlap=st.booleans(),
    shard=st.booleans(),
)
def test_volumes_and_terms(
    context: int, ring: bool, full: bool, data: int, pipeline: int, overlap: bool, shard: bool
) -> None:
    exchange = "ring" if ring else "all-gather"
    length = 24 * context
    found = shared(
        f"parallel.context={context}",
        f"parallel.exchange={exchange}",
        f"parallel.data={data}",
        f"parallel.pipeline={pipeline}",
        f"parallel.overlap={str(overlap).lower()}",
        f"parallel.shard_optimizer={str(shard).lower()}",
        sequence_length=length,
        switches={"recompute": "full" if full else "selective"},
    )
    result, several = found.projection, found.projection.parallel
    assert several is not None
    assert result.packages == context * data * pipeline
    assert parts(result) == pytest.approx(result.step_seconds)
    assert result.tokens_per_second == pytest.approx(24 * length / result.step_seconds)
    keys, gradients = sent_in_a_ring(context, again=ring and full)
    block = several.micro_batch * 24 * 2 * MODEL.kv_heads * MODEL.head_dim
    assert several.exchange_bytes * context == block * (keys * 2 + gradients * 4)
    assert several.exchange_exposed <= several.exchange_seconds * (1 + 1e-12)
    if not (ring and overlap):
        assert several.exchange_exposed == pytest.approx(several.exchange_seconds)
    # All that is sent: keys of all sequences, activations, gradients of the copies of the weights.
    of_keys = 24 / several.micro_batch * several.exchange_bytes * context * MODEL.layers
    copies, weights = context * data, MODEL.parameters
    of_gradients = (copies - 1) * weights * (4 + 2 if shard else 8)
    crossing = 2 * (pipeline - 1) * 24 * length * MODEL.hidden * 2
    assert several.fabric_bytes == pytest.approx(of_keys + of_gradients + crossing)
    terms = {term.name: term for term in explain(found)}
    assert terms["step"].value == pytest.approx(sum(one.value for one in terms["step"].operands))
    assert terms["keys and values exposed"].value > 0 or (ring and overlap)


@given(
    packages=st.integers(2, 7),
    key=st.floats(0, 3),
    gradient=st.floats(0, 3),
    block=st.floats(0, 3),
)
def test_rings_take_the_time_of_their_steps(packages: int, key: float, gradient: float, block: float) -> None:
    forward = backward = 0.0
    for step in range(packages):
        keys = key if step < packages - 1 else 0.0
        sums = gradient if step > 1 else 0.0  # those that were added to in the step before, none in the first
        forward += max(block, keys)
        backward += max(block, keys + sums)
    backward += gradient
    assert ring_exposed(packages, key, block) == pytest.approx(forward - packages * block, abs=1e-9)
    found = ring_backward_exposed(packages, key, gradient, key + gradient, block)
    assert found == pytest.approx(backward - packages * block, abs=1e-9)


@pytest.mark.parametrize(("context", "strip"), [(2, 1), (4, 1), (3, 4), (4, 8)])
def test_a_part_from_both_ends_has_as_many_keys(context: int, strip: int) -> None:
    """Strips of queries see all up to their last one: pairs of parts see as many as the mean of the sequence."""
    length = 2 * context * strip * 3
    part = length // (2 * context)
    seen = [(query // strip + 1) * strip for query in range(length)]
    shares = {
        sum(seen[number * part : (number + 1) * part])
        + sum(seen[(2 * context - 1 - number) * part : (2 * context - number) * part])
        for number in range(context)
    }
    assert shares == {seen_keys(length, length, strip) * 2 * part}


def test_the_attention_multiplies_with_the_keys_of_all() -> None:
    switches = {"recompute": "selective"}
    alone = shared(sequence_length=96, switches=switches)
    for exchange in ("ring", "all-gather"):
        one_of_four = shared(
            "parallel.context=4",
            f"parallel.exchange={exchange}",
            "parallel.gradients=operand",
            sequence_length=96,
            switches=switches,
        )
        assert one_of_four.step.events.macs == pytest.approx(alone.step.events.macs)
        assert one_of_four.projection.memory.dram.needed_bytes < alone.projection.memory.dram.needed_bytes


@pytest.mark.parametrize(
    ("overrides", "switches", "message"),
    [
        (("parallel.context=5",), {}, "parallel.context = 5: a sequence of 48 tokens is no multiple of 5"),
        (
            ("parallel.context=16",),
            {"masked_keys": "skipped"},
            "parallel.context = 16: a sequence of 48 tokens is no multiple of 32, and 16 packages with two parts",
        ),
        (
            ("parallel.context=2", "parallel.exchange=ring"),
            {},
            "parallel.exchange = ring: .* recompute must be",
        ),
    ],
)
def test_what_cannot_be_shared_is_named(
    overrides: tuple[str, ...], switches: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(*overrides, switches=switches)


def test_a_sequence_that_one_package_does_not_hold_is_projected_on_several() -> None:
    sizes: dict[str, Any] = {"global_batch": 2, "switches": {"recompute": "selective"}, "mesh": (2, 2)}
    model = small_model(max_positions=2**17)
    system = "memory.channel_bytes=60000000"
    with pytest.raises(ValueError, match="DRAM needs"):
        run(system, model=model, sequence_length=2**17, **sizes)
    for exchange in ("ring", "all-gather"):
        keys = (system, "parallel.context=8", f"parallel.exchange={exchange}")
        assert run(*keys, model=model, sequence_length=2**17, **sizes).memory.dram.needed_bytes > 0


def test_project_is_as_before_with_more_keys() -> None:
    """More packages for the same sequences are quicker."""
    sizes: dict[str, Any] = {"sequence_length": 4096, "switches": {"recompute": "selective"}}
    model = small_model(max_positions=4096)
    seconds = [
        project(
            StepRequest(
                model, small_package(f"parallel.context={count}"), mesh=(2, 2), global_batch=16, **sizes
            )
        ).step_seconds
        for count in (1, 2, 4)
    ]
    assert seconds == sorted(seconds, reverse=True)
