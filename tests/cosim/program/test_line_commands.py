"""Commands of a line: what is sent is received; and the golden result, which does not depend on them."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import DieSpec, Dtype
from cosim.golden.collective import golden
from cosim.golden.numerics import fp32_add
from cosim.program.command import Command
from cosim.program.line_commands import AXES, LineCollective, line_commands, sum_order
from cosim.records.collective import collective_request
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line
from rtl.interface.isa import Opcode, Side

LINES = {
    "algorithm": st.sampled_from(ALGORITHMS),
    "nodes": st.integers(2, 12),
    "flits": st.integers(1, 70),
}


def fp32(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32).view(np.uint32)


def commands(work: LineCollective, axis: str = "row", origin: int = 0) -> list[list[Command]]:
    """Commands of each die."""
    return [
        [command for part in line_commands(work, AXES[axis], place, origin=origin).parts for command in part]
        for place in range(work.nodes)
    ]


@given(op=st.sampled_from(OPS), dtype=st.sampled_from(get_args(Dtype)), **LINES)
def test_golden_sums_are_those_of_numpy(
    op: LineOp, dtype: Dtype, algorithm: Algorithm, nodes: int, flits: int
) -> None:
    request = collective_request(
        op=op, rows=1, cols=nodes, axis="row", algorithm=algorithm, flits=flits, die=DieSpec(dtype=dtype)
    )
    rng = np.random.default_rng(nodes * flits)
    given_chunks = rng.integers(0, 1 << 32, (nodes, nodes, 3), dtype=np.uint32)
    if dtype == "bf16":  # whole numbers: no order of additions rounds
        given_chunks = (given_chunks % 1000).astype(np.float32).view(np.uint32)
    found = golden(request, LineCollective(op, algorithm, nodes, flits, 0, flits), given_chunks)
    if op == "all-gather":
        expected = np.broadcast_to(given_chunks[np.arange(nodes), np.arange(nodes)], found.shape)
    else:
        sums = given_chunks if dtype == "int8" else given_chunks.view(np.float32)
        expected = np.broadcast_to(sums.sum(axis=0, dtype=sums.dtype).view(np.uint32), found.shape)
    if op == "reduce-scatter":
        found, expected = (each[np.arange(nodes), np.arange(nodes)] for each in (found, expected))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("nodes", range(2, 8))
@pytest.mark.parametrize("chunk", range(8))
def test_order_of_the_additions_of_the_chain(nodes: int, chunk: int) -> None:
    """Each side from its end to the chunk's die; the longer side meets the die's own part first, then the other one."""
    chunk %= nodes
    request = collective_request(
        op="reduce-scatter", rows=1, cols=nodes, axis="row", algorithm="chain", flits=1
    )
    parts = fp32(np.random.default_rng(nodes), nodes, nodes, 50)
    found = golden(request, LineCollective("reduce-scatter", "chain", nodes, 1, 0, 1), parts)[chunk, chunk]
    terms = parts[:, chunk]
    lower, upper = list(terms[:chunk]), list(terms[chunk + 1 :][::-1])
    first, second = (lower, upper) if 2 * chunk >= nodes - 1 else (upper, lower)
    total = terms[chunk]
    for side in (first, second):
        if side:
            walking = side[0]
            for term in side[1:]:
                walking = fp32_add(walking, term)
            total = fp32_add(walking, total)
    assert np.array_equal(found, total)


@pytest.mark.parametrize("nodes", range(2, 8))
def test_order_of_the_additions_of_the_ring(nodes: int) -> None:
    """Around the ring, from the die behind the chunk's own to that one."""
    request = collective_request(
        op="reduce-scatter", rows=1, cols=nodes, axis="row", algorithm="ring", flits=1
    )
    parts = fp32(np.random.default_rng(nodes), nodes, nodes, 50)
    found = golden(request, LineCollective("reduce-scatter", "ring", nodes, 1, 0, 1), parts)
    follows = {t.sender: t.receiver for t in line("reduce-scatter", nodes, "ring").transfers}
    for chunk in range(nodes):
        place = follows[chunk]
        total = parts[place, chunk]
        for _ in range(nodes - 1):
            place = follows[place]
            total = fp32_add(total, parts[place, chunk])
        assert place == chunk
        assert np.array_equal(found[chunk, chunk], total)


@given(**LINES)
def test_sum_orders_are_schedules(algorithm: Algorithm, nodes: int, flits: int) -> None:
    """What is sent has been summed up before: nothing is added to it later."""
    schedule = line("reduce-scatter", nodes, algorithm)
    order = sum_order(algorithm, schedule)
    assert sorted(order) == sorted(schedule.transfers)
    for number, transfer in enumerate(order):
        for later in order[number:]:
            assert (later.receiver, later.chunk) != (transfer.sender, transfer.chunk)


@given(op=st.sampled_from(OPS), axis=st.sampled_from(tuple(AXES)), **LINES)
def test_what_is_sent_is_received(
    op: LineOp, axis: str, algorithm: Algorithm, nodes: int, flits: int
) -> None:
    work = LineCollective(op, algorithm, nodes, flits, 5, -(-flits // 4))
    dies = commands(work, axis)
    opposite = {Side.EAST: Side.WEST, Side.WEST: Side.EAST, Side.NORTH: Side.SOUTH, Side.SOUTH: Side.NORTH}
    arriving: Counter[tuple[int, Side]] = Counter()
    for place, program in enumerate(dies):
        forwarded: Counter[tuple[Side, bool]] = Counter()
        for opcode, fields in ((command.opcode, command.all_fields) for command in program):
            side = Side(fields["side"])
            assert side in AXES[axis][:2]
            assert fields["flits"] == flits
            if opcode == Opcode.SEND:
                up = side == AXES[axis].up
                assert (fields["target"] > place) == up
                reached = range(place, fields["target"], 1 if up else -1)
                for step in reached if fields["copy"] else (fields["target"] - (1 if up else -1),):
                    arriving[step + (1 if up else -1), opposite[side]] += fields["chunks"]
                passed = (fields["chunks"] - fields["own"]) * fields["forward"]
                forwarded[opposite[side] if not fields["turn"] else side, bool(fields["turn"])] -= passed
            else:
                arriving[place, side] -= fields["chunks"]
                assert fields["forwarded"] < fields["chunks"] or fields["keep"] == 1
                if fields["keep"] != 2:
                    forwarded[side, bool(fields["turn"])] += fields["forwarded"]
        assert not any(forwarded.values())
    assert not any(arriving.values())


@pytest.mark.parametrize("nodes", range(2, 10))
@pytest.mark.parametrize("flits", [QUEUED_FLITS, QUEUED_FLITS + 1])
def test_long_chunks_are_handed_over_by_the_middle_die_only(nodes: int, flits: int) -> None:
    """A unit that hands over more than fits the queue waits for the other one: then five dies stood still."""
    for place, program in enumerate(
        commands(LineCollective("reduce-scatter", "chain", nodes, flits, 0, flits))
    ):
        received = [command.all_fields for command in program if command.opcode == Opcode.RECEIVE]
        inner = 0 < place < nodes - 1
        hands = inner and (flits <= QUEUED_FLITS or 2 * place == nodes - 1)
        assert sum(fields["hand"] for fields in received) == hands
        assert sum(fields["join"] for fields in received) == hands
        words = [(fields["word_post"] > 0, fields["word_wait"] > 0) for fields in received]
        assert sorted(words) == ([(False, True), (True, False)] if inner and not hands else sorted(words))
        assert any(map(any, words)) == (inner and not hands)


def test_one_die_has_no_commands() -> None:
    for op in OPS:
        assert line_commands(LineCollective(op, "chain", 1, 4, 0, 1), AXES["row"], 0) == (
            [[]] * (1 + (op == OPS[2])),
            0,
        )


@given(op=st.sampled_from(OPS), **LINES)
def test_an_origin_moves_targets_and_senders(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int
) -> None:
    """Where the first die of a line has number 1, a target is one more, and the chunk of sender 0 lies one before."""
    work = LineCollective(op, algorithm, nodes, flits, 5, -(-flits // 4))
    for plain, moved in zip(commands(work), commands(work, origin=1), strict=True):
        for before, after in zip(plain, moved, strict=True):
            change = {}
            if before.opcode == Opcode.SEND:
                change["target"] = before.fields["target"] + 1
            elif before.fields.get("by_source"):
                change["base"] = (before.fields["base"] - before.fields["pitch"]) % (1 << 20)
            assert after.opcode == before.opcode
            assert after.fields == {**before.fields, **change}
