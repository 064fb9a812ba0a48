"""Cycle terms of the network-on-package, which calibration measures."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

MOST_CYCLES = 1024.0
"""Cycles above which no term is believed: a unit that takes so long for one step is none of this design."""

FIT_SLACK = 0.01
"""Cycles by which a fitted term may lie below its physical bound: what least squares cannot explain ends up there."""

_LEAST = "least"


def _cycles(design: float, least: float) -> Any:
    """A term with the value of the design, and the least value that hardware can have."""
    return field(default=design, metadata={_LEAST: least})


@dataclass(frozen=True)
class NopTerms:
    """Cycles of the network-on-package's parts. The defaults follow from the design with adders of one stage.

    What crosses a link takes a cycle at least, since links have registers. No other part acts before its cause; a
    cycle below 0 is left to the fit, which finds some terms only as the difference of others.

    Attributes
    ----------
    hop_cycles
        From a flit's departure on a link to its arrival at the engine at the other end: one link and one router.
    bypass_cycles
        From a flit's departure on a link to its departure on the next link, straight through the router in between,
        if it leaves no copy there.
    link_cycles
        A flit occupies a link.
    add_cycles
        Extra time of a flit at a die that adds to it: the stages of the adders.
    store_cycles
        From the arrival of a word's last flit to the departure of its first one, through the scratchpad.
    post_cycles
        From the arrival of a chunk's last flit in the scratchpad to the semaphore of the unit that waits for it.
    command_cycles
        From the last flit of a unit's command until its next command waits for its semaphores.
    send_cycles
        From the semaphores of a sending command to its first flit out of the scratchpad.
    pass_cycles
        From the semaphores of a command to the first flit that it takes from a router or passes on.
    hand_cycles
        From a sum to its arrival at the die's other receive unit.
    """

    __pydantic_config__: ClassVar[dict[str, str | bool]] = {"extra": "forbid", "strict": True}

    hop_cycles: float = _cycles(1.0, 1.0 - FIT_SLACK)
    bypass_cycles: float = _cycles(1.0, 1.0 - FIT_SLACK)
    link_cycles: float = _cycles(1.0, 1.0 - FIT_SLACK)
    add_cycles: float = _cycles(1.0, -1.0)
    store_cycles: float = _cycles(4.0, -1.0)
    post_cycles: float = _cycles(2.0, -1.0)
    command_cycles: float = _cycles(1.0, -1.0)
    send_cycles: float = _cycles(3.0, -1.0)
    pass_cycles: float = _cycles(1.0, -1.0)
    hand_cycles: float = _cycles(0.0, -1.0)

    def check(self) -> None:
        """Raise ``ValueError``, in one line, if a term is no number or beyond what hardware can do."""
        for term in fields(self):
            value, least = getattr(self, term.name), term.metadata[_LEAST]
            if not least <= value <= MOST_CYCLES:
                raise ValueError(f"{term.name} = {value}: must be from {least:g} to {MOST_CYCLES:g} cycles")
