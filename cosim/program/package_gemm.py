"""Programs of the dies for a GEMM that is spread over a package, phase by phase; who has what says
:mod:`cosim.program.distribution`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import Dtype, SystemSpec, exchange_depth, flits_per_word
from cosim.jobs.package import Region
from cosim.program.collective import package_program
from cosim.program.command import Command
from cosim.program.distribution import DieShare, Tiles, cut, macs_of, shares_of
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.layout import OPERAND_TYPE, RESULT_TYPE, Matrix, Places, pack, unpack
from cosim.program.line_commands import LineCollective
from cosim.program.package import DieWork, io_die_of
from cosim.program.shape import Form, Shape, gemm_forms
from nop.collectives import Algorithm
from rtl.interface.isa import Opcode, Target
from rtl.interface.memory_port import EXCHANGE_ADDRESS

__all__ = ["PHASES", "DiePart", "plan_gemm"]

PHASES = ("load", "gather", "multiply", "scatter", "store")
"""Operands from memory into the exchange buffers; all-gather; GEMM of each die; reduce-scatter; results to memory."""

ZERO_LOADED = 1 << 0
"""Semaphore of the load phase: the word of zeros is there."""


@dataclass(frozen=True, kw_only=True)
class DiePart:
    """A die's part of the GEMM.

    Attributes
    ----------
    work
        Its programs, memory and result.
    y
        How its result lies in memory.
    rows, cols
        Rows and columns of the whole result that it has.
    macs
        Multiply-adds of the whole GEMM that it does.
    gathers, sums
        Collectives of the lines that it is on, by axis.
    """

    work: DieWork
    y: Matrix
    rows: range
    cols: range
    macs: int
    gathers: dict[str, LineCollective]
    sums: dict[str, LineCollective]

    def elements(self, image: bytes, dtype: Dtype) -> NDArray[Any]:
        """The die's part of the result in an image that was read back, as 32-bit sums."""
        if not self.rows:
            return np.empty((0, len(self.cols)), RESULT_TYPE[dtype])
        return unpack(image, self.y, dtype=dtype)[:, : len(self.cols)]


def plan_gemm(
    system: SystemSpec,
    shape: Shape,
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    algorithm: Algorithm,
    places: Places,
) -> list[DiePart]:
    """Return the parts of all dies, in the order of their numbers.

    Parameters
    ----------
    a, b
        The operands as they are stored.
    algorithm
        Of the collectives.
    places
        Gives the dies their words of memory.

    Raises
    ------
    ValueError
        If a block does not fit the exchange buffer or the buffers of the die.
    """
    dies = system.package.places()
    shares = shares_of(system.package, shape, algorithm)
    planned = [
        _plan(system, shape.form, share, cut(a, share.a), cut(b, share.b), place, places)
        for place, share in zip(dies, shares, strict=True)
    ]
    return [
        DiePart(
            work=work,
            y=y,
            rows=share.y[0],
            cols=share.y[1],
            macs=macs_of(shape, share),
            gathers=gathers,
            sums=sums,
        )
        for share, (work, y, gathers, sums) in zip(shares, planned, strict=True)
    ]


class _Builder:
    """Memory and exchange buffer of a die, and the program that loads it."""

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

    def room(self, words: int) -> int:
        """Exchange words that nobody has."""
        self.exchange_words += words
        return self.exchange_words - words

    def gathered(self, values: NDArray[Any], tiles: Tiles) -> tuple[int, LineCollective]:
        """Load the die's tile of a block of all tokens; return the address of the whole block once it is gathered."""
        own = tiles.rows(tiles.place)
        tile = np.pad(values[own.start : own.stop], ((0, tiles.size - len(own)), (0, 0)))
        stored = self.memory(tile)
        chunk = stored.rows * stored.pitch
        base = self.room(tiles.nodes * chunk)
        self._load(stored, base=base + tiles.slot * chunk, pitch=stored.pitch)
        work = LineCollective("all-gather", tiles.algorithm, tiles.nodes, chunk * self._per_word, base, chunk)
        return EXCHANGE_ADDRESS + base, work

    def partial(self, y: Matrix, tiles: Tiles) -> LineCollective:
        """Room for partial sums of all tokens, with zeros where the GEMM writes none."""
        chunk = tiles.size * y.pitch
        base = self.room(tiles.nodes * chunk)
        word_sums = self._system.memory.word_bytes // 4
        below = tiles.nodes * chunk - y.rows * y.pitch
        fills = [(base + y.rows * y.pitch, 1, below)] if below else []
        if y.cols % word_sums:
            fills.append((base + y.pitch - 1, y.pitch, y.rows))
        if fills:
            element = OPERAND_TYPE[self._system.die.dtype]
            zero = self.memory(np.zeros((1, self._word_elements), element))
            place = self.room(1)
            self._load(zero, base=place, post=ZERO_LOADED)
            for number, (first, pitch, words) in enumerate(fills):
                here = replace(zero, address=EXCHANGE_ADDRESS + place, rows=words, pitch=0)
                self._load(here, base=first, pitch=pitch, wait=0 if number else ZERO_LOADED)
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


def _plan(
    system: SystemSpec,
    form: Form,
    share: DieShare,
    a: NDArray[Any],
    b: NDArray[Any],
    place: tuple[int, int],
    places: Places,
) -> tuple[DieWork, Matrix, dict[str, LineCollective], dict[str, LineCollective]]:
    """Programs of a die, its result in memory, and its lines."""
    die, memory = system.die, system.memory
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
        if rows:
            fields = {
                "exchange": 1,
                "base": partial.base + tiles.slot * partial.pitch,
                "rows": rows * y.pitch,
                "panels": 1,
                "last_cols": 1,
                "address": y.address,
            }
            store.append(Command(Opcode.STORE, fields))
    needed, there = builder.exchange_words, exchange_depth(system.nop, memory)
    if needed > there:
        raise ValueError(
            f"a block of {shape.m}x{shape.k}x{shape.n} ({form}) needs {needed} words of a die's exchange buffer: "
            f"must be at most the {there} of nop.exchange_bytes = {system.nop.exchange_bytes}"
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
    work = DieWork(io_die=io_die, image=builder.image, programs=programs, result=result)
    return work, y, gathers, sums


def _relocated(program: GemmProgram, *, a: int, b: int, y: int) -> list[Command]:
    """Commands of a GEMM with its matrices at other addresses."""
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
