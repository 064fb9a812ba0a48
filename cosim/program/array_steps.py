"""What the array does, command by command, with a block of A and a block of B.

Sums do not depend on the cut: a step takes all of its K in ascending tiles, and the steps of a panel follow each other
along K.

- A block that is loaded is multiplied while it comes: the first panels take K in parts, so many panels at a time that a
  part lasts as long as the loads of the next one. The first part of a program takes its rows in parts, too.
- The other panels take the whole K of the block each, while weights of the next ones come.
- The last panels of a program take their rows in parts, so that rows leave while others are summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from chiplet.layout.block_sizes import tile_cycles
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.shape import Shape
from cosim.program.tiling import Alignment, Tiling, alignment

__all__ = ["ArrayStep", "BlockSteps", "StepLoads"]

START_CYCLES = 16
"""About the cycles from the last word of a load to the array, and from a sum to its word in memory."""

ROW_PARTS = 4
"""Most parts of the rows of a step."""


@dataclass(frozen=True, kw_only=True)
class ArrayStep:
    """A GEMM command: rows of A and columns of B within their blocks.

    Attributes
    ----------
    row, rows
        First row, and rows.
    panel, panels
        First panel of C columns, and panels.
    k, k_size
        First summed element, and summed elements.
    """

    row: int
    rows: int
    panel: int
    panels: int
    k: int
    k_size: int


@dataclass(frozen=True, kw_only=True)
class StepLoads:
    """What has to be loaded for a step, that no step before has loaded.

    Attributes
    ----------
    a_row, a_rows
        Rows of A, with the elements of K of the step.
    b_panel, b_panels
        Panels of B, likewise.
    """

    a_row: int
    a_rows: int
    b_panel: int
    b_panels: int


@dataclass(frozen=True, kw_only=True)
class BlockSteps:
    """The steps of a block of A times a block of B.

    Attributes
    ----------
    die, memory, shape, tiling
        The GEMM, and how it is cut into blocks.
    m, k, n
        Sizes of this block.
    load_a, load_b
        Whether the block of A, and that of B, come from memory for it.
    last_k
        Whether the sums are complete with it.
    first, final
        Whether it is the first one, or the last one, of the program.
    """

    die: DieSpec
    memory: MemorySpec
    shape: Shape
    tiling: Tiling
    m: int
    k: int
    n: int
    load_a: bool
    load_b: bool
    last_k: bool
    first: bool
    final: bool

    @property
    def _align(self) -> Alignment:
        return alignment(self.die, self.memory, self.shape)

    @property
    def panels(self) -> int:
        """Panels of the block."""
        return -(-self.n // self.die.cols)

    def loads(self, steps: list[ArrayStep]) -> Iterator[StepLoads]:
        """What has to be loaded for each of the steps."""
        rows: dict[int, int] = {}  # rows of A that are there, by first element of K
        panels: dict[int, int] = {}  # panels of B, likewise
        for step in steps:
            a_row, b_panel = rows.get(step.k, 0), panels.get(step.k, 0)
            a_end = max(a_row, self._loaded_rows(step.row + step.rows)) if self.load_a else a_row
            b_end = max(b_panel, self._loaded_panels(step.panel + step.panels)) if self.load_b else b_panel
            rows[step.k], panels[step.k] = a_end, b_end
            yield StepLoads(a_row=a_row, a_rows=a_end - a_row, b_panel=b_panel, b_panels=b_end - b_panel)

    def _loaded_rows(self, row: int) -> int:
        """Rows of A that come with those before ``row``: of a stored column, whole words that end at a whole vector."""
        unit = math.lcm(self.die.rows, self._align.m) if self.shape.activation_column else 1
        return min(self.m, -(-row // unit) * unit)

    def _loaded_panels(self, panel: int) -> int:
        """Panels whose weights come with those of the panels before ``panel``, as words of memory hold several."""
        unit = self._align.weight_panels
        return min(self.panels, -(-panel // unit) * unit)

    def steps(self) -> list[ArrayStep]:
        """Return the steps that are estimated to end first, in order."""
        plans = (
            self._steps(together, rows) for together in self._choices() for rows in self._first_choices()
        )
        return min(plans, key=self._cost)

    def _choices(self) -> Iterator[int]:
        """Numbers of panels that may take their K in parts together; 0 for none."""
        parts = self.load_a and self.load_b and self.k > self._align.k_part and self.tiling.split
        unit, panels = self._align.drain_panels, self.panels
        if not parts:
            yield 0
            return
        together = unit
        while together < min(panels, self.tiling.held):
            yield together
            together *= 2
        yield panels if panels <= self.tiling.held else 0

    def _first_choices(self) -> Iterator[int]:
        """Rows that the first step of a program may begin with."""
        unit = math.lcm(self._least_rows, self._align.m)
        yield self.m
        rows = unit
        while self.first and self.tiling.split and rows <= self.m - unit and rows <= 8 * unit:
            yield rows
            rows += unit if rows < 4 * unit else 2 * unit

    def _steps(self, together: int, first_rows: int) -> list[ArrayStep]:
        """The steps, of which the first one begins with ``first_rows`` rows."""
        steps: list[ArrayStep] = []
        estimate = _Estimate(self)

        def add(step: ArrayStep) -> None:
            a_rows = self.m if not steps or (step.panel == 0 and step.k > 0) else 0
            before = self._loaded_panels(step.panel)
            panels = self._loaded_panels(step.panel + step.panels) - before
            parts = [step] if steps else list(self._from_the_start(step, first_rows))
            for part in parts:
                loads = StepLoads(
                    a_row=part.row,
                    a_rows=part.rows if a_rows else 0,
                    b_panel=before,
                    b_panels=0 if part.row else panels,
                )
                estimate.add(part, loads)
            steps.extend(parts)

        start = 0
        while together and start < self.k:
            size = self._k_size(start, together, estimate)
            add(ArrayStep(row=0, rows=self.m, panel=0, panels=together, k=start, k_size=size))
            start += size
        unit = self._align.drain_panels
        last = (self.panels - 1) // unit * unit if self.final else self.panels
        panel = together
        while panel < self.panels:
            most = (last if panel < last else self.panels) - panel
            count = self._panel_count(panel, most, estimate)
            add(ArrayStep(row=0, rows=self.m, panel=panel, panels=count, k=0, k_size=self.k))
            panel += count
        return [*steps[:-1], *self._to_the_end(steps[-1])] if self.final else steps

    def _k_size(self, start: int, panels: int, estimate: _Estimate) -> int:
        """Elements of K of the next part: as many as are loaded by the time the array needs them."""
        unit, loaded = self._align.k_part, self._loaded_panels(panels)
        size = unit
        # A part takes five commands more: without words of its own, their fetch would take longer than it saves.
        least = 10 * self.memory.command_words

        def cycles(k: int) -> int:
            return max(self.load_words(k, a_rows=self.m, panels=loaded))

        while start + size < self.k and cycles(size) < least:
            size += unit
        while start + size < self.k and estimate.hides(size + unit, a_rows=self.m, panels=loaded):
            size += unit
        return min(size, self.k - start)

    def _panel_count(self, panel: int, most: int, estimate: _Estimate) -> int:
        """Panels of the next step: as many as are loaded by the time the array needs them."""
        unit = self._align.drain_panels
        if not self.tiling.split:
            return min(unit, most)
        most = min(most, max(unit, self.tiling.held // unit * unit))
        if not self.load_b:
            return most
        count, loaded = unit, self._loaded_panels(panel)
        while count < most and estimate.hides(
            self.k, a_rows=0, panels=self._loaded_panels(panel + count + unit) - loaded
        ):
            count += unit
        return min(count, most)

    def _from_the_start(self, step: ArrayStep, first_rows: int) -> Iterator[ArrayStep]:
        """The first step of a program in parts of its rows: each is loaded while the one before is summed."""
        unit = math.lcm(self.die.rows, self._align.m)
        row, rows = 0, first_rows
        if step.panels > self.tiling.held:
            rows = self.m
        for part in range(ROW_PARTS):
            if part == ROW_PARTS - 1 or self.m - row - rows < max(unit, self._least_rows):
                rows = self.m - row
            yield replace(step, row=row, rows=rows)
            row += rows
            if row == self.m:
                return
            cycles = self.array_cycles(replace(step, rows=rows)) - START_CYCLES
            each = max(self.load_words(step.k_size, a_rows=unit, panels=0))
            rows = max(rows, cycles // each * unit)

    def _to_the_end(self, step: ArrayStep) -> Iterator[ArrayStep]:
        """The last step of a program in parts of its rows: each is stored while the next one is summed.

        Panels that are drained together go on in parts; the other ones come before.
        """
        unit = self._align.drain_panels
        if not self.tiling.split or step.panels > self.tiling.held:
            yield step
            return
        first = step.panel + (step.panels - 1) // unit * unit
        if first > step.panel:
            yield replace(step, panels=first - step.panel)
        panels = step.panel + step.panels - first
        ratio = -(-step.k_size // self.die.rows) * panels / self._sum_words(panels)
        bounds = [step.row + step.rows]
        rows = float(self._least_rows)
        for _ in range(ROW_PARTS - 1):
            start = (bounds[0] - rows) // self.die.rows * self.die.rows
            if start < step.row + self._least_rows:
                break
            rows = max(rows, (bounds[0] - start) * ratio)
            bounds.insert(0, int(start))
        for row, end in pairwise([step.row, *bounds]):
            yield replace(step, row=row, rows=end - row, panel=first, panels=panels)

    @property
    def _least_rows(self) -> int:
        """Rows with which a tile is no shorter than the load of the next weights; vectors begin at a multiple of R."""
        return -(-max(self.die.rows, self.die.stages) // self.die.rows) * self.die.rows

    def _sum_words(self, panels: int) -> int:
        """Words of a row of ``panels`` panels of Y."""
        return -(-4 * min(self.n, panels * self.die.cols) // self.memory.word_bytes)

    def load_words(self, k: int, *, a_rows: int, panels: int) -> tuple[int, int, int]:
        """Cycles of the memory port, of the feed of A and of that of B for ``k`` elements of rows and of panels."""
        die, shape = self.die, self.shape
        per_word = self.memory.word_bytes // die.element_bytes

        def words(rows: int, cols: int, *, turned: bool) -> int:
            return cols * -(-rows // per_word) if turned else rows * -(-cols // per_word)

        a_words = words(a_rows, k, turned=shape.activation_column) if a_rows and self.load_a else 0
        cols = min(self.n, panels * die.cols)
        b_words = words(k, cols, turned=shape.weight_column) if panels and self.load_b else 0
        return a_words + b_words, a_words * -(-per_word // die.rows), b_words * -(-per_word // die.cols)

    def array_cycles(self, step: ArrayStep) -> int:
        """Cycles of a step in the array."""
        return step.panels * -(-step.k_size // self.die.rows) * tile_cycles(self.die, step.rows)

    def _cost(self, steps: list[ArrayStep]) -> tuple[float, float]:
        """Estimated cycle in which the last word of the block's sums is in memory, and cycles without work."""
        estimate = _Estimate(self)
        stored = 0.0
        for step, loads in zip(steps, self.loads(steps), strict=True):
            before = estimate.add(step, loads)
            if self.last_k and step.k + step.k_size == self.k:
                words = step.rows * self._sum_words(step.panels) / step.panels
                for panel in range(1, step.panels + 1):
                    summed = before + (estimate.summed - before) * panel / step.panels
                    stored = max(stored, summed + START_CYCLES) + words
                estimate.port += words * step.panels
        return max(estimate.summed, stored, estimate.port) + estimate.idle / 8, len(steps)


class _Estimate:
    """About when the loads of the steps so far, and the steps themselves, are over."""

    def __init__(self, plan: BlockSteps) -> None:
        self._plan = plan
        self.port = self.summed = self.idle = 0.0
        self._feeds = [0.0, 0.0]

    def _after(self, k: int, a_rows: int, panels: int) -> tuple[float, list[float]]:
        port, *feeds = self._plan.load_words(k, a_rows=a_rows, panels=panels)
        # A GEMM, a load and a feed for each operand: their fetch comes first.
        operands = (a_rows > 0) + (panels > 0)
        port_end = self.port + port + self._plan.memory.command_words * (1 + 2 * operands)
        ends = [
            max(end + more, port_end) if more else end for end, more in zip(self._feeds, feeds, strict=True)
        ]
        return port_end, ends

    def hides(self, k: int, *, a_rows: int, panels: int) -> bool:
        """Whether these loads are over when the array is done with the steps so far."""
        _, feeds = self._after(k, a_rows, panels)
        return max(feeds) + START_CYCLES <= self.summed

    def add(self, step: ArrayStep, loads: StepLoads) -> float:
        """Add a step; return when it begins."""
        self.port, self._feeds = self._after(step.k_size, loads.a_rows, loads.b_panels)
        begin = self.summed
        if loads.a_rows or loads.b_panels:
            begin = max(begin, max(self._feeds) + START_CYCLES)
        if self.summed:
            self.idle += begin - self.summed
        self.summed = begin + self._plan.array_cycles(step)
        return begin
