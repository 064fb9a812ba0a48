"""Options of the commands that put link adapters between routers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hecaton.terminal.values import integer_option

if TYPE_CHECKING:
    from chiplet.machine.specs import SystemSpec
    from cosim.records.links import FaultyLinks


@dataclass(frozen=True)
class FaultOptions:
    """Options that choose faults on the wires of links."""

    flips: Annotated[
        float,
        typer.Option("--flips", metavar="CHANCE", help="Chance that a frame on a link has a wrong bit."),
    ] = 0.0
    burst: Annotated[
        int,
        integer_option("--burst", "Wires above the wrong bit that may flip as well.", low=0, high=8),
    ] = 0
    stalls: Annotated[
        float,
        typer.Option(
            "--stalls",
            metavar="CHANCE",
            help="Chance in a cycle that a link stops for 1 to 16 cycles.",
        ),
    ] = 0.0
    dead_link: Annotated[
        list[str] | None,
        typer.Option(
            "--dead-link",
            metavar="FROM:TO@CYCLE",
            help="Link, by its nodes, that dies so many cycles after the run may use it. Can be repeated.",
        ),
    ] = None

    def of(self, system: SystemSpec) -> FaultyLinks:
        """Return the links of ``system`` with these faults.

        Raises ``ValueError`` of one line for a value that is out of range.
        """
        from cosim.records.links import Death, FaultyLinks

        deaths = []
        for text in self.dead_link or ():
            match = re.fullmatch(r"(\d{1,6}):(\d{1,6})@(\d{1,9})", text, re.ASCII)
            if match is None:
                raise ValueError(f"--dead-link {text}: must be FROM:TO@CYCLE, as in --dead-link 0:1@500")
            source, target, cycle = map(int, match.groups())
            deaths.append(Death(source=source, target=target, cycle=cycle))
        if self.burst and not self.flips:
            raise ValueError(f"--burst {self.burst}: needs --flips, which say how often")
        try:
            return FaultyLinks.of(
                system, flips=self.flips, burst=self.burst, stalls=self.stalls, deaths=deaths
            )
        except ValueError as error:
            raise ValueError(f"--{error}") from None


@dataclass(frozen=True)
class LinkOptions(FaultOptions):
    """Options that choose links, and faults on their wires."""

    links: Annotated[
        bool,
        typer.Option(
            "--links",
            help="Link adapters between the routers, as the section link configures them, instead of wires.",
        ),
    ] = False

    def chosen(self, system: SystemSpec) -> FaultyLinks | None:
        """Return the links of ``system`` with these faults, or None if they are wires.

        Raises ``ValueError`` of one line for a fault without links, or a value that is out of range.
        """
        if self.links:
            return self.of(system)
        for name in ("flips", "burst", "stalls", "dead_link"):
            if value := getattr(self, name):
                value = value[0] if isinstance(value, list) else value
                raise ValueError(f"--{name.replace('_', '-')} {value}: needs --links")
        return None
