"""The units of a die as a reader of a run sees them: what each is called, and the signals that tell what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtl.isa import Opcode

__all__ = ["FETCH", "RUNNING", "UNITS", "Unit", "counter_signal", "observed_signals"]

RUNNING = "registers.running"
"""High from the cycle after the start to the end of the program, in step with the counter ``cycles``."""

FETCH = "command_processor.request"
"""Stream on which the command processor asks for the words of the program."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of the die.

    Attributes
    ----------
    name
        For readers.
    path
        Hierarchical name of its module inside the die.
    opcode
        The command that it carries out; it takes them from its port ``command``.
    busy
        Counter of its busy cycles.
    stalls
        Counters of its stalled cycles, by what it waits for. Cycles of the units that count from their command's
        begin to its end are busy ones too.
    """

    name: str
    path: str
    opcode: Opcode
    busy: str
    stalls: Mapping[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> str:
        """Stream of its commands."""
        return f"{self.path}.command"


UNITS = (
    Unit(
        name="weight loader",
        path="array_unit.weight_loader",
        opcode=Opcode.GEMM,
        busy="weight_reads",
        stalls={"semaphore": "array_stall_semaphore"},
    ),
    Unit(
        name="activation streamer",
        path="array_unit.activation_streamer",
        opcode=Opcode.GEMM,
        busy="array_busy",
        stalls={"weights": "array_stall_weights"},
    ),
    Unit(
        name="load unit",
        path="load_unit",
        opcode=Opcode.LOAD,
        busy="load_busy",
        stalls={"semaphore": "load_stall_semaphore", "memory request": "load_stall_request"},
    ),
    Unit(
        name="store unit",
        path="store_unit",
        opcode=Opcode.STORE,
        busy="store_busy",
        stalls={"semaphore": "store_stall_semaphore", "memory request": "store_stall_request"},
    ),
)
"""The units that carry out commands, in the order in which they are shown."""


def counter_signal(counter: str) -> str:
    """The signal that a counter counts."""
    return f"registers.{counter}"


def observed_signals() -> list[str]:
    """Signals inside a die, of one bit each, that tell all that a trace shows."""
    counters = [counter for unit in UNITS for counter in (unit.busy, *unit.stalls.values())]
    streams = [FETCH, *(unit.commands for unit in UNITS)]
    return [
        RUNNING,
        *map(counter_signal, counters),
        *(f"{stream}__{wire}" for stream in streams for wire in ("valid", "ready")),
    ]
