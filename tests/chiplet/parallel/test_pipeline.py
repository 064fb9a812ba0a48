"""The pipeline's closed form against the schedule itself, played out step by step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.parallel.pipeline import in_flight, pipeline_time, ring_seconds, stage_layers, stage_numbers

Work = tuple[str, int, int]
"""Direction, chunk of the stage, micro-batch."""


def order(stage: int, stages: int, batches: int, chunks: int) -> list[Work]:
    """What a stage does in 1F1B, interleaved in groups of as many micro-batches as there are stages."""

    def unit(number: int, direction: str) -> Work:
        group, place = divmod(number, stages * chunks)
        chunk = place // stages
        if direction == "backward":
            chunk = chunks - 1 - chunk
        return direction, chunk, group * stages + place % stages

    def plain(number: int, direction: str) -> Work:
        return direction, 0, number

    make = plain if chunks == 1 else unit
    total = batches * chunks
    ahead = stages - stage - 1 if chunks == 1 else 2 * (stages - stage - 1) + (chunks - 1) * stages
    ahead = min(ahead, total)
    found = [make(number, "forward") for number in range(ahead)]
    for number in range(total - ahead):
        found += [make(ahead + number, "forward"), make(number, "backward")]
    return found + [make(number, "backward") for number in range(total - ahead, total)]


def play(
    forward: list[float], backward: list[float], batches: int, chunks: int, crossing: float = 0.0
) -> tuple[float, list[int]]:
    """Time of the whole, and the most chunks of micro-batches that each stage holds.

    ``forward`` and ``backward`` are seconds of a micro-batch on a stage. A transfer occupies nobody.
    """
    stages = len(forward)
    orders = [order(stage, stages, batches, chunks) for stage in range(stages)]
    done: dict[tuple[str, int, int], float] = {}  # direction, chunk of the model, micro-batch
    clock, next_of = [0.0] * stages, [0] * stages
    held, most = [0] * stages, [0] * stages
    last = stages * chunks - 1
    while any(next_of[stage] < len(orders[stage]) for stage in range(stages)):
        moved = False
        for stage in range(stages):
            while next_of[stage] < len(orders[stage]):
                direction, chunk, batch = orders[stage][next_of[stage]]
                place = chunk * stages + stage
                if direction == "forward":
                    before = 0.0 if place == 0 else done.get(("forward", place - 1, batch), -1.0)
                    own = forward[stage] / chunks
                else:
                    own = backward[stage] / chunks
                    before = (
                        done.get(("forward", last, batch), -1.0)
                        if place == last
                        else done.get(("backward", place + 1, batch), -1.0)
                    )
                if before < 0:
                    break
                crossed = stages > 1 and place != (0 if direction == "forward" else last)
                clock[stage] = max(clock[stage], before + (crossing if crossed else 0.0)) + own
                done[direction, place, batch] = clock[stage]
                held[stage] += 1 if direction == "forward" else -1
                most[stage] = max(most[stage], held[stage])
                next_of[stage] += 1
                moved = True
        assert moved, "the order of work is stuck"
    return max(clock), most


@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("stages", [1, 2, 4, 5])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_equal_stages_take_the_closed_form_exactly(stages: int, chunks: int, groups: int) -> None:
    if stages == 1:
        chunks = 1
    batches = groups * stages
    time = pipeline_time([3.0] * stages, micro_batches=batches, interleave=chunks, crossing=0.0, overlap=True)
    played, most = play([1.0] * stages, [2.0] * stages, batches, chunks)
    assert time.total == pytest.approx(played)
    for stage in range(stages):
        live = in_flight(stage, stages=stages, micro_batches=batches, interleave=chunks)
        assert most[stage] == pytest.approx(live * chunks)


@given(
    stages=st.integers(1, 6),
    batches=st.integers(1, 12),
    head=st.floats(0, 4),
)
def test_a_slower_last_stage_sets_the_pace(stages: int, batches: int, head: float) -> None:
    """That of the output head."""
    forward, backward = [1.0] * stages, [2.0] * stages
    forward[-1] += head / 3
    backward[-1] += head * 2 / 3
    seconds = [first + second for first, second in zip(forward, backward, strict=True)]
    time = pipeline_time(seconds, micro_batches=batches, interleave=1, crossing=0.0, overlap=True)
    played, _ = play(forward, backward, batches, 1)
    assert played == pytest.approx(time.total)


@given(stages=st.integers(2, 6), batches=st.integers(1, 40), crossing=st.floats(0, 0.4))
def test_transfers_behind_other_micro_batches(stages: int, batches: int, crossing: float) -> None:
    time = pipeline_time([3.0] * stages, micro_batches=batches, interleave=1, crossing=crossing, overlap=True)
    played, _ = play([1.0] * stages, [2.0] * stages, batches, 1, crossing)
    assert played == pytest.approx(time.total)


@given(
    stages=st.integers(2, 5),
    chunks=st.integers(2, 4),
    groups=st.integers(2, 5),
    crossing=st.floats(0, 0.04),
)
def test_interleaving_hides_all_transfers_but_the_first_and_last(
    stages: int, chunks: int, groups: int, crossing: float
) -> None:
    batches = groups * stages
    time = pipeline_time(
        [3.0] * stages, micro_batches=batches, interleave=chunks, crossing=crossing, overlap=True
    )
    played, _ = play([1.0] * stages, [2.0] * stages, batches, chunks, crossing)
    assert played == pytest.approx(time.total)


def test_without_overlap_every_micro_batch_waits_for_its_transfers() -> None:
    time = pipeline_time([3.0, 4.0], micro_batches=8, interleave=2, crossing=0.5, overlap=False)
    assert (time.working, time.transfers, time.bubble, time.fill) == (32.0, 16.0, 1.5, 1.0)
    hidden = pipeline_time([3.0, 4.0], micro_batches=8, interleave=2, crossing=0.5, overlap=True)
    assert (hidden.transfers, hidden.fill, hidden.total) == (0.0, 3.0, 36.5)
    slow = pipeline_time([3.0, 4.0], micro_batches=8, interleave=2, crossing=1.5, overlap=True)
    assert slow.transfers == 16.0


def test_activations_of_the_first_stage_are_the_published_share() -> None:
    """p stages of v chunks: 1 + (p - 1) / (p v) times the layers of the model (arXiv 2205.05198)."""
    for stages, chunks in ((8, 3), (35, 3), (4, 2)):
        live = in_flight(0, stages=stages, micro_batches=10**6, interleave=chunks)
        assert live / stages == pytest.approx(1 + (stages - 1) / (stages * chunks))
    assert in_flight(0, stages=64, micro_batches=512, interleave=1) == 64
    assert in_flight(63, stages=64, micro_batches=512, interleave=1) == 1
    assert in_flight(0, stages=8, micro_batches=3, interleave=1) == 3


def test_layers_of_stages_differ_by_one_at_most() -> None:
    assert stage_layers(126, 4) == [32, 32, 31, 31]
    assert stage_layers(7, 7) == [1] * 7
    assert sum(stage_layers(105, 16)) == 105


@given(nodes=st.integers(1, 64), data=st.floats(1, 1e12))
def test_a_ring_takes_its_closed_form(nodes: int, data: float) -> None:
    expected = (nodes - 1) * (data / nodes / 1e9 + 1e-6)
    assert ring_seconds(nodes, data, rate=1e9, latency=1e-6) == pytest.approx(expected)


@given(stages=st.integers(1, 6), chunks=st.integers(1, 4), more=st.integers(0, 20))
def test_stages_have_every_layer_once_in_chunks_that_take_turns(stages: int, chunks: int, more: int) -> None:
    layers = stages * chunks + more
    numbers = stage_numbers(layers, stages, chunks)
    assert sorted(number for of_stage in numbers for number in of_stage) == list(range(layers))
    assert [len(of_stage) for of_stage in numbers] == stage_layers(layers, stages)
    owner = {number: stage for stage, of_stage in enumerate(numbers) for number in of_stage}
    turns = [owner[number] for number in range(layers)]
    changes = [stage for place, stage in enumerate(turns) if not place or stage != turns[place - 1]]
    assert changes == (list(range(stages)) * chunks if stages > 1 else [0])
