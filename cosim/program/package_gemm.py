"""Programs of the dies for a GEMM on a package, phase by phase.

:mod:`cosim.program.distribution` decides which die has what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype, SystemSpec, flits_per_word, scratchpad_depth
from cosim.jobs.package import Region
from cosim.program.collective import package_program
from cosim.program.command import Command
from cosim.program.distribution import DieShare, Tiles, cut, macs_of, shares_of
from cosim.program.exchange_copies import words_from_exchange
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.layout import OPERAND_TYPE, RESULT_TYPE, Matrix, Places, pack, unpack
from cosim.program.line_commands import LineCollective
from cosim.program.package import DieWork, io_die_of
from cosim.program.shape import Shape, gemm_forms
from nop.collectives import Algorithm
from rtl.interface.isa import Opcode, Target
from rtl.interface.memory_port import EXCHANGE_ADDRESS

__all__ = ["GEMM_PHASES", "DiePart", "gemm_parts"]

GEMM_PHASES = ("load", "gather", "multiply", "scatter", "store")
"""Operands from memory into the exchange buffers; all-gather; GEMM of each die; reduce-scatter; results to memory."""

ZERO_LOADED = 1 << 0
"""Semaphore of the load phase: the word of zeros is loaded."""


@dataclass(frozen=True, kw_only=True)
class DiePart:
    """The part of a GEMM that one die does.

    Attributes
    ----------
    work
        The die's programs, memory contents and result.
    y
        Layout of its result in memory.
    rows, cols
        Its rows and columns of the whole result.
    macs
        Its multiply-adds of the whole GEMM.
    gathers, sums
        All-gathers and reduce-scatters of its lines, by axis.
    """

    work: DieWork
    y: Matrix
    rows: range
    cols: range
    macs: int
    gathers: dict[str, LineCollective]
    sums: dict[str, LineCollective]

    def elements(self, image: bytes, dtype: Dtype) -> NDArray[Any]:
        """The die's (rows, cols) 32-bit sums in a memory image that was read back."""
        if not self.rows:
            return np.empty((0, len(self.cols)), RESULT_TYPE[dtype])
        return unpack(image, self.y, dtype=dtype)[:, : len(self.cols)]


def gemm_parts(
    system: SystemSpec,
    shape: Shape,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    algorithm: Algorithm,
    places: Places,
) -> list[DiePart]:
    """Return the parts of all dies, in the order of the dies' numbers.

    Parameters
    ----------
    a, b
        Stored operands: ``shape.stored_a`` and ``stored_b``.
    algorithm
        Algorithm of the collectives.
    places
        Allocates the dies' words of memory.

    Raises
    ------
    ValueError
        If a block does not fit the exchange buffer or the buffers of the die.
    """
    dies = system.package.places()
    shares = shares_of(system.package, shape, algorithm)
    return [
        _die_part(system, shape, share, cut(a, share.a), cut(b, share.b), place, places)
        for place, share in zip(dies, shares, strict=True)
    ]


class _Builder:
    """Allocates memory and exchange buffer of a die, and makes the program of the load phase."""

    def __init__(self, system: SystemSpec, io_die: str, places: Places) -> None:
        self._system, self._io_die, self._places = system, io_die, places
        self._word_elements = system.memory.word_bytes // system.die.element_bytes
        self._per_word = flits_per_word(system.nop, system.memory)
        self.image: dict[int, bytes] = {}
        self.exchange_words = 0
        self.load = [Command(Opcode.SET, {"mask": ZERO_LOADED})]

    def memory(self, values: NDArray[Any]) -> Matrix:
        """Put a matrix into memory."""
        rows, cols = values.shape
        pitch = -(-cols // self._word_elements)
        address = self._places.take(self._io_die, rows * pitch)
        matrix = Matrix(address=address, rows=rows, cols=cols, pitch=pitch)
        self.image[address] = pack(values, matrix, word_bytes=self._system.memory.word_bytes)
        return matrix

    def exchange_room(self, words: int) -> int:
        """First of ``words`` words of the exchange buffer that nothing else uses."""
        self.exchange_words += words
        return self.exchange_words - words

    def gathered(self, values: NDArray[Any], tiles: Tiles) -> tuple[int, LineCollective]:
        """Load the die's tile of a block of all tokens.

        Returns the address that the whole block has once it is gathered, and the all-gather.
        """
        own = tiles.rows(tiles.place)
        tile = np.pad(values[own.start : own.stop], ((0, tiles.size - len(own)), (0, 0)))
        stored = self.memory(tile)
        chunk = stored.rows * stored.pitch
        base = self.exchange_room(tiles.nodes * chunk)
        self._load(stored, base=base + tiles.slot * chunk, pitch=stored.pitch)
        work = LineCollective("all-gather", tiles.algorithm, tiles.nodes, chunk * self._per_word, base, chunk)
        return EXCHANGE_ADDRESS + base, work

    def partial(self, y: Matrix, tiles: Tiles) -> LineCollective:
        """Make room for partial sums of all tokens, with zeros where the GEMM writes none."""
        chunk = tiles.size * y.pitch
        base = self.exchange_room(tiles.nodes * chunk)
        word_sums = self._system.memory.word_bytes // 4
        words_below = tiles.nodes * chunk - y.rows * y.pitch
        fills = [(base + y.rows * y.pitch, 1, words_below)] if words_below else []
        if y.cols % word_sums:
            fills.append((base + y.pitch - 1, y.pitch, y.rows))
        if fills:
            element = OPERAND_TYPE[self._system.die.dtype]
            zero = self.memory(np.zeros((1, self._word_elements), element))
            zero_word = self.exchange_room(1)
            self._load(zero, base=zero_word, post=ZERO_LOADED)
            for number, (first, pitch, words) in enumerate(fills):
                repeated = replace(zero, address=EXCHANGE_ADDRESS + zero_word, rows=words, pitch=0)
                self._load(repeated, base=first, pitch=pitch, wait=0 if number else ZERO_LOADED)
        return LineCollective(
            "reduce-scatter", tiles.algorithm, tiles.nodes, chunk * self._per_word, base, chunk
        )

    def _load(self, matrix: Matrix, **fields: int) -> None:
        self.load.append(
            Command(
                Opcode.LOAD,
                {
                    "exchange": 1,
                    "rows": matrix.rows,
                    "cols": matrix.cols,
                    "words": -(-matrix.cols // self._word_elements),
                    "address": matrix.address,
                    "memory_pitch": matrix.pitch,
                    **fields,
                },
            )
        )


def _die_part(
    system: SystemSpec,
    whole: Shape,
    share: DieShare,
    a: NDArray[Any],
    b: NDArray[Any],
    place: tuple[int, int],
    places: Places,
) -> DiePart:
    """The part of the die at row and column ``place``, with blocks ``a`` and ``b`` of the stored operands."""
    die, memory, form = system.die, system.memory, whole.form
    io_die = io_die_of(system, *place)
    builder = _Builder(system, io_die, places)
    logical_a, logical_b = gemm_forms(a, b, form=form)
    shape = Shape(m=logical_a.shape[0], k=logical_a.shape[1], n=logical_b.shape[1], form=form)
    program = schedule_gemm(die, memory, shape)
    gathers: dict[str, LineCollective] = {}
    sums: dict[str, LineCollective] = {}
    a_address, gathers[share.a_tiles.axis] = builder.gathered(a, share.a_tiles)
    if share.b_tiles is None:
        b_address = builder.memory(b).address
    else:
        b_address, gathers[share.b_tiles.axis] = builder.gathered(b, share.b_tiles)
    store: list[Command] = []
    y = program.y
    if share.y_tiles is None:
        y = replace(y, address=places.take(io_die, y.rows * y.pitch))
        y_address = y.address
    else:
        tiles = share.y_tiles
        sums[tiles.axis] = partial = builder.partial(y, tiles)
        y_address = EXCHANGE_ADDRESS + partial.base
        rows = len(share.y[0])
        y = replace(y, address=places.take(io_die, rows * y.pitch), rows=rows)
        own_chunk = partial.base + tiles.slot * partial.pitch
        store = words_from_exchange(address=y.address, base=own_chunk, words=rows * y.pitch)
    needed, depth = builder.exchange_words, scratchpad_depth(system.die, memory, system.nop)
    if needed > depth:
        raise ValueError(
            f"a block of {shape.m}x{shape.k}x{shape.n} ({form}) needs {needed} words of a die's scratchpad: "
            f"must be at most the {depth} of die.scratchpad_bytes = {system.die.scratchpad_bytes}"
        )
    multiply = _relocated(program, a=a_address, b=b_address, y=y_address)
    programs = [
        builder.load,
        package_program(gathers, *place, opened=True)[0],
        multiply,
        package_program(sums, *place, opened=True)[0],
        store,
    ]
    result = Region(io_die=io_die, address=y.address, words=y.rows * y.pitch)
    return DiePart(
        work=DieWork(io_die=io_die, image=builder.image, programs=programs, result=result),
        y=y,
        rows=share.y[0],
        cols=share.y[1],
        macs=macs_of(whole, share),
        gathers=gathers,
        sums=sums,
    )


def _relocated(program: GemmProgram, *, a: int, b: int, y: int) -> list[Command]:
    """The commands of a GEMM with its matrices at other addresses."""
    moves: dict[tuple[Opcode, int | None], int] = {
        (Opcode.LOAD, Target.ACTIVATION): a - program.a.address,
        (Opcode.LOAD, Target.WEIGHT): b - program.b.address,
        (Opcode.STORE, None): y - program.y.address,
    }
    commands = []
    for command in program.commands:
        move = moves.get((command.opcode, command.fields.get("target")), 0)
        if move:
            fields = {**command.fields, "address": command.fields["address"] + move}
            command = replace(command, fields=fields)
        commands.append(command)
    return commands
