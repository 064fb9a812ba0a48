"""Names of the IO dies of a package, as the bench and software see them, and their places on the mesh of routers."""

from __future__ import annotations

from chiplet.machine.memory_plane import IoPlace, io_place, io_places
from chiplet.machine.specs import PackageSpec, SystemSpec

__all__ = ["io_die_names", "io_die_of", "router_place"]


def io_die_names(system: SystemSpec) -> dict[IoPlace, str]:
    """Names of the IO dies by place, the prefixes of their AXI ports: ``io_west_0`` and so on."""
    return {place: _name(place) for place in io_places(system.package)}


def io_die_of(system: SystemSpec, row: int, col: int) -> str:
    """Name of the IO die that serves the die in ``row`` and ``col``, counted from 0."""
    return _name(io_place(system.package, row, col))


def router_place(package: PackageSpec, place: IoPlace) -> tuple[int, int]:
    """Row and column of an IO die among the routers, where those of dies count from 1."""
    return {
        "west": (place.line + 1, 0),
        "east": (place.line + 1, package.cols + 1),
        "north": (0, place.line + 1),
        "south": (package.rows + 1, place.line + 1),
    }[place.side]


def _name(place: IoPlace) -> str:
    return f"io_{place.side}_{place.line}"
