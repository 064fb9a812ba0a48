"""Token tiles are placed without conflict, in the order of the data, in exactly the time of the formula."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.timeline.placed_tiles import AxisLoad, OperationLoad, Parts, Piece, place_tiles, tile_groups

SECONDS = st.one_of(st.just(0.0), st.floats(1e-9, 10.0))


def parts(name: str) -> st.SearchStrategy[Parts]:
    return st.lists(SECONDS, max_size=2).map(
        lambda values: tuple((f"{name} {place}", value) for place, value in enumerate(values))
    )


AXES = st.builds(AxisLoad, parts("before"), parts("after"))
LOADS = st.builds(
    OperationLoad,
    st.integers(1, 40),
    parts("gemm"),
    parts("vector"),
    st.dictionaries(st.sampled_from(["row", "column", "ring"]), AXES, max_size=3),
)


def formula(load: OperationLoad, overlap: bool) -> float:
    axes = [axis.seconds for axis in load.axes.values()]
    every = load.array + load.vector + sum(axes)
    if not overlap:
        return every
    busiest = max(load.array, load.vector, *axes, 0.0)
    return busiest + (every - busiest) / load.tiles


@given(LOADS, st.booleans())
def test_the_placement_takes_the_time_of_the_formula(load: OperationLoad, overlap: bool) -> None:
    seconds, pieces = place_tiles(load, overlap=overlap)
    assert seconds == pytest.approx(formula(load, overlap), rel=1e-12)
    slack = 1e-9 * seconds
    by_axis: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        assert -slack <= piece.start <= piece.end <= seconds + slack
        by_axis[piece.axis].append(piece)
    for found in by_axis.values():
        found.sort(key=lambda piece: piece.start)
        assert all(one.end <= other.start + slack for one, other in itertools.pairwise(found))
    wanted = {"array": load.array, "vector": load.vector}
    wanted |= {axis: one.seconds for axis, one in load.axes.items()}
    for axis, busy in wanted.items():
        assert sum(piece.seconds for piece in by_axis[axis]) == pytest.approx(busy, rel=1e-9, abs=1e-12)


@given(LOADS, st.booleans())
def test_a_tile_is_gathered_before_its_gemms_and_sent_after_them(load: OperationLoad, overlap: bool) -> None:
    seconds, pieces = place_tiles(load, overlap=overlap)
    slack = 1e-9 * seconds
    for tile, count in tile_groups(load.tiles):
        if count > 1:  # drawn in one piece
            continue
        own = [piece for piece in pieces if piece.tile == tile]
        before = [piece.end for piece in own if piece.name.startswith("before")]
        gemms = [piece for piece in own if piece.axis == "array"]
        vectors = [piece for piece in own if piece.axis == "vector"]
        after = [piece.start for piece in own if piece.name.startswith("after")]
        steps = [
            max(before, default=0.0),
            *(time for piece in (*gemms, *vectors) for time in (piece.start, piece.end)),
            min(after, default=seconds),
        ]
        assert all(one <= other + slack for one, other in itertools.pairwise(steps))


@given(st.integers(1, 100))
def test_every_tile_is_in_one_group(tiles: int) -> None:
    found = [tile + place for tile, count in tile_groups(tiles) for place in range(count)]
    assert found == list(range(tiles))


def test_without_overlap_one_resource_works_at_a_time() -> None:
    load = OperationLoad(
        9,
        (("gemm", 3.0),),
        (("vector", 2.0),),
        {"row": AxisLoad((("before", 1.0),)), "column": AxisLoad((), (("after", 4.0),))},
    )
    seconds, pieces = place_tiles(load, overlap=False)
    pieces.sort(key=lambda piece: piece.start)
    assert seconds == pytest.approx(10)
    assert all(one.end <= other.start + 1e-12 for one, other in itertools.pairwise(pieces))
