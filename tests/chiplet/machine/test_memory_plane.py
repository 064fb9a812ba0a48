"""Memory plane: who serves whom, and closed forms of sharing, hops and rates, for one mesh and for many."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from itertools import product

import networkx as nx
import numpy as np
import pytest

from chiplet.machine.memory_plane import (
    IoPlace,
    dies_behind,
    io_links,
    io_place,
    io_places,
    mean_hops,
    memory_plane,
    most_dies,
    most_hops,
)
from chiplet.machine.specs import LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from chiplet.vectorized.meshes import Meshes
from nop.topology import Mesh
from tests.chiplet.machines import package

MESHES = [*product(range(1, 10), repeat=2), (1, 31), (31, 2), (13, 17), (32, 32), (31, 7)]


def placed(rows: int, cols: int, io: str) -> tuple[PackageSpec, dict[tuple[int, int], IoPlace]]:
    """A package and the IO die of each die."""
    spec = PackageSpec.model_validate({"rows": rows, "cols": cols, "io": io})
    return spec, {place: io_place(spec, *place) for place in spec.places()}


@pytest.mark.parametrize("io", ["west", "east", "both", "all"])
def test_closed_forms_are_those_of_the_single_dies(io: str) -> None:
    for rows, cols in MESHES:
        spec, places = placed(rows, cols, io)
        links = [io_links(spec, *die, place.side) for die, place in places.items()]
        shared = Counter(places.values())
        mesh = Mesh(rows, cols)
        assert most_dies(spec, mesh) == max(shared.values())
        assert most_hops(spec, mesh) == max(links)
        assert mean_hops(spec, mesh) == pytest.approx(sum(links) / mesh.nodes)
        assert set(io_places(spec)) == set(shared)


def test_io_dies_on_all_sides_share_the_dies_as_evenly_as_whole_numbers_can() -> None:
    for rows, cols in MESHES:
        spec, places = placed(rows, cols, "all")
        even = -(-rows * cols // (2 * (rows + cols)))
        assert max(Counter(places.values()).values()) == even <= min(-(-rows // 2), -(-cols // 2))
        for (row, col), (side, line) in places.items():
            assert line == (row if side in ("west", "east") else col)
            # The nearer end of the line, so no way is longer than half of it.
            links = io_links(spec, row, col, side)
            assert links <= -(-(cols if side in ("west", "east") else rows) // 2)
    assert most_dies(PackageSpec(io="all"), Mesh(32, 32)) == 8


@pytest.mark.parametrize("io", ["west", "both", "all"])
def test_dies_behind_a_die_are_those_whose_requests_pass_it(io: str) -> None:
    steps = {"west": (0, -1), "east": (0, 1), "north": (-1, 0), "south": (1, 0)}
    for rows, cols in ((1, 1), (1, 6), (5, 1), (3, 4), (6, 5)):
        spec, places = placed(rows, cols, io)
        passing: Counter[tuple[int, int, str]] = Counter()
        for (row, col), place in places.items():
            down, right = steps[place.side]
            came_by = next(side for side, step in steps.items() if step == (-down, -right))
            for n in range(1, io_links(spec, row, col, place.side)):
                passing[row + n * down, col + n * right, came_by] += 1
        for row, col in spec.places():
            assert dies_behind(spec, row, col) == {side: passing[row, col, side] for side in steps}


def test_io_dies_on_all_sides_are_never_farther_than_on_one() -> None:
    for rows, cols in MESHES:
        means = [mean_hops(placed(rows, cols, io)[0], Mesh(rows, cols)) for io in ("all", "west")]
        assert means[0] <= means[1]


def least_links(rows: int, cols: int) -> float:
    """Links of all dies with the same most dies for an IO die, by minimum-cost flow."""
    graph = nx.DiGraph()
    graph.add_node("all", demand=rows * cols)
    spec = PackageSpec(rows=rows, cols=cols, io="all")
    for row, col in spec.places():
        graph.add_node((row, col), demand=-1)
        for end in (("west", row), ("east", row), ("north", col), ("south", col)):
            links = io_links(spec, row, col, IoPlace(*end).side)
            graph.add_edge((row, col), end, weight=links, capacity=1)
            graph.add_edge(end, "all", weight=0, capacity=most_dies(spec, Mesh(rows, cols)))
    return float(nx.min_cost_flow_cost(graph))


@pytest.mark.parametrize(("rows", "cols"), [(1, 5), (2, 3), (3, 3), (4, 4), (5, 3), (5, 5), (6, 8), (7, 10)])
def test_ways_are_hardly_longer_than_the_shortest_with_that_sharing(rows: int, cols: int) -> None:
    mesh = Mesh(rows, cols)
    mean = mean_hops(PackageSpec(io="all"), mesh)
    least = least_links(rows, cols) / mesh.nodes
    assert least - 1e-9 <= mean <= 1.07 * least


def test_places_on_all_sides() -> None:
    _, places = placed(4, 4, "all")
    assert [places[0, col] for col in range(4)] == [
        IoPlace("west", 0),
        IoPlace("north", 1),
        IoPlace("north", 2),
        IoPlace("east", 0),
    ]
    assert Counter(places.values()) == dict.fromkeys(places.values(), 1)
    _, places = placed(3, 3, "all")
    assert places[1, 1] == IoPlace("west", 1)
    _, places = placed(1, 3, "all")
    assert [place.side for place in places.values()] == ["north", "north", "north"]


def test_a_word_takes_the_flits_of_its_packets() -> None:
    system = SystemSpec(memory=MemorySpec(word_bytes=32), nop=NopSpec(flit_bits=64))
    plane = memory_plane(system, Mesh(2, 4), direct=True)
    assert (plane.read_flits, plane.word_flits, plane.write_flits, plane.written_flits) == (1, 4, 5, 1)
    assert plane.link_cycles(1, 0) == 4
    assert plane.link_cycles(0, 1) == 5
    assert plane.link_cycles(1, 1) == 6  # the requests of a read and a write
    assert plane.sharing == 2
    # Two dies behind each of four IO dies, at a word of 32 bytes in 4 or 5 cycles of 1 ns.
    assert plane.bytes_per_second() == pytest.approx(4 * 32e9 / 4)
    assert plane.bytes_per_second(written=1.0) == pytest.approx(4 * 32e9 / 5)


def test_slow_links_and_few_reads_in_flight_lower_the_rate() -> None:
    mesh = Mesh(1, 1)
    system = SystemSpec(memory=MemorySpec(word_bytes=32, outstanding=1, latency_cycles=50))
    plane = memory_plane(system, mesh)
    assert plane.bytes_per_second() == pytest.approx(32e9 / (50 + plane.read_cycles(1)))
    narrow = SystemSpec(link=LinkSpec(lanes=1))
    assert memory_plane(narrow, mesh).flits_per_cycle < 0.25
    assert memory_plane(narrow, mesh).bytes_per_second() < 2e9


def test_many_machines_have_the_planes_of_each() -> None:
    system = package()
    rows, cols = np.array([[1.0], [4.0], [5.0]]), np.array([[3.0], [4.0], [2.0]])
    lanes = np.array([1.0, 7.0, 64.0])
    many = system.model_copy(update={"link": system.link.model_copy(update={"lanes": lanes})})
    for io in ("west", "both", "all"):
        asked = many.model_copy(update={"package": PackageSpec.model_validate({"io": io})})
        planes = memory_plane(asked, Meshes(rows, cols))
        found = planes.seconds(1e6, 3e6)
        assert found.shape == (3, 3)
        for row, column in product(range(3), repeat=2):
            link = system.link.model_copy(update={"lanes": int(lanes[column])})
            one = memory_plane(
                asked.model_copy(update={"link": link}), Mesh(int(rows[row, 0]), int(cols[row, 0]))
            )
            assert found[row, column] == one.seconds(1e6, 3e6)
            for field in fields(one):
                value = np.broadcast_to(getattr(planes, field.name), (3, 3))[row, column]
                assert value == getattr(one, field.name), field.name
