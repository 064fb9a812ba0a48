"""Parts of dimensions: together they are the whole, and what collectives carry is as long as the longest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.graph.sharding import Along, DiePlace, Features, KvHeads, TileShape, Tokens
from nop.collectives import Algorithm

DIES = st.builds(
    DiePlace,
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    row=st.just(0),
    col=st.just(0),
    algorithm=st.sampled_from(["ring", "chain"]),
    tile=st.builds(TileShape, st.integers(1, 7), st.integers(1, 4)),
)
AXES = st.sampled_from(["row", "column"])


@given(DIES, AXES)
def test_tokens_are_shared_without_a_gap_in_chunks_of_one_size(die: DiePlace, axis: Along) -> None:
    tokens, line = Tokens(axis), [die.at(axis, place) for place in range(die.line(axis)[0])]
    parts = [tokens.part(place) for place in line]
    assert sorted(token for part in parts for token in part) == [*tokens.whole.part(die)]
    assert max(map(len, parts)) <= tokens.chunk(die)
    assert len(line) * tokens.chunk(die) >= len(tokens.whole.part(die))
    if axis == "column":
        assert all(part.start % die.tile.length == 0 == len(part) % die.tile.length for part in parts)


@given(DIES, AXES, st.integers(1, 9), st.integers(1, 4))
def test_features_are_shared_evenly_unit_by_unit(die: DiePlace, axis: Along, units: int, unit: int) -> None:
    features, nodes = Features(axis, units * unit, unit), die.line(axis)[0]
    parts = [features.part(die.at(axis, place)) for place in range(nodes)]
    assert [f for part in parts for f in part] == [*range(units * unit)]
    assert {len(part) // unit for part in parts} <= {units // nodes, -(-units // nodes)}


@given(DIES, st.integers(1, 4), st.integers(1, 4))
def test_every_query_head_finds_its_key_head_on_its_die(die: DiePlace, kv: int, group: int) -> None:
    queries, keys = Features("row", kv * group * 2, 2), KvHeads("row", kv * 2, 2, kv * group)
    held: dict[int, list[int]] = {}
    for col in range(die.cols):
        place = die.at("row", col)
        assert {head // group for head in queries.units(place)} == {*keys.units(place)}
        for head in keys.units(place):
            held.setdefault(head, []).append(col)
    for head, cols in held.items():
        owners = keys.owners(head, die)
        assert set(cols) <= set(owners)
        if kv * group >= die.cols:  # no column is without heads
            assert cols == [*owners]


@given(DIES, AXES, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_pieces_are_the_parts_of_the_units_of_a_die(
    die: DiePlace, axis: Along, units: int, piece: int, pieces: int
) -> None:
    unit = piece * pieces
    cut = Features(axis, units * unit, unit, piece=piece)
    assert cut.pieces(die) == [piece] * (pieces * len(cut.units(die)))
    assert sum(cut.pieces(die)) == len(cut.part(die))
    keys = KvHeads(axis, units * unit, unit, 2 * units, piece=piece)
    assert keys.pieces(die) == [piece] * (pieces * len(keys.units(die)))
    with pytest.raises(ValueError, match=f"piece = {unit + 1}: must be a part of the {unit} of a unit"):
        replace(cut, piece=unit + 1)


@given(DIES, AXES)
def test_what_has_no_units_is_one_piece(die: DiePlace, axis: Along) -> None:
    for dim in (Tokens(axis), Features(axis, 6), KvHeads(axis, 6, 1, 6)):
        length = len(dim.part(die))
        assert dim.pieces(die) == ([length] if length else [])
    two = Features(None, 16, 8)
    assert (two.pieces(die), replace(two, piece=4).pieces(die)) == ([8, 8], [4, 4, 4, 4])
    assert replace(two, piece=4).uncut == two.uncut


def test_slots_of_a_ring_decide_who_has_which_tokens() -> None:
    def starts(algorithm: Algorithm) -> list[int]:
        die = DiePlace(1, 4, 0, 0, algorithm, TileShape(2, 6))
        return [Tokens("row").part(die.at("row", col)).start for col in range(4)]

    assert starts("chain") == [0, 3, 6, 9]
    assert starts("ring") == [0, 9, 3, 6]  # the ring is 0, 2, 3, 1
