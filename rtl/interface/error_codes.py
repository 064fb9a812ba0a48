"""What can go wrong on a die, and where: the codes in its error register."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = [
    "CAUSES",
    "CODE_BITS",
    "ERROR_COUNT_BITS",
    "ERROR_UNITS",
    "UNIT_BITS",
    "ErrorCode",
    "error_text",
]

CODE_BITS = 4
UNIT_BITS = 5
ERROR_COUNT_BITS = 8
"""Bits of the first error's code and unit, and of the number of errors, in the error register."""


class ErrorCode(IntEnum):
    """Cause of an error; 0 is none."""

    COMMAND = 1
    MEMORY = 2
    SCRATCHPAD = 3
    BUFFER = 4
    SEMAPHORE = 5
    WATCHDOG = 6
    FAULTY = 7
    MISSING = 8


CAUSES: Mapping[ErrorCode, str] = {
    ErrorCode.COMMAND: "read a word that is not a command of this die",
    ErrorCode.MEMORY: "wants a memory word beyond the last one",
    ErrorCode.SCRATCHPAD: "wants a scratchpad word beyond the last one",
    ErrorCode.BUFFER: "wants a place beyond the end of its buffer",
    ErrorCode.SEMAPHORE: "counted a semaphore beyond what it holds",
    ErrorCode.FAULTY: "asked for a memory word that the memory failed to read or write (SLVERR)",
    ErrorCode.MISSING: "asked for a memory word at an address without a memory (DECERR)",
    ErrorCode.WATCHDOG: "saw no progress for as many cycles as the watchdog allows",
}
"""What the unit of an error did, as a predicate."""

ERROR_UNITS = (
    "command_processor",
    "load",
    "feed_activation",
    "feed_weight",
    "feed_sums",
    "array",
    "drain",
    "vector",
    "store",
    *(
        f"{operation}_{side}"
        for operation in ("send", "receive")
        for side in ("north", "east", "south", "west")
    ),
)
"""Units by their numbers in the error register."""


def error_text(code: int, unit: int) -> str:
    """What happened, in words: the unit, and what it did."""
    name = ERROR_UNITS[unit].replace("_", " ") if unit < len(ERROR_UNITS) else f"number {unit}"
    if unit:
        name = f"{name} unit"
    cause = CAUSES[ErrorCode(code)] if code in set(ErrorCode) else f"reports error code {code}"
    return f"{name} {cause}"
