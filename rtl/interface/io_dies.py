"""Names of the IO dies of a package, as the bench and software see them."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.specs import SystemSpec

__all__ = ["io_die_names"]


def io_die_names(system: SystemSpec) -> dict[tuple[int, Literal["west", "east"]], str]:
    """Names of the IO dies by die row, counted from 0, and end of the row; the prefixes of their AXI ports."""
    package = system.package
    return {(row, side): f"io_{side}_{row}" for row in range(package.rows) for side in package.io_sides}
