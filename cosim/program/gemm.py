"""The scheduler: turns a GEMM into the program of a die and the addresses of everything in its memory.

The program would also be correct if the die ran one command at a time, with each GEMM and its STORE interleaved panel
by panel. The queues and semaphores of the die overlap the commands: loads run ahead of the array, so the next block is
loaded while this one is multiplied, and results leave while the next panel is summed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.command import MOST_COUNT, Command
from cosim.program.layout import Matrix
from cosim.program.shape import Shape
from cosim.program.tiling import Tiling, activation_addresses, blocks, choose_tiling, weight_addresses
from rtl.interface.isa import Opcode, Target

__all__ = ["GemmProgram", "Semaphore", "schedule_gemm"]


class Semaphore(IntEnum):
    """What the semaphores of a GEMM program count. One unit waits on each of them."""

    ACTIVATION_LOADED = 0
    WEIGHT_LOADED = 1
    ACTIVATION_FREE = 2
    WEIGHT_FREE = 3
    SLOT_FREE = 4
    PANEL_DONE = 5


@dataclass(frozen=True, kw_only=True)
class GemmProgram:
    """A program, and where its operands, its result and the program itself lie in memory.

    Attributes
    ----------
    shape, tiling
        What is computed, and in which blocks.
    a, b, y
        Stored operands and result.
    commands
        The program, in order.
    program_address
        Word of the first command.
    memory_words
        Words of memory in use.
    """

    shape: Shape
    tiling: Tiling
    a: Matrix
    b: Matrix
    y: Matrix
    commands: tuple[Command, ...]
    program_address: int
    memory_words: int


def _mask(*semaphores: Semaphore) -> int:
    return sum(1 << semaphore for semaphore in semaphores)


@dataclass(frozen=True, kw_only=True)
class _BlockUse:
    """Where a step finds its block: the buffer address, whether it is loaded for this step, and whether the next
    block there is another one."""

    base: int
    load: bool
    last: bool


def _place_blocks(keys: Sequence[object], *, copies: int, size: int) -> list[_BlockUse]:
    """Give the block of each step one of ``copies`` places of ``size`` addresses.

    A new block replaces the least recently used one. So places become free in the order in which loads take them, and a
    counting semaphore is enough.
    """
    held: dict[object, int] = {}
    places = []
    loads = []
    for key in keys:
        loads.append(key not in held)
        if key in held:
            copy = held.pop(key)
        elif len(held) < copies:
            copy = len(held)
        else:
            copy = held.pop(next(iter(held)))
        held[key] = copy
        places.append(copy)
    uses = []
    loaded_next = [True] * copies
    for copy, load in zip(reversed(places), reversed(loads), strict=True):
        uses.append(_BlockUse(base=copy * size, load=load, last=loaded_next[copy]))
        loaded_next[copy] = load
    return uses[::-1]


def _check_commands(shape: Shape, tiling: Tiling) -> None:
    """Refuse a GEMM that needs more commands than a program can have: up to two loads, a GEMM and a store a step."""
    steps = math.prod(tiling.blocks_of(shape))
    if 1 + 4 * steps > MOST_COUNT:
        raise ValueError(
            f"{shape.m}x{shape.k}x{shape.n} ({shape.form}) takes {steps} steps of {tiling.m}x{tiling.k}x{tiling.n}: "
            f"must be at most {(MOST_COUNT - 1) // 4}, with smaller matrices or larger buffers of the die"
        )


def schedule_gemm(die: DieSpec, memory: MemorySpec, shape: Shape) -> GemmProgram:
    """Return the program of a GEMM on one die.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit the buffers of the die, or the program would be too long.
    """
    tiling = choose_tiling(die, memory, shape)
    word_elements = memory.word_bytes // die.element_bytes
    word_sums = memory.word_bytes // 4

    def lay(address: int, rows: int, cols: int, per_word: int) -> Matrix:
        return Matrix(address=address, rows=rows, cols=cols, pitch=-(-cols // per_word))

    a = lay(0, *shape.stored_a, word_elements)
    b = lay(a.end, *shape.stored_b, word_elements)
    y = lay(b.end, shape.m, shape.n, word_sums)

    _check_commands(shape, tiling)
    steps = [
        (m_block, n_block, k_block)
        for m_block in blocks(shape.m, tiling.m)
        for n_block in blocks(shape.n, tiling.n)
        for k_block in blocks(shape.k, tiling.k)
    ]
    a_keys = [(m_block, k_block) for m_block, _, k_block in steps]
    b_keys = [(k_block, n_block) for _, n_block, k_block in steps]
    a_copies, b_copies = min(2, len(set(a_keys))), min(2, len(set(b_keys)))
    a_uses = _place_blocks(a_keys, copies=a_copies, size=activation_addresses(die, shape, tiling.m, tiling.k))
    b_uses = _place_blocks(b_keys, copies=b_copies, size=weight_addresses(die, shape, tiling.k, tiling.n))

    start_values = {
        Semaphore.ACTIVATION_LOADED: 0,
        Semaphore.WEIGHT_LOADED: 0,
        Semaphore.ACTIVATION_FREE: a_copies,
        Semaphore.WEIGHT_FREE: b_copies,
        Semaphore.SLOT_FREE: tiling.slots,
        Semaphore.PANEL_DONE: 0,
    }
    values = {f"value_{semaphore.value}": value for semaphore, value in start_values.items()}
    commands = [Command(Opcode.SET, {"mask": _mask(*start_values), **values})]
    slot = 0
    for ((m_start, m), (n_start, n), (k_start, k)), a_use, b_use in zip(steps, a_uses, b_uses, strict=True):
        if a_use.load:
            commands.append(
                _load_command(
                    Target.ACTIVATION,
                    a,
                    (k_start, k, m_start, m) if shape.activation_column else (m_start, m, k_start, k),
                    base=a_use.base,
                    word_elements=word_elements,
                    wait=_mask(Semaphore.ACTIVATION_FREE),
                    post=_mask(Semaphore.ACTIVATION_LOADED),
                )
            )
        if b_use.load:
            commands.append(
                _load_command(
                    Target.WEIGHT,
                    b,
                    (n_start, n, k_start, k) if shape.weight_column else (k_start, k, n_start, n),
                    base=b_use.base,
                    word_elements=word_elements,
                    wait=_mask(Semaphore.WEIGHT_FREE),
                    post=_mask(Semaphore.WEIGHT_LOADED),
                )
            )
        first_k, last_k = k_start == 0, k_start + k == shape.k
        panels = -(-n // die.cols)
        last_cols = n - (panels - 1) * die.cols
        k_tiles = -(-k // die.rows)
        commands.append(
            Command(
                Opcode.GEMM,
                {
                    "wait": (_mask(Semaphore.ACTIVATION_LOADED) if a_use.load else 0)
                    | (_mask(Semaphore.WEIGHT_LOADED) if b_use.load else 0),
                    "post": (_mask(Semaphore.ACTIVATION_FREE) if a_use.last else 0)
                    | (_mask(Semaphore.WEIGHT_FREE) if b_use.last else 0),
                    "panel_wait": _mask(Semaphore.SLOT_FREE) if first_k else 0,
                    "panel_post": _mask(Semaphore.PANEL_DONE) if last_k else 0,
                    "accumulate": int(not first_k),
                    "activation_column": int(shape.activation_column),
                    "weight_column": int(shape.weight_column),
                    "activation_base": a_use.base,
                    "activation_pitch": k if shape.activation_column else m,
                    "weight_base": b_use.base,
                    "weight_pitch": n if shape.weight_column else k,
                    "accumulator_base": slot * tiling.m,
                    "accumulator_step": tiling.m,
                    "accumulator_wrap": tiling.slots * tiling.m,
                    "m": m,
                    "k_tiles": k_tiles,
                    "last_k": k - (k_tiles - 1) * die.rows,
                    "panels": panels,
                    "last_cols": last_cols,
                },
            )
        )
        if last_k:
            commands.append(
                Command(
                    Opcode.STORE,
                    {
                        "panel_wait": _mask(Semaphore.PANEL_DONE),
                        "panel_post": _mask(Semaphore.SLOT_FREE),
                        "base": slot * tiling.m,
                        "step": tiling.m,
                        "wrap": tiling.slots * tiling.m,
                        "rows": m,
                        "panels": panels,
                        "last_cols": last_cols,
                        "address": y.address + m_start * y.pitch + n_start // word_sums,
                        "memory_pitch": y.pitch,
                    },
                )
            )
            slot = (slot + panels) % tiling.slots
    return GemmProgram(
        shape=shape,
        tiling=tiling,
        a=a,
        b=b,
        y=y,
        commands=tuple(commands),
        program_address=y.end,
        memory_words=y.end + len(commands) * memory.command_words,
    )


def _load_command(
    target: Target,
    matrix: Matrix,
    block: tuple[int, int, int, int],
    *,
    base: int,
    word_elements: int,
    wait: int,
    post: int,
) -> Command:
    """The command that loads ``block`` (first row, rows, first column, columns) of a matrix into an operand buffer."""
    row, rows, col, cols = block
    return Command(
        Opcode.LOAD,
        {
            "wait": wait,
            "post": post,
            "target": target,
            "base": base,
            "pitch": rows,
            "rows": rows,
            "cols": cols,
            "words": -(-cols // word_elements),
            "address": matrix.address + row * matrix.pitch + col // word_elements,
            "memory_pitch": matrix.pitch,
        },
    )
