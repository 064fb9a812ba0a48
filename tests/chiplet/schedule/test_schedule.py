"""The schedule: what fits is used, what does not is refused by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.base import Method
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.schedule.mini_batches import NEGLIGIBLE
from chiplet.schedule.schedule import Schedule, step_work, tile_choices
from chiplet.step.overlap import Machine
from chiplet.step.quickest import quickest_step
from chiplet.workload.llm import load_model
from nop.topology import Mesh, most_square
from tests.chiplet.machines import PACKAGE, package, small_model, small_package


def _schedule(
    method: str,
    mesh: Mesh,
    system: SystemSpec = PACKAGE,
    *,
    model: str | None = None,
    global_batch: int = 12,
    length: int = 64,
    mini_batch: int | None = None,
    **switches: Any,
) -> Schedule:
    llm = small_model() if model is None else load_model(model)
    instance: Method = method_type(method)(
        llm, mesh, make_switches(method, switches), system.die.element_bytes
    )
    work = step_work(
        instance, system, global_batch=global_batch, length=length, optimizer="adam", mini_batch=mini_batch
    )
    return quickest_step(instance, Machine(system, GemmTerms()), work, "adam").schedule


@given(
    method=st.sampled_from(list(METHODS)),
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    global_batch=st.integers(1, 40),
    length=st.integers(1, 64),
    kilobytes=st.integers(60, 4000),
)
def test_whatever_is_scheduled_fits_and_covers_the_batch(
    method: str, rows: int, cols: int, global_batch: int, length: int, kilobytes: int
) -> None:
    system = package(f"die.scratchpad_bytes={kilobytes * 1024}", f"die.accumulator_bytes={kilobytes * 1024}")
    try:
        schedule = _schedule(method, Mesh(rows, cols), system, global_batch=global_batch, length=length)
    except ValueError as refusal:
        message = str(refusal)
        event(message.partition(" does not fit: ")[2].partition(" needs ")[0])
        return
    assert schedule.rounds * schedule.sequences >= global_batch > (schedule.rounds - 1) * schedule.sequences
    for part in schedule.blocks:
        counted = sum(run.times * run.batch.tokens for run in part.mini_batches)
        assert 1 <= counted / (global_batch * length) <= 1 + NEGLIGIBLE
        assert 1 <= part.tile_limit <= part.batch.tokens
        for use in part.buffers:
            assert 0 < use.needed <= use.available


@given(kilobytes=st.integers(100, 2000), more=st.integers(0, 2000))
def test_a_larger_buffer_never_makes_a_mini_batch_smaller(kilobytes: int, more: int) -> None:
    sizes = []
    for size in (kilobytes, kilobytes + more):
        system = package(f"die.scratchpad_bytes={size * 1024}")
        schedule = _schedule("hecaton", Mesh(2, 2), system, global_batch=64)
        sizes.append(schedule.blocks[1].batch.tokens)
    assert sizes[0] <= sizes[1]


def test_llama_405b_on_1024_dies_is_fused_and_double_buffered() -> None:
    schedule = _schedule("hecaton", most_square(1024), model="llama3.1-405b", global_batch=512, length=4096)
    for part in schedule.blocks:
        assert (part.parts, part.weights_ahead, part.gradients_behind) == (1, True, True)
    assert schedule.blocks[0].batch.sequences % 32 == 0  # as many on each row of the mesh


def test_a_block_that_does_not_fit_whole_is_split() -> None:
    roomy = _schedule("hecaton", Mesh(1, 1))
    tight = _schedule("hecaton", Mesh(1, 1), small_package("die.accumulator_bytes=200000"))
    assert [part.parts for part in roomy.blocks] == [1, 1, 1]
    assert tight.blocks[1].parts == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "die.weight_bytes=150",
            "block attention with the smallest mini-batch does not fit: weight buffer needs 384",
        ),
        ("die.accumulator_bytes=600", "does not fit: accumulator buffer needs "),
        ("die.scratchpad_bytes=4096", "does not fit: scratchpad needs "),
        (
            "memory.channel_bytes=10000",
            "small on 1 dies: the training state with one sequence's activations does not fit: DRAM",
        ),
    ],
)
def test_what_does_not_fit_is_named(override: str, message: str) -> None:
    system = small_package(override)
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        _schedule("hecaton", Mesh(1, 1), system)
    assert message in str(refusal.value)
    assert " bytes and has " in str(refusal.value)


@given(
    method=st.sampled_from(["hecaton", "flat-ring", "torus-ring"]),
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    weight_kilobytes=st.integers(2, 60),
    sum_kilobytes=st.integers(40, 120),
)
def test_linears_are_sliced_only_where_whole_ones_do_not_fit_and_slices_fit(
    method: str, rows: int, cols: int, weight_kilobytes: int, sum_kilobytes: int
) -> None:
    def schedule(*overrides: str) -> Schedule:
        return _schedule(method, Mesh(rows, cols), small_package(*overrides))

    assert all(part.slices == 1 for part in schedule().blocks)
    tight = (
        f"die.weight_bytes={weight_kilobytes * 1024}",
        f"die.accumulator_bytes={sum_kilobytes * 1024}",
    )
    found = schedule(*tight)
    roomier = schedule(f"die.weight_bytes={2 * weight_kilobytes * 1024}", tight[1])
    for part, other in zip(found.blocks, roomier.blocks, strict=True):
        event(f"sliced: {part.slices > 1}")
        assert other.slices <= part.slices
        assert all(use.needed <= use.available for use in part.buffers)


def test_a_fixed_mini_batch_is_kept_or_taken_in_parts_or_refused() -> None:
    schedule = _schedule("hecaton", Mesh(2, 2), mini_batch=3)
    assert [part.batch.sequences for part in schedule.blocks] == [3, 3, 3]
    tight = small_package("die.scratchpad_bytes=60000")
    attention, ffn, _ = _schedule("hecaton", Mesh(1, 1), tight, mini_batch=12).blocks
    assert attention.batch.sequences == 12
    assert 1 <= ffn.batch.tokens < 12 * 64
    with pytest.raises(
        ValueError, match="block attention with a mini-batch of 12 sequences does not fit: scr"
    ):
        _schedule("hecaton", Mesh(1, 1), small_package("die.scratchpad_bytes=6000"), mini_batch=12)


def test_the_batch_runs_in_rounds_when_dram_is_small() -> None:
    assert _schedule("hecaton", Mesh(2, 2)).rounds == 1
    small = package("memory.channel_bytes=1000000")
    rounds = _schedule("hecaton", Mesh(2, 2), small).rounds
    assert rounds > 1
    assert _schedule("hecaton", Mesh(2, 2), small, recompute="full").rounds < rounds


def test_tile_choices_end_with_the_limit() -> None:
    assert tile_choices(500, 64) == [64, 128, 256, 500]
    assert tile_choices(20, 64) == [20]
