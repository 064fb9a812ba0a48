"""The scheduler: turns a GEMM into the program of a die and the addresses of everything in its memory.

Operands go from memory to the scratchpad (LOAD) and on to the operand buffers (FEED), sums from the accumulator buffer
to the scratchpad (DRAIN) and on to memory (STORE). Each unit takes its commands in order and works beside the others:
semaphores, one for each pair of units that hand something over, keep them apart. The program would also be correct if
the die ran one command at a time, with each GEMM and its drains interleaved panel by panel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from cosim.program.array_steps import ArrayStep, BlockSteps
from cosim.program.block_places import place_blocks
from cosim.program.command import MOST_COUNT, Command
from cosim.program.layout import Matrix
from cosim.program.operand_feed import OperandFeed, Region, feed_in_turn
from cosim.program.shape import Shape
from cosim.program.staging import Staging, split_scratchpad
from cosim.program.tiling import (
    Tiling,
    activation_addresses,
    alignment,
    blocks,
    choose_tiling,
    row_words,
    weight_addresses,
)
from rtl.interface.isa import Opcode

__all__ = ["GemmProgram", "Semaphore", "schedule_gemm"]


class Semaphore(IntEnum):
    """What the semaphores of a GEMM program count. One unit waits on each of them."""

    ACTIVATION_LOADED = 1
    WEIGHT_LOADED = 2
    ACTIVATION_PLACE_FREE = 3
    WEIGHT_PLACE_FREE = 4
    ACTIVATION_FED = 5
    WEIGHT_FED = 6
    ACTIVATION_FREE = 7
    WEIGHT_FREE = 8
    PANEL_DONE = 9
    SLOT_FREE = 10
    SUMS_DRAINED = 11
    SUMS_PLACE_FREE = 12


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


class _Scheduler:
    """Makes the commands of a GEMM."""

    def __init__(self, die: DieSpec, memory: MemorySpec, shape: Shape) -> None:
        self._die, self._memory, self._shape = die, memory, shape
        self._tiling = tiling = choose_tiling(die, memory, shape)
        self._word_elements = word_elements = memory.word_bytes // die.element_bytes
        self._word_sums = word_sums = memory.word_bytes // 4

        def lay(address: int, rows: int, cols: int, per_word: int) -> Matrix:
            return Matrix(address=address, rows=rows, cols=cols, pitch=-(-cols // per_word))

        self.a = lay(0, *shape.stored_a, word_elements)
        self.b = lay(self.a.end, *shape.stored_b, word_elements)
        self.y = lay(self.b.end, shape.m, shape.n, word_sums)
        self._blocks = [
            (m_block, n_block, k_block)
            for m_block in blocks(shape.m, tiling.m)
            for n_block in blocks(shape.n, tiling.n)
            for k_block in blocks(shape.k, tiling.k)
        ]
        a_keys = [(m_block, k_block) for m_block, _, k_block in self._blocks]
        b_keys = [(k_block, n_block) for _, n_block, k_block in self._blocks]
        self._a_uses = place_blocks(
            a_keys,
            copies=min(2, len(set(a_keys))),
            size=activation_addresses(die, shape, tiling.m, tiling.k),
        )
        self._b_uses = place_blocks(
            b_keys, copies=min(2, len(set(b_keys))), size=weight_addresses(die, shape, tiling.k, tiling.n)
        )
        self._stage()
        self._slots_wait = tiling.slots < sum(
            -(-n // die.cols) for _, (_, n), (k_start, _) in self._blocks if k_start == 0
        )
        self._slot = 0
        self._drains: list[Command] = []
        self.commands: list[Command] = []

    def _stage(self) -> None:
        """Cut the scratchpad into regions of A, B and Y."""
        die, memory, shape, tiling = self._die, self._memory, self._shape, self._tiling
        least = row_words(die, memory, shape, tiling)
        totals = (
            sum(
                self._words(m, k, turned=shape.activation_column)
                for ((_, m), _, (_, k)), use in zip(self._blocks, self._a_uses, strict=True)
                if use.load
            ),
            sum(
                self._words(k, n, turned=shape.weight_column)
                for (_, (_, n), (_, k)), use in zip(self._blocks, self._b_uses, strict=True)
                if use.load
            ),
            shape.m * sum(-(-n // self._word_sums) for _, n in blocks(shape.n, tiling.n)),
        )
        regions = split_scratchpad(scratchpad_depth(die, memory), least=least, totals=totals)
        base = 0
        stagings = []
        for words, row, total, places in zip(regions, least, totals, (3, 3, 2), strict=True):
            stagings.append(Staging(base=base, words=words, row_words=row, total=total, places=places))
            base += words
        a, b, self._y_staging = stagings
        self._a = OperandFeed(
            opcode=Opcode.FEED_ACTIVATION,
            matrix=self.a,
            staging=a,
            lanes=die.rows,
            turned=shape.activation_column,
            width=math.lcm(die.rows, self._word_elements),
            per_word=self._word_elements,
            loaded=Semaphore.ACTIVATION_LOADED,
            place_free=Semaphore.ACTIVATION_PLACE_FREE,
            fed=Semaphore.ACTIVATION_FED,
            free=Semaphore.ACTIVATION_FREE,
        )
        self._b = OperandFeed(
            opcode=Opcode.FEED_WEIGHT,
            matrix=self.b,
            staging=b,
            lanes=die.cols,
            turned=shape.weight_column,
            width=math.lcm(die.cols, self._word_elements),
            per_word=self._word_elements,
            loaded=Semaphore.WEIGHT_LOADED,
            place_free=Semaphore.WEIGHT_PLACE_FREE,
            fed=Semaphore.WEIGHT_FED,
            free=Semaphore.WEIGHT_FREE,
        )

    def _words(self, rows: int, cols: int, *, turned: bool) -> int:
        rows, cols = (cols, rows) if turned else (rows, cols)
        return rows * -(-cols // self._word_elements)

    def run(self) -> None:
        """Make all commands.

        Raises
        ------
        ValueError
            If there are more than a program can have.
        """
        if self._slots_wait:
            self._append(_command(Opcode.SET, semaphore_0=Semaphore.SLOT_FREE, value_0=self._tiling.held))
        for number in range(len(self._blocks)):
            self._block(number)
        self._flush()

    def _flush(self) -> None:
        for command in self._drains:
            self._append(command)
        self._drains = []

    def _append(self, command: Command) -> None:
        if len(self.commands) == MOST_COUNT:
            shape, tiling = self._shape, self._tiling
            raise ValueError(
                f"{shape.m}x{shape.k}x{shape.n} ({shape.form}) in blocks of {tiling.m}x{tiling.k}x{tiling.n} takes "
                f"more commands than a program can have, {MOST_COUNT}: make the matrices smaller or the buffers of "
                "the die larger"
            )
        self.commands.append(command)

    def _block(self, number: int) -> None:
        """Add the commands of a block of A times a block of B."""
        die, shape, tiling = self._die, self._shape, self._tiling
        (m_start, m), (n_start, n), (k_start, k) = self._blocks[number]
        a_use, b_use = self._a_uses[number], self._b_uses[number]
        plan = BlockSteps(
            die=die,
            memory=self._memory,
            shape=shape,
            tiling=tiling,
            m=m,
            k=k,
            n=n,
            load_a=a_use.load,
            load_b=b_use.load,
            last_k=k_start + k == shape.k,
            first=number == 0,
            final=number == len(self._blocks) - 1,
        )
        steps = plan.steps()
        for index, (step, loads) in enumerate(zip(steps, plan.loads(steps), strict=True)):
            end = step.k + step.k_size
            regions: list[Region] = []
            if loads.a_rows:
                regions.append(
                    self._a.region(
                        ((m_start, m), (k_start, k)),
                        (loads.a_row, loads.a_rows),
                        (step.k, step.k_size),
                        base=a_use.base,
                        wait=a_use.wait and index == 0,
                    )
                )
            if loads.b_panels:
                col = loads.b_panel * die.cols
                cols = min(n, col + loads.b_panels * die.cols) - col
                regions.append(
                    self._b.region(
                        ((k_start, k), (n_start, n)),
                        (step.k, step.k_size),
                        (col, cols),
                        base=b_use.base,
                        wait=b_use.wait and index == 0,
                    )
                )
            for command in feed_in_turn(regions):
                self._append(command)
            # The drains of a step come behind the loads of the next one, which would wait in line with them.
            self._flush()
            done = index == len(steps) - 1
            self._append(
                self._gemm(
                    step,
                    m=m,
                    k=k,
                    n=n,
                    a=a_use.base,
                    b=b_use.base,
                    accumulate=k_start > 0 or step.k > 0,
                    last_k=plan.last_k and end == k,
                    wait_0=self._a.fed if loads.a_rows else 0,
                    wait_1=self._b.fed if loads.b_panels else 0,
                    post_0=self._a.free if done and a_use.free else 0,
                    post_1=self._b.free if done and b_use.free else 0,
                )
            )
            if plan.last_k and end == k:
                self._drains = list(self._drain(step, m_start=m_start, n_start=n_start, m=m, n=n))
        if plan.last_k:
            unit = tiling.slot_unit
            self._slot = self._slot_of(-(-plan.panels // unit) * unit)

    def _gemm(
        self,
        step: ArrayStep,
        *,
        m: int,
        k: int,
        n: int,
        a: int,
        b: int,
        accumulate: bool,
        last_k: bool,
        **semaphores: int,
    ) -> Command:
        die, shape = self._die, self._shape
        a_pitch, b_pitch = k if shape.activation_column else m, n if shape.weight_column else k
        # Panels of a stored operand lie one behind the other; within one, its rows do.
        if shape.activation_column:
            a += step.row // die.rows * a_pitch + step.k
        else:
            a += step.k // die.rows * a_pitch + step.row
        if shape.weight_column:
            b += step.k // die.cols * b_pitch + step.panel * die.cols
        else:
            b += step.panel * b_pitch + step.k
        k_tiles = -(-step.k_size // die.rows)
        return _command(
            Opcode.GEMM,
            **semaphores,
            panel_wait=Semaphore.SLOT_FREE if self._slots_wait and not accumulate and step.row == 0 else 0,
            panel_post=Semaphore.PANEL_DONE if last_k else 0,
            accumulate=int(accumulate),
            activation_column=int(shape.activation_column),
            weight_column=int(shape.weight_column),
            activation_base=a,
            activation_pitch=a_pitch,
            weight_base=b,
            weight_pitch=b_pitch,
            **self._sums("accumulator_", step.panel, step.row),
            m=step.rows,
            k_tiles=k_tiles,
            last_k=step.k_size - (k_tiles - 1) * die.rows,
            panels=step.panels,
            last_cols=min(n - (step.panel + step.panels - 1) * die.cols, die.cols),
        )

    def _slot_of(self, panel: int) -> int:
        """Place in the accumulator buffer of a panel of the block."""
        return (self._slot + panel) % self._tiling.slots

    def _sums(self, prefix: str, panel: int, row: int) -> dict[str, int]:
        """Where the sums of panels from ``panel`` on lie, from row ``row`` of each."""
        tiling = self._tiling
        return {
            f"{prefix}base": self._slot_of(panel) * tiling.m + row,
            f"{prefix}step": tiling.m,
            f"{prefix}wrap": tiling.slots * tiling.m,
        }

    def _drain(self, step: ArrayStep, *, m_start: int, n_start: int, m: int, n: int) -> Iterator[Command]:
        """Commands that take the complete sums of a step to memory."""
        die = self._die
        unit = alignment(die, self._memory, self._shape).drain_panels
        for panel in range(step.panel, step.panel + step.panels, unit):
            panels = min(unit, step.panel + step.panels - panel)
            cols = min(n, (panel + panels) * die.cols) - panel * die.cols
            words = -(-cols // self._word_sums)
            height = min(step.rows, self._y_staging.most_words // words)
            for row in range(step.row, step.row + step.rows, height):
                rows = min(height, step.row + step.rows - row)
                place = self._y_staging.take(rows * words)
                done = row + rows == m
                yield _command(
                    Opcode.DRAIN,
                    wait_0=Semaphore.SUMS_PLACE_FREE if place.wait else 0,
                    row_post=Semaphore.SUMS_DRAINED,
                    panel_wait=Semaphore.PANEL_DONE if row == step.row else 0,
                    panel_post=Semaphore.SLOT_FREE if self._slots_wait and done else 0,
                    **self._sums("", panel, row),
                    rows=rows,
                    panels=panels,
                    last_cols=cols - (panels - 1) * die.cols,
                    target=place.base,
                    target_pitch=words,
                )
                yield _command(
                    Opcode.STORE,
                    row_wait=Semaphore.SUMS_DRAINED,
                    post_0=Semaphore.SUMS_PLACE_FREE if place.ring else 0,
                    base=place.base,
                    pitch=words,
                    rows=rows,
                    words=words,
                    address=self.y.address
                    + (m_start + row) * self.y.pitch
                    + (n_start + panel * die.cols) // self._word_sums,
                    memory_pitch=self.y.pitch,
                )


def _command(opcode: Opcode, **fields: int) -> Command:
    return Command(opcode, fields)


def schedule_gemm(die: DieSpec, memory: MemorySpec, shape: Shape) -> GemmProgram:
    """Return the program of a GEMM on one die.

    Raises
    ------
    ValueError
        If not even the smallest blocks fit the buffers of the die, or the program would be too long.
    """
    scheduler = _Scheduler(die, memory, shape)
    scheduler.run()
    return GemmProgram(
        shape=shape,
        tiling=scheduler._tiling,
        a=scheduler.a,
        b=scheduler.b,
        y=scheduler.y,
        commands=tuple(scheduler.commands),
        program_address=scheduler.y.end,
        memory_words=scheduler.y.end + len(scheduler.commands) * memory.command_words,
    )
