"""Addresses and uses of a die's registers and counters, for hardware, software and benches."""

from collections.abc import Mapping

__all__ = [
    "ADDRESS_BITS",
    "COMMANDS",
    "CONTROL",
    "COUNTERS",
    "COUNTER_BITS",
    "ENGINE_COUNTERS",
    "POST",
    "PROGRAM",
    "REGISTERS",
    "SIDES",
    "SIDE_COUNTERS",
    "STATUS",
    "counter_address",
]

COUNTER_BITS = 48
ADDRESS_BITS = 8

CONTROL = 0x00
"""Write 1: start the program. Counters are cleared. Nothing happens while a program runs."""
STATUS = 0x01
"""Read: bit 0 running, bit 1 done, bit 2 error, bits 4 to 7 a dead link in the north, east, south, west."""
PROGRAM = 0x02
"""Memory word of the first command."""
COMMANDS = 0x03
"""Number of commands in the program."""
POST = 0x04
"""Write: post the semaphores whose bit is 1. Only on a die with an engine."""
FIRST_COUNTER = 0x10

REGISTERS: Mapping[str, tuple[int, str]] = {
    "control": (CONTROL, "write 1 to start the program; counters are cleared"),
    "status": (
        STATUS,
        "bit 0 running, bit 1 done, bit 2 error, bits 4 to 7 dead link in the north, east, south, west",
    ),
    "program_address": (PROGRAM, "memory word of the first command"),
    "commands": (COMMANDS, "number of commands in the program"),
    "post": (
        POST,
        "write: post the semaphores whose bit is 1 (all dies of a package at once); only on a die with an engine",
    ),
}
"""Every register but the counters: its address and its use."""

COUNTERS: Mapping[str, str] = {
    "cycles": "cycles from start to done",
    "array_first": "cycle in which the first weight vector entered the array",
    "array_last": "cycle in which the last row of sums left the accumulator adders",
    "array_busy": "activation vectors sent into the array",
    "array_stall_semaphore": "cycles in which the array unit waited for semaphores",
    "array_stall_weights": "cycles in which activations waited for the weights of their tile",
    "macs": "multiply-adds on elements that exist",
    "weight_reads": "vectors read from the weight buffer",
    "sums": "rows of sums completed by the accumulator adders",
    "load_busy": "cycles in which the load unit had a command",
    "load_stall_semaphore": "cycles in which the load unit waited for semaphores",
    "load_stall_request": "cycles in which a read request was not taken",
    "load_words": "words loaded into the operand buffers and the exchange buffer",
    "store_busy": "cycles in which the store unit had a command",
    "store_stall_semaphore": "cycles in which the store unit waited for semaphores",
    "store_stall_request": "cycles in which a write request was not taken",
    "store_words": "words stored",
}
"""Every counter, in the order of its registers, and what it counts."""

SIDES = ("north", "east", "south", "west")
"""Names of the sides of a die, in the order of their registers and status bits."""

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
