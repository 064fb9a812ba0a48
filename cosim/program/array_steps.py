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
from dataclasses import dataclass
from itertools import pairwise

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.shape import Shape
from cosim.program.tiling import Alignment, Tiling, alignment, tile_cycles

__all__ = ["ArrayStep", "BlockSteps", "StepLoads"]

START_CYCLES = 40
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
        """Rows of A that come with those before ``row``, as words of memory may hold several."""
        unit = self._align.m
        return min(self.m, -(-row // unit) * unit)

    def _loaded_panels(self, panel: int) -> int:
        """Panels whose weights come with those of the panels before ``panel``, as words of memory hold several."""
        unit = self._align.weight_panels
        return min(self.panels, -(-panel // unit) * unit)

    def steps(self) -> list[ArrayStep]:
        """Return the steps that are estimated to end first, in order."""
        return min((self._steps(together) for together in self._choices()), key=self._end)

    def _choices(self) -> Iterator[int]:
        """Numbers of panels that may take their K in parts together; 0 for none."""
        parts = self.load_a and self.load_b and self.k > self._align.k_part and self.tiling.split
        unit, panels = self._align.drain_panels, self.panels
        together = 0 if not parts else unit
        while parts and together < min(panels, self.tiling.held):
            yield together
            together *= 2
        if not parts or panels <= self.tiling.held:
            yield panels if parts else 0
        elif together == unit:
            yield 0

    def _steps(self, together: int) -> list[ArrayStep]:
        steps = []
        loaded = summed = 0.0  # cycles in which the loads so far, and the steps so far, are over
        start = 0
        while together and start < self.k:
            size = self._k_size(start, together, summed - loaded)
            step = ArrayStep(row=0, rows=self.m, panel=0, panels=together, k=start, k_size=size)
            steps.append(step)
            loaded += self._load_cycles(size, a_rows=self.m, panels=self._loaded_panels(together))
            summed = max(summed, loaded + START_CYCLES) + self._array_cycles(step)
            start += size
        unit = self._align.drain_panels
        last = (self.panels - 1) // unit * unit if self.final else self.panels
        panel = together
        while panel < self.panels:
            most = (last if panel < last else self.panels) - panel
            count = self._panel_count(panel, most, summed - loaded)
            step = ArrayStep(row=0, rows=self.m, panel=panel, panels=count, k=0, k_size=self.k)
            loaded += self._load_cycles(
                self.k,
                a_rows=0 if steps else self.m,
                panels=self._loaded_panels(panel + count) - self._loaded_panels(panel),
            )
            steps.append(step)
            summed = max(summed, loaded + START_CYCLES) + self._array_cycles(step)
            panel += count
        if len(steps) == 1:
            return list(self._in_rows(steps[0], starts=self.first, ends=self.final))
        return [
            *self._in_rows(steps[0], starts=self.first, ends=False),
            *steps[1:-1],
            *self._in_rows(steps[-1], starts=False, ends=self.final),
        ]

    def _k_size(self, start: int, panels: int, slack: float) -> int:
        """Elements of K of the next part: as many as are loaded by the time the array needs them."""
        unit, loaded = self._align.k_part, self._loaded_panels(panels)
        size = unit
        # A part takes five commands more: without words of its own, their fetch would take longer than it saves.
        least = 10 * self.memory.command_words
        while start + size < self.k and self._load_cycles(size, a_rows=self.m, panels=loaded) < least:
            size += unit
        while start + size < self.k and self._load_cycles(size + unit, a_rows=self.m, panels=loaded) <= slack:
            size += unit
        return min(size, self.k - start)

    def _panel_count(self, panel: int, most: int, slack: float) -> int:
        """Panels of the next step: as many as are loaded by the time the array needs them."""
        unit = self._align.drain_panels
        if not self.tiling.split:
            return min(unit, most)
        most = min(most, max(unit, self.tiling.held // unit * unit))
        if not self.load_b:
            return most
        count, loaded = unit, self._loaded_panels(panel)
        while (
            count < most
            and self._load_cycles(self.k, a_rows=0, panels=self._loaded_panels(panel + count + unit) - loaded)
            <= slack
        ):
            count += unit
        return min(count, most)

    def _in_rows(self, step: ArrayStep, *, starts: bool, ends: bool) -> Iterator[ArrayStep]:
        """A step in parts of its rows, if it is the one that starts, or ends, the program.

        At the end, panels that are drained together go on in parts; a step of the other ones comes before.
        """
        unit = self._align.drain_panels
        starts = starts and self.load_a and self.load_b
        ends = ends and self.last_k and self.tiling.split
        first = step.panel + (step.panels - 1) // unit * unit if ends and not starts else step.panel
        if first > step.panel:
            yield ArrayStep(
                row=0, rows=self.m, panel=step.panel, panels=first - step.panel, k=step.k, k_size=step.k_size
            )
        panels = step.panel + step.panels - first
        row_cycles = -(-step.k_size // self.die.rows) * panels
        bounds = {0, self.m}
        if starts:
            bounds |= self._first_rows(row_cycles, step.k_size)
        if ends:
            bounds |= self._last_rows(row_cycles / self._sum_words(panels))
        ordered = sorted(bounds)
        for row, end in pairwise(ordered):
            yield ArrayStep(row=row, rows=end - row, panel=first, panels=panels, k=step.k, k_size=step.k_size)

    @property
    def _least_rows(self) -> int:
        """Rows with which a tile is no shorter than the load of the next weights; vectors begin at a multiple of R."""
        return -(-max(self.die.rows, self.die.stages) // self.die.rows) * self.die.rows

    def _first_rows(self, row_cycles: int, k: int) -> set[int]:
        """Where the rows are cut so that a part is loaded while the one before is summed, in ``row_cycles`` a row."""
        unit = math.lcm(self.die.rows, self._align.m)
        least = max(unit, self._least_rows)
        growth = max(1.0, row_cycles * unit / self._load_cycles(k, a_rows=unit, panels=0))
        rows = max(least, self.m / sum(growth**part for part in range(ROW_PARTS)))
        bounds, end = set(), 0
        for _ in range(ROW_PARTS - 1):
            end = math.ceil((end + rows) / unit) * unit
            if end > self.m - least:
                break
            bounds.add(end)
            rows *= growth
        return bounds

    def _last_rows(self, ratio: float) -> set[int]:
        """Where the rows are cut so that a part is stored while the next one is summed, ``ratio`` times as long."""
        bounds: set[int] = set()
        end, rows = float(self.m), float(self._least_rows)
        for _ in range(ROW_PARTS - 1):
            start = (end - rows) // self.die.rows * self.die.rows
            if start < self._least_rows:
                break
            bounds.add(int(start))
            rows, end = max(rows, (end - start) * ratio), start
        return bounds

    def _sum_words(self, panels: int) -> int:
        """Words of a row of ``panels`` panels of Y."""
        return -(-4 * min(self.n, panels * self.die.cols) // self.memory.word_bytes)

    def _load_cycles(self, k: int, *, a_rows: int, panels: int) -> int:
        """Cycles of the loads and feeds for ``k`` elements of rows of A and of panels of B."""
        die, shape = self.die, self.shape
        per_word = self.memory.word_bytes // die.element_bytes

        def words(rows: int, cols: int, *, turned: bool) -> int:
            return cols * -(-rows // per_word) if turned else rows * -(-cols // per_word)

        a_words = words(a_rows, k, turned=shape.activation_column) if a_rows and self.load_a else 0
        cols = min(self.n, panels * die.cols)
        b_words = words(k, cols, turned=shape.weight_column) if panels and self.load_b else 0
        return max(a_words + b_words, a_words * -(-per_word // die.rows), b_words * -(-per_word // die.cols))

    def _array_cycles(self, step: ArrayStep) -> int:
        return step.panels * -(-step.k_size // self.die.rows) * tile_cycles(self.die, step.rows)

    def _end(self, steps: list[ArrayStep]) -> float:
        """Estimated cycle in which the last word of the block's sums is in memory."""
        loaded = summed = stored = 0.0
        all_words = 0
        for step, load in zip(steps, self.loads(steps), strict=True):
            loaded += self._load_cycles(step.k_size, a_rows=load.a_rows, panels=load.b_panels)
            if load.a_rows or load.b_panels:
                summed = max(summed, loaded + START_CYCLES)
            for _ in range(step.panels):
                summed += self._array_cycles(step) / step.panels
                if self.last_k and step.k + step.k_size == self.k:
                    words = step.rows * self._sum_words(1)
                    all_words += words
                    stored = max(stored, summed + START_CYCLES) + words
        return max(summed, stored, loaded + all_words)
