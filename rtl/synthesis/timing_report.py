"""What OpenSTA reports of paths, read from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["PathStep", "TimingPath", "parse_loops", "parse_paths", "sections"]

_SECTION = re.compile(r"^=== (\S+)\n", re.MULTILINE)
_STEP = re.compile(r"^ *(-?[\d.]+) +(-?[\d.]+) +[v^] (\S+) \((\S+)\)$", re.MULTILINE)
_SLACK = re.compile(r"^ *(-?[\d.]+) +slack \(", re.MULTILINE)
_SETUP = re.compile(r"^ *(-?[\d.]+) +-?[\d.]+ +library setup time$", re.MULTILINE)
_ARRIVAL = re.compile(r"^ *(-?[\d.]+) +data arrival time$", re.MULTILINE)
_PATH = re.compile(r"^Startpoint: ", re.MULTILINE)


@dataclass(frozen=True)
class PathStep:
    """A pin of a path.

    Attributes
    ----------
    pin
        Its name, with ``/`` between the instances.
    cell
        Cell that it belongs to; ``in`` or ``out`` for a port.
    delay
        From the pin before it, ps.
    """

    pin: str
    cell: str
    delay: float

    @property
    def instance(self) -> str:
        """The instance that the pin belongs to; the port itself for a port."""
        return self.pin.rpartition("/")[0] or self.pin


@dataclass(frozen=True)
class TimingPath:
    """A path.

    Attributes
    ----------
    steps
        Its pins, from the clock pin or port where it starts to the pin or port where it ends.
    arrival
        Time from the clock edge to the end of the path, ps.
    setup
        Time that the end needs before the next edge, ps.
    slack
        What is left of the period, ps.
    """

    steps: tuple[PathStep, ...]
    arrival: float
    setup: float
    slack: float

    def inside(self, place: str) -> TimingPath:
        """The path in a design where its block is the instance ``place``."""
        return replace(self, steps=tuple(replace(step, pin=f"{place}/{step.pin}") for step in self.steps))


def sections(text: str) -> dict[str, str]:
    """The parts of a printed text by the names in the lines ``=== name`` before them."""
    parts = _SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parse_paths(text: str) -> Iterator[TimingPath]:
    """The paths in what ``report_checks -format full -fields {input_pin}`` prints, in its order."""
    for start in [found.end() for found in _PATH.finditer(text)]:
        following = _PATH.search(text, start)
        body = text[start : following.start() if following else len(text)]
        slack, arrival, setup = _SLACK.search(body), _ARRIVAL.search(body), _SETUP.search(body)
        if slack is None or arrival is None:
            continue  # not constrained
        steps = [
            PathStep(step[3], step[4], float(step[1])) for step in _STEP.finditer(body, 0, arrival.start())
        ]
        yield TimingPath(
            steps=tuple(steps),
            arrival=float(arrival[1]),
            setup=-float(setup[1]) if setup else 0.0,
            slack=float(slack[1]),
        )


def parse_loops(text: str) -> list[list[str]]:
    """Pins of each combinational loop in what ``check_setup -verbose -loops`` prints."""
    loops: list[list[str]] = [[]]
    for line in text.splitlines():
        name = line.strip()
        if name.startswith("---"):
            loops.append([])
        elif line.startswith("  ") and not name.startswith("|"):
            loops[-1].append(name)
    return [loop for loop in loops if loop]
