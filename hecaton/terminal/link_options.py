"""Options of the commands that put link adapters between routers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.options import integer

if TYPE_CHECKING:
    from chiplet.machine.specs import SystemSpec
    from cosim.records.links import FaultyLinks

__all__ = ["Burst", "DeadLink", "Flips", "LinkStalls", "Links", "faulty_links"]

Links = Annotated[
    bool,
    typer.Option("--links", help="Link adapters between the routers, as the section link says; else wires."),
]
Flips = Annotated[
    float, typer.Option("--flips", metavar="CHANCE", help="Chance that a frame on a link has a wrong bit.")
]
Burst = Annotated[
    int, typer.Option("--burst", parser=integer(0, 8), metavar="N", help="Wires above it that may flip, too.")
]
LinkStalls = Annotated[
    float,
    typer.Option(
        "--stalls", metavar="CHANCE", help="Chance in a cycle that a link goes blank for 1 to 16 cycles."
    ),
]
DeadLink = Annotated[
    str | None,
    typer.Option("--dead-link", metavar="FROM:TO@CYCLE", help="Link, by its nodes, that dies in a cycle."),
]


def faulty_links(
    system: SystemSpec, links: bool, flips: float, burst: int, stalls: float, dead_link: str | None
) -> FaultyLinks | None:
    """Links of the options, or None if they are wires. Raises ValueError in one line."""
    from pydantic import ValidationError

    from cosim.records.links import Death, FaultyLinks

    if not links:
        for option, value in (
            ("flips", flips),
            ("burst", burst),
            ("stalls", stalls),
            ("dead-link", dead_link),
        ):
            if value:
                raise ValueError(f"--{option} {value}: needs --links")
        return None
    death = None
    if dead_link is not None:
        match = re.fullmatch(r"(\d{1,6}):(\d{1,6})@(\d{1,9})", dead_link, re.ASCII)
        if match is None:
            raise ValueError(f"--dead-link {dead_link}: must be FROM:TO@CYCLE, as in --dead-link 0:1@500")
        source, target, cycle = map(int, match.groups())
        death = Death(source=source, target=target, cycle=cycle)
    try:
        return FaultyLinks.of(system, flips=flips, burst=burst, stalls=stalls, death=death)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"--{first['loc'][0]} {first['input']}: {first['msg'].lower()}") from None
