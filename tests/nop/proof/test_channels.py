"""Deadlock: dimension-ordered routes have no cycle of waits on any mesh, and a cycle is found where there is one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import pairwise, product
from typing import Literal

import networkx as nx
import pytest

from chiplet.machine.memory_plane import io_place
from chiplet.machine.specs import PackageSpec
from nop.proof.channels import (
    channel_dependencies,
    dependency_cycle,
    hardware_dependencies,
    request_dependencies,
)
from nop.topology import Link, Mesh

MESHES = [(1, 1), (1, 2), (1, 7), (5, 1), (2, 2), (2, 3), (3, 2), (4, 4), (5, 3), (8, 8)]


@pytest.mark.parametrize(("rows", "cols"), MESHES)
def test_dimension_ordered_routes_have_no_cycle(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    graph = channel_dependencies(mesh)
    links = 2 * (rows * (cols - 1) + cols * (rows - 1))
    assert graph.number_of_nodes() == links + 2 * mesh.nodes
    assert dependency_cycle(graph) == []


def test_a_ring_of_routes_has_a_cycle() -> None:
    mesh = Mesh(2, 2)
    ring = [0, 1, 3, 2]

    def clockwise(source: int, target: int) -> list[Link]:
        start = ring.index(source)
        steps = (ring.index(target) - start) % len(ring)
        return [(ring[(start + n) % 4], ring[(start + n + 1) % 4]) for n in range(steps)]

    cycle = dependency_cycle(channel_dependencies(mesh, clockwise))
    assert sorted(cycle) == [(0, 1, "link"), (1, 3, "link"), (2, 0, "link"), (3, 2, "link")]


def test_routes_that_turn_as_they_like_have_a_cycle() -> None:
    mesh = Mesh(2, 2)

    def mixed(source: int, target: int) -> list[Link]:
        if (source, target) in {(0, 3), (3, 0)}:
            return mesh.route(source, target)
        row, col = divmod(source, 2)
        target_row, target_col = divmod(target, 2)
        corner = target_row * 2 + col
        path = [source, *([corner] if row != target_row else []), *([target] if col != target_col else [])]
        return list(pairwise(path))

    assert dependency_cycle(channel_dependencies(mesh, mixed))


def memory_pairs(package: PackageSpec) -> tuple[Mesh, list[tuple[int, int]]]:
    """Routers of a package with IO dies around it, and each die with the IO die that serves it."""
    mesh = Mesh(package.rows + 2, package.cols + 2)

    def node(row: int, col: int) -> int:
        return (row + 1) * mesh.cols + col + 1

    def server(row: int, col: int) -> int:
        ends = {
            "west": (row, -1),
            "east": (row, package.cols),
            "north": (-1, col),
            "south": (package.rows, col),
        }
        return node(*ends[io_place(package, row, col).side])

    return mesh, [(node(row, col), server(row, col)) for row, col in package.places()]


@pytest.mark.parametrize("io", ["west", "east", "both", "all"])
@pytest.mark.parametrize(("rows", "cols"), [*product(range(1, 6), repeat=2)])
def test_requests_and_answers_of_the_memory_plane_have_no_cycle(
    rows: int, cols: int, io: Literal["west", "east", "both", "all"]
) -> None:
    mesh, pairs = memory_pairs(PackageSpec(rows=rows, cols=cols, io=io))
    graph = request_dependencies(mesh, pairs)
    assert dependency_cycle(graph) == []
    # Two local channels for each die and IO die, and two for each link: a die has one towards its IO die.
    io_dies = len({server for _, server in pairs})
    links = len({link for pair in pairs for link in mesh.route(*pair)})
    assert links >= rows * cols
    assert graph.number_of_nodes() == 2 * (rows * cols + io_dies + links)


def test_a_die_that_serves_its_own_server_makes_a_cycle() -> None:
    """The graph sees what the memory plane avoids: answers that wait for requests."""
    assert dependency_cycle(request_dependencies(Mesh(1, 3), [(0, 2), (2, 0)]))


def test_answers_in_the_way_of_requests_make_a_cycle() -> None:
    """Servers in the middle of each other's ways."""
    assert dependency_cycle(request_dependencies(Mesh(1, 4), [(0, 2), (3, 1)]))


SIDES = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}
OPPOSITE = {"north": "south", "east": "west", "south": "north", "west": "east"}
ROW_FIRST = {
    "local_in": ["local_out", *(f"{side}_out" for side in SIDES)],
    "north_in": ["local_out", "south_out", "engine_north_out"],
    "south_in": ["local_out", "north_out", "engine_south_out"],
    "east_in": ["local_out", "north_out", "south_out", "west_out", "engine_east_out"],
    "west_in": ["local_out", "north_out", "south_out", "east_out", "engine_west_out"],
    **{f"engine_{side}_in": [f"{side}_out"] for side in SIDES},
}


def neighbours(rows: int, cols: int) -> dict[tuple[Hashable, str], tuple[Hashable, str]]:
    return {
        ((row, col), side): ((row + down, col + right), OPPOSITE[side])
        for row, col in product(range(rows), range(cols))
        for side, (down, right) in SIDES.items()
        if 0 <= row + down < rows and 0 <= col + right < cols
    }


def hardware(
    rows: int, cols: int, turns: dict[str, list[str]] = ROW_FIRST, passes: Iterable[tuple[str, str]] = ()
) -> nx.DiGraph:
    routers = product(range(rows), range(cols))
    return hardware_dependencies(neighbours(rows, cols), routers, turns, passes)


@pytest.mark.parametrize(("rows", "cols"), [*MESHES, *product(range(1, 6), repeat=2)])
def test_what_routers_and_engines_do_has_no_cycle(rows: int, cols: int) -> None:
    graph = hardware(rows, cols, passes=OPPOSITE.items())
    assert dependency_cycle(graph) == []
    links = 2 * (rows * (cols - 1) + cols * (rows - 1))
    # Two channels of each die, and for each link itself, the way into it from an engine, and the way out of it to one.
    assert len([name for _, name in graph if name in {f"{side}_out" for side in SIDES}]) == links
    assert len([name for _, name in graph if name.startswith("engine_") and name.endswith("_out")]) >= links


def test_a_turn_from_columns_to_rows_makes_a_cycle() -> None:
    turns = {**ROW_FIRST, "north_in": [*ROW_FIRST["north_in"], "east_out"]}
    assert dependency_cycle(hardware(1, 4, turns)) == dependency_cycle(hardware(4, 1, turns)) == []
    both = {**turns, "south_in": [*ROW_FIRST["south_in"], "west_out"]}
    assert dependency_cycle(hardware(2, 2, both))


def test_engines_that_send_back_what_they_take_make_a_cycle() -> None:
    back = [*OPPOSITE.items(), ("east", "east"), ("west", "west")]
    assert dependency_cycle(hardware(1, 3, passes=back))
    assert dependency_cycle(hardware(3, 1, passes=back)) == []
