"""The units of a die as traces and views show them: their names, and the signals of their activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtl.interface.isa import Opcode, Side

__all__ = [
    "ENGINE_UNITS",
    "FETCH",
    "OBSERVED_UNITS",
    "RUNNING",
    "VECTOR_UNIT",
    "Unit",
    "counter_signal",
    "observed_signals",
    "units",
]

RUNNING = "registers.running"
"""High from the cycle after the start to the end of the program, in step with the counter ``cycles``."""

FETCH = "command_processor.request"
"""Stream on which the command processor asks for the words of the program."""


def counter_signal(counter: str) -> str:
    """The signal that a counter counts."""
    return f"registers.{counter}"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of the die.

    Attributes
    ----------
    name
        Name in traces and views.
    path
        Hierarchical name of its module inside the die.
    opcode, side
        The commands that it carries out, which it takes from its port ``command``. A unit of the engine has a side.
    busy
        Signal inside the die that is high in its busy cycles.
    stalls
        Signals of its stalled cycles, by what it waits for. For units that are busy from the beginning of a command
        to its end, these cycles are busy ones, too.
    """

    name: str
    path: str
    opcode: Opcode
    busy: str
    stalls: Mapping[str, str] = field(default_factory=dict)
    side: Side | None = None

    def carries_out(self, opcode: Opcode, fields: Mapping[str, int]) -> bool:
        """Whether a command is for this unit."""
        return opcode == self.opcode and (self.side is None or fields["side"] == self.side)

    @property
    def commands(self) -> str:
        """Stream of its commands."""
        return f"{self.path}.command"


OBSERVED_UNITS = (
    Unit(
        name="weight loader",
        path="array_unit.weight_loader",
        opcode=Opcode.GEMM,
        busy=counter_signal("weight_reads"),
        stalls={"semaphore": counter_signal("array_stall_semaphore")},
    ),
    Unit(
        name="activation streamer",
        path="array_unit.activation_streamer",
        opcode=Opcode.GEMM,
        busy=counter_signal("array_busy"),
        stalls={"weights": counter_signal("array_stall_weights")},
    ),
    Unit(
        name="load unit",
        path="load_unit",
        opcode=Opcode.LOAD,
        busy=counter_signal("load_busy"),
        stalls={
            "semaphore": counter_signal("load_stall_semaphore"),
            "memory request": counter_signal("load_stall_request"),
        },
    ),
    *(
        Unit(
            name=f"{name.replace('_', ' ')} unit",
            path=f"{name}_unit",
            opcode=opcode,
            busy=counter_signal(f"{name}_busy"),
            stalls={"semaphore": counter_signal(f"{name}_stall_semaphore")},
        )
        for name, opcode in (
            ("feed_activation", Opcode.FEED_ACTIVATION),
            ("feed_weight", Opcode.FEED_WEIGHT),
            ("feed_sums", Opcode.FEED_SUMS),
            ("drain", Opcode.DRAIN),
        )
    ),
    Unit(
        name="store unit",
        path="store_unit",
        opcode=Opcode.STORE,
        busy=counter_signal("store_busy"),
        stalls={
            "semaphore": counter_signal("store_stall_semaphore"),
            "memory request": counter_signal("store_stall_request"),
        },
    ),
)
"""The units of every die that carry out commands, in the order in which they are shown."""


def _engine_unit(opcode: Opcode, side: Side) -> Unit:
    operation, direction = opcode.name.lower(), side.name.lower()
    signal = f"engine.{operation}_{direction}"
    waits = {"semaphore": f"{signal}_stall_semaphore"}
    if opcode == Opcode.SEND:
        waits["link"] = f"{signal}_stall_link"
    return Unit(
        name=f"{operation} {direction}",
        path=signal,
        opcode=opcode,
        busy=f"{signal}_flits",
        stalls=waits,
        side=side,
    )


ENGINE_UNITS = tuple(_engine_unit(opcode, side) for opcode in (Opcode.SEND, Opcode.RECEIVE) for side in Side)
"""The additional units of a die with an engine. They are busy in cycles in which a flit leaves or enters them."""


VECTOR_UNIT = Unit(
    name="vector unit",
    path="vector_unit",
    opcode=Opcode.VECTOR,
    busy=counter_signal("vector_busy"),
    stalls={
        "semaphore": counter_signal("vector_stall_semaphore"),
        "operands": counter_signal("vector_stall_read"),
        "results": counter_signal("vector_stall_write"),
    },
)
"""The vector unit, of a die that has one."""


def units(*, engine: bool, vector: bool = False) -> tuple[Unit, ...]:
    """The units of a die with or without an engine and a vector unit."""
    return (
        *OBSERVED_UNITS,
        *((VECTOR_UNIT,) if vector else ()),
        *(ENGINE_UNITS if engine else ()),
    )


def observed_signals(*, engine: bool, vector: bool = False) -> list[str]:
    """The one-bit signals inside a die from which a trace is made."""
    observed = units(engine=engine, vector=vector)
    streams = [FETCH, *(unit.commands for unit in observed)]
    return [
        RUNNING,
        *(signal for unit in observed for signal in (unit.busy, *unit.stalls.values())),
        *(f"{stream}__{wire}" for stream in streams for wire in ("valid", "ready")),
    ]
