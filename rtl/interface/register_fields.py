"""Fields of a die's registers: their bits, who writes them, and what they hold after a reset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from rtl.interface.error_codes import CODE_BITS, ERROR_COUNT_BITS, ERROR_UNITS, UNIT_BITS
from rtl.interface.isa import COUNT_BITS, MEMORY_ADDRESS_BITS, SEMAPHORES
from rtl.interface.link_status import LINK_STATUS, PENDING_BITS
from rtl.interface.register_map import SIDES

__all__ = [
    "LINK_FIELDS",
    "REGISTER_BITS",
    "REGISTER_FIELDS",
    "Access",
    "RegisterField",
    "fields_of",
    "register_access",
]

REGISTER_BITS = 32


class Access(Enum):
    """What software can do with a field."""

    READ = "read"
    WRITE = "write"
    """A write has an effect in its cycle; the field reads as 0."""
    READ_WRITE = "read, write"
    """It holds what was written."""
    CLEARED = "read, cleared by a write"
    """A write to the register, of whatever value, clears it."""


@dataclass(frozen=True)
class RegisterField:
    """A field of a register.

    Attributes
    ----------
    name
        Its name.
    bit, width
        Its lowest bit, and its bits.
    access
        What software can do with it.
    use
        What it is.
    reset
        What it holds after a reset; None if that is what the hardware shows then.
    engine
        Whether only a die with an engine has it: without one it reads as 0, and a write does nothing.
    """

    name: str
    bit: int
    width: int
    access: Access
    use: str
    reset: int | None = 0
    engine: bool = False

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.bit


def _link_field(name: str, use: str, access: Access = Access.READ, reset: int | None = 0) -> RegisterField:
    field = LINK_STATUS[name]
    return RegisterField(name, field.offset, field.width, access, use, reset, engine=True)


LINK_FIELDS = (
    _link_field("up", "the link runs", reset=None),
    _link_field(
        "dead",
        "the link has made no progress for `link.timeout_cycles`, and has not started anew since",
    ),
    _link_field("lanes", "the lanes it listens to: 0 all, 1 the lower half, 2 the upper half", reset=None),
    _link_field(
        "timed_out", "event: the link has been dead; a write to the register clears it", Access.CLEARED
    ),
    _link_field(
        "restarted",
        "event: the link ran and has ceased to, as the other side was reset, or was dead; a write clears it",
        Access.CLEARED,
    ),
    _link_field(
        "pending",
        "flits taken since the start and not known to have left the other side's buffer, "
        f"at most {(1 << PENDING_BITS) - 1}",
        reset=None,
    ),
    _link_field(
        "lost",
        f"flits pending whenever the link ceased to run, since the reset of this die, "
        f"at most {(1 << LINK_STATUS['lost'].width) - 1:,}",
    ),
)
"""Fields of the register of a link. Those without a reset value follow the link, which starts by itself."""

REGISTER_FIELDS: Mapping[str, tuple[RegisterField, ...]] = {
    "control": (RegisterField("start", 0, 1, Access.WRITE, "1: start the program, unless one runs"),),
    "status": (
        RegisterField("running", 0, 1, Access.READ, "a program runs"),
        RegisterField("done", 1, 1, Access.READ, "the program has ended"),
        RegisterField("error", 2, 1, Access.READ, "the program has ended with an error"),
        *(
            RegisterField(
                f"failed_{side}",
                4 + number,
                1,
                Access.READ,
                f"the link of the collective plane in the {side} has failed",
                engine=True,
            )
            for number, side in enumerate(SIDES)
        ),
        RegisterField(
            "failed_memory",
            4 + len(SIDES),
            1,
            Access.READ,
            "a link of the memory plane has failed",
            engine=True,
        ),
    ),
    "program_address": (
        RegisterField("word", 0, MEMORY_ADDRESS_BITS, Access.READ_WRITE, "memory word of the first command"),
    ),
    "commands": (RegisterField("count", 0, COUNT_BITS, Access.READ_WRITE, "commands of the program"),),
    "post": (
        RegisterField(
            "semaphores", 1, 31, Access.WRITE, "semaphores 1 to 31, each posted if its bit is 1", engine=True
        ),
    ),
    "post_high": (
        RegisterField(
            "semaphores",
            0,
            SEMAPHORES - 32,
            Access.WRITE,
            f"semaphores 32 to {SEMAPHORES - 1}, each posted if its bit is 1",
            engine=True,
        ),
    ),
    "error": (
        RegisterField("code", 0, CODE_BITS, Access.READ, "code of the first error; 0: none"),
        RegisterField("unit", 8, UNIT_BITS, Access.READ, "unit of the first error"),
        RegisterField("count", 16, ERROR_COUNT_BITS, Access.READ, "sources that have reported an error"),
    ),
    "waiting": tuple(
        RegisterField(
            unit,
            number,
            1,
            Access.READ,
            f"the {unit.replace('_', ' ')} unit waits for semaphores",
            engine=unit.startswith(("send_", "receive_")),
        )
        for number, unit in enumerate(ERROR_UNITS)
        if number
    ),
    "memory_last": (
        RegisterField(
            "word",
            0,
            MEMORY_ADDRESS_BITS,
            Access.READ_WRITE,
            "last memory word that the program may use",
            reset=(1 << MEMORY_ADDRESS_BITS) - 1,
        ),
    ),
    "watchdog": (
        RegisterField(
            "cycles", 0, 32, Access.READ_WRITE, "cycles without progress that are an error; 0: none are"
        ),
    ),
    **{f"{plane}_{side}": LINK_FIELDS for plane in ("link", "memory_link") for side in SIDES},
}
"""Fields of every register of :data:`rtl.interface.register_map.REGISTERS`, from the lowest bit on."""


def fields_of(name: str, *, engine: bool) -> tuple[RegisterField, ...]:
    """Fields of a register of a die with or without an engine; none if that die does not have the register."""
    return tuple(field for field in REGISTER_FIELDS[name] if engine or not field.engine)


def register_access(fields: Iterable[RegisterField]) -> str:
    """What software can do with a register: ``read``, ``write``, or both."""
    accesses = {field.access for field in fields}
    return accesses.pop().value if len(accesses) == 1 else Access.READ_WRITE.value
