"""Addresses and uses of a die's registers and counters, for hardware, software and benches."""

from collections.abc import Mapping

__all__ = [
    "ADDRESS_BITS",
    "COMMANDS",
    "CONTROL",
    "COUNTERS",
    "COUNTER_BITS",
    "ENGINE_COUNTERS",
    "ERROR",
    "LINKS",
    "MEMORY_LAST",
    "POST",
    "POST_HIGH",
    "PROGRAM",
    "REGISTERS",
    "SIDES",
    "SIDE_COUNTERS",
    "STATUS",
    "WAITING",
    "WATCHDOG",
    "counter_address",
]

COUNTER_BITS = 48
ADDRESS_BITS = 8

CONTROL = 0x00
"""Write 1: start the program. Semaphores and counters are cleared. Nothing happens while a program runs."""
STATUS = 0x01
"""Read: bit 0 running, bit 1 done, bit 2 error, bits 4 to 7 a link that failed in the north, east, south, west, bit 8
one of the memory plane that failed: it is dead, or has timed out or restarted since its register was written."""
PROGRAM = 0x02
"""Memory word of the first command."""
COMMANDS = 0x03
"""Number of commands in the program."""
POST = 0x04
"""Write: post the semaphores 1 to 31 whose bit is 1. Only on a die with an engine."""
POST_HIGH = 0x05
"""Write: post the semaphores 32 to 63, bit 0 for semaphore 32. Only on a die with an engine."""
ERROR = 0x06
"""Read: bits 0 to 3 code of the first error, bits 8 to 12 its unit, bits 16 to 23 sources of errors so far."""
WAITING = 0x07
"""Read: units that wait for semaphores now, one bit each by the numbers of :data:`rtl.interface.error_codes`."""
MEMORY_LAST = 0x08
"""Last memory word that a program may read or write; all ones after a reset."""
WATCHDOG = 0x09
"""Cycles without progress after which a program ends with an error; 0: it may wait for ever, as after a reset."""
LINKS = 0xF0
"""Links of the collective plane in the north, east, south and west, then those of the memory plane, a register each:
:data:`rtl.interface.link_status.LINK_STATUS`. A write clears its events. Only on a die with an engine."""
FIRST_COUNTER = 0x10

SIDES = ("north", "east", "south", "west")
"""Names of the sides of a die, in the order of their registers and status bits."""

REGISTERS: Mapping[str, tuple[int, str]] = {
    "control": (CONTROL, "write 1 to start the program; semaphores and counters are cleared"),
    "status": (
        STATUS,
        "bit 0 running, 1 done, 2 error, 4 to 7 failed link in the north, east, south, west, 8 in the memory plane",
    ),
    "program_address": (PROGRAM, "memory word of the first command"),
    "commands": (COMMANDS, "number of commands in the program"),
    "post": (
        POST,
        "write: post the semaphores 1 to 31 whose bit is 1 (of all dies of a package); only on a die with an engine",
    ),
    "post_high": (POST_HIGH, "write: the same for semaphores 32 to 63, bit 0 for semaphore 32"),
    "error": (
        ERROR,
        "bits 0 to 3 code of the first error, bits 8 to 12 its unit, bits 16 to 23 number of errors",
    ),
    "waiting": (WAITING, "units that wait for semaphores now, one bit each by the number of the unit"),
    "memory_last": (
        MEMORY_LAST,
        "last memory word that the program may use; beyond it a request is an error; all ones after a reset",
    ),
    "watchdog": (
        WATCHDOG,
        "cycles without progress after which the program ends with an error; 0, as after a reset: it waits for ever",
    ),
    **{
        f"{name}_{side}": (
            LINKS + number,
            f"link of the {plane} plane in the {side}, see below",
        )
        for number, (name, plane, side) in enumerate(
            (name, plane, side)
            for name, plane in (("link", "collective"), ("memory_link", "memory"))
            for side in SIDES
        )
    },
}
"""Every register but the counters: its address and its use."""

COUNTERS: Mapping[str, str] = {
    "cycles": "cycles from start to done",
    "commands_out": "commands handed out to the units",
    "fetch_words": "words of the program that came",
    "fetch_stall_request": "cycles in which a read request of the program was not taken",
    "dispatch_stall_fetch": "cycles in which the next command had not come",
    "dispatch_stall_queue": "cycles in which the next command found the queue of its unit full",
    "array_first": "cycle in which the first weight vector entered the array",
    "array_last": "cycle in which the last row of sums left the accumulator adders",
    "array_busy": "activation vectors sent into the array",
    "array_stall_semaphore": "cycles in which the array unit waited for semaphores",
    "array_stall_weights": "cycles in which activations waited for the weights of their tile",
    "macs": "multiply-adds on elements that exist",
    "padding_k": "multiply-adds on rows of the array beyond K",
    "padding_n": "multiply-adds on columns of the array beyond N",
    "weight_reads": "vectors read from the weight buffer",
    "sums": "rows of sums completed by the accumulator adders",
    "lost_rows": "cycles without an activation vector: a tile is longer than its rows, for the weights of the next one",
    "lost_fetch": "cycles without an activation vector: a GEMM, or what it waits for, is still to be handed out",
    "lost_load": "cycles without an activation vector: the array unit waits while operands are loaded or fed",
    "lost_drain": "cycles without an activation vector: the array unit waits for room for sums",
    "lost_fill": "cycles without an activation vector: weights enter the array, or its last sums leave it",
    "lost_store": "cycles behind the last GEMM: sums are drained and stored",
    "load_busy": "cycles in which the load unit had a command",
    "load_stall_semaphore": "cycles in which the load unit waited for semaphores",
    "load_stall_request": "cycles in which a read request was not taken",
    "load_words": "words loaded into the scratchpad",
    **{
        f"{unit}_{name}": use.format(unit.replace("_", " "))
        for unit in ("feed_activation", "feed_weight", "feed_sums")
        for name, use in {
            "busy": "cycles in which the {} unit had a command",
            "stall_semaphore": "cycles in which the {} unit waited for semaphores",
            "words": "words that the {} unit read from the scratchpad",
        }.items()
    },
    "drain_busy": "cycles in which the drain unit had a command",
    "drain_stall_semaphore": "cycles in which the drain unit waited for semaphores",
    "drain_words": "words drained to the scratchpad",
    "vector_busy": "cycles in which the vector unit had a command",
    "vector_stall_semaphore": "cycles in which the vector unit waited for semaphores",
    "vector_stall_read": "cycles in which the vector unit waited for operands",
    "vector_stall_write": "cycles in which the vector unit waited for room for results",
    "store_busy": "cycles in which the store unit had a command",
    "store_stall_semaphore": "cycles in which the store unit waited for semaphores",
    "store_stall_request": "cycles in which a write request was not taken",
    "store_words": "words stored",
}
"""Every counter, in the order of its registers, and what it counts. Those of a unit that a die lacks stay 0."""

SIDE_COUNTERS: Mapping[str, str] = {
    "flits_sent": "flits that left the engine by the {}",
    "flits_received": "flits that came to the engine from the {}",
    "link_replays": "flits that the {}ern link sent again",
    "link_errors": "frames of the {}ern link that came with an error",
}
"""Counters that an engine has for each side."""

ENGINE_COUNTERS: Mapping[str, str] = {
    "nop_first": "cycle in which the first flit left the engine",
    "nop_last": "cycle in which the last flit came to the engine",
    "send_stall_semaphore": "cycles in which a send unit waited for semaphores, summed over the sides",
    "send_stall_link": "cycles in which a flit was not taken, summed over the sides",
    "receive_stall_semaphore": "cycles in which a receive unit waited for semaphores, summed over the sides",
    **{f"{name}_{side}": use.format(side) for name, use in SIDE_COUNTERS.items() for side in SIDES},
}
"""Further counters of a die with an engine, in the registers after those of :data:`COUNTERS`."""


def counter_address(name: str) -> int:
    """Register of the low 32 bits of a counter; the high bits are in the register after it."""
    return FIRST_COUNTER + 2 * [*COUNTERS, *ENGINE_COUNTERS].index(name)
