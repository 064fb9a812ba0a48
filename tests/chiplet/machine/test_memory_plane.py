"""Memory plane: who serves whom, and closed forms of sharing, hops and rates, for one mesh and for many."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from itertools import product

import numpy as np
import pytest

from chiplet.machine.memory_plane import (
    IoPlace,
    io_links,
    io_place,
    io_places,
    mean_hops,
    memory_plane,
    most_dies,
)
from chiplet.machine.specs import LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from chiplet.vectorized.meshes import Meshes
from nop.topology import Mesh
from tests.chiplet.machines import package

SIDES = range(1, 8)


@pytest.mark.parametrize("io", ["west", "east", "both", "all"])
def test_closed_forms_are_those_of_the_single_dies(io: str) -> None:
    for rows, cols in product(SIDES, repeat=2):
        spec = PackageSpec.model_validate({"rows": rows, "cols": cols, "io": io})
        places = [(row, col, io_place(spec, row, col)) for row, col in spec.places()]
        links = [io_links(spec, row, col, place.side) for row, col, place in places]
        shared = Counter(place for _, _, place in places)
        mesh = Mesh(rows, cols)
        assert most_dies(spec, mesh) == max(shared.values()) == max(links)
        assert mean_hops(spec, mesh) == pytest.approx(sum(links) / mesh.nodes)
        assert set(io_places(spec)) == set(shared)


def test_ties_go_round_the_corners() -> None:
    spec = PackageSpec(rows=4, cols=4, io="all")
    corners = [io_place(spec, row, col) for row, col in ((0, 0), (0, 3), (3, 3), (3, 0))]
    assert corners == [IoPlace("west", 0), IoPlace("north", 3), IoPlace("east", 3), IoPlace("south", 0)]
    assert io_place(PackageSpec(rows=3, cols=3, io="all"), 1, 1) == IoPlace("west", 1)
    assert Counter(io_place(spec, *place).side for place in spec.places()) == dict.fromkeys(
        ("west", "north", "east", "south"), 4
    )
    assert len(io_places(spec)) == 12


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
