"""Commands of a line: what is sent is received, whatever the sizes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from cosim.program.command import Command
from cosim.program.line_commands import AXES, LineCollective, line_commands, sum_order
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp, line
from rtl.interface.isa import Opcode, Side

LINES = {
    "algorithm": st.sampled_from(ALGORITHMS),
    "nodes": st.integers(2, 12),
    "flits": st.integers(1, 70),
}


def commands(work: LineCollective, axis: str = "row", origin: int = 0) -> list[list[Command]]:
    """Commands of each die."""
    return [line_commands(work, AXES[axis], place, origin=origin).commands for place in range(work.nodes)]


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
                whole = op != "all-reduce" and fields["keep"] != 1
                assert fields["forwarded"] < fields["chunks"] or not whole
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
        assert line_commands(LineCollective(op, "chain", 1, 4, 0, 1), AXES["row"], 0) == ([], ())


@given(**LINES)
def test_commands_of_an_all_reduce_are_all_handed_out_before_it_begins(
    algorithm: Algorithm, nodes: int, flits: int
) -> None:
    """Units take three commands each. The first SEND waits for its gate; what it forwards is what one RECEIVE does."""
    for place in range(nodes):
        made = line_commands(
            LineCollective("all-reduce", algorithm, nodes, flits, 0, flits), AXES["row"], place
        )
        units = Counter((command.opcode, command.fields["side"]) for command in made.commands)
        assert max(units.values()) <= 3
        sends = [command.all_fields for command in made.commands if command.opcode == Opcode.SEND]
        receives = [command.all_fields for command in made.commands if command.opcode == Opcode.RECEIVE]
        assert {fields["wait_0"] for fields in sends if fields["wait_0"]} == set(made.gates)
        forwarded = sorted(fields["forwarded"] for fields in receives if fields["forwarded"])
        assert sorted(f["chunks"] - f["own"] for f in sends if f["chunks"] > f["own"]) == forwarded


@given(op=st.sampled_from(OPS), **LINES)
def test_an_origin_moves_targets_and_senders(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int
) -> None:
    """Where the first die of a line has number 1, a target is one more."""
    work = LineCollective(op, algorithm, nodes, flits, 5, -(-flits // 4))
    for plain, moved in zip(commands(work), commands(work, origin=1), strict=True):
        for before, after in zip(plain, moved, strict=True):
            change = {}
            if before.opcode == Opcode.SEND:
                change["target"] = before.fields["target"] + 1
            assert after.opcode == before.opcode
            assert after.fields == {**before.fields, **change}
