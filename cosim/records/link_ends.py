"""What the dies of a package say of their ends of the links: the registers of the link adapters, decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from amaranth.lib import data

from chiplet.machine.base import StrictModel
from chiplet.machine.memory_plane import io_places
from chiplet.machine.specs import PackageSpec
from rtl.interface.link_shape import Lanes
from rtl.interface.link_status import LINK_STATUS
from rtl.interface.register_map import SIDES
from rtl.package.package import link_count

__all__ = ["LinkEnd", "LinkEnds", "link_ends"]

Plane = Literal["collective", "memory"]
PLANES: tuple[Plane, Plane] = ("collective", "memory")


class LinkEnd(StrictModel):
    """A die's end of a link.

    Attributes
    ----------
    row, col
        The die, from 0.
    plane, side
        Which of its links.
    up, dead
        The link runs; it has made no progress for too long.
    lanes
        Lanes that this end listens to.
    timed_out, restarted
        The link has been dead; it ran and has ceased to.
    pending, lost
        Flits taken and not known to have arrived; those that were pending whenever the link ceased to run.
    """

    row: int
    col: int
    plane: Plane
    side: str
    up: bool
    dead: bool
    lanes: Literal["all", "lower", "upper"]
    timed_out: bool
    restarted: bool
    pending: int
    lost: int

    @property
    def healthy(self) -> bool:
        """Whether it runs on all lanes and nothing has gone wrong."""
        return self.up and self.lanes == "all" and not (self.timed_out or self.restarted or self.lost)


class LinkEnds(StrictModel):
    """The dies' ends of the links of a package; each link between dies has two, one to an IO die has one.

    Attributes
    ----------
    ends, up
        All of them, and those that run.
    dead, half_width, timed_out, restarted
        How many are dead, listen to half of the lanes, have been dead, have ceased to run.
    pending, lost
        Flits, see :class:`LinkEnd`, summed.
    unhealthy
        The ends that do not run, or on half of the lanes, or have lost flits, been dead, or ceased to run.
    """

    ends: int
    up: int
    dead: int
    half_width: int
    timed_out: int
    restarted: int
    pending: int
    lost: int
    unhealthy: tuple[LinkEnd, ...]


def link_ends(package: PackageSpec, registers: Sequence[Sequence[int]]) -> LinkEnds:
    """What the registers of each die's links say; a register that is 0 belongs to no link, or to one that never ran."""
    found: list[LinkEnd] = []
    for (row, col), words in zip(package.places(), registers, strict=True):
        places = [(plane, side) for plane in PLANES for side in SIDES]
        for (plane, side), word in zip(places, words, strict=True):
            if not word:
                continue
            fields = data.Const(LINK_STATUS, word)
            names = {Lanes.ALL: "all", Lanes.LOWER: "lower", Lanes.UPPER: "upper"}
            end = {
                **{name: bool(fields[name]) for name in ("up", "dead", "timed_out", "restarted")},
                "lanes": names[Lanes(fields["lanes"])],
                **{name: fields[name] for name in ("pending", "lost")},
            }
            found.append(
                LinkEnd.model_validate({"row": row, "col": col, "plane": plane, "side": side, **end})
            )
    return LinkEnds(
        ends=2 * link_count(package) - len(io_places(package)),
        up=sum(end.up for end in found),
        dead=sum(end.dead for end in found),
        half_width=sum(end.lanes != "all" for end in found),
        timed_out=sum(end.timed_out for end in found),
        restarted=sum(end.restarted for end in found),
        pending=sum(end.pending for end in found),
        lost=sum(end.lost for end in found),
        unhealthy=tuple(end for end in found if not end.healthy),
    )
