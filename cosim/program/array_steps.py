"""What the array does, command by command, with a block of A and a block of B.

Sums do not depend on the cut: a step takes all of its K in ascending tiles, and the steps of a panel follow each other
along K.

- A block that is loaded is multiplied while it comes: the first panels take K in parts, so many panels at a time that a
  part lasts as long as the loads of the next one.
- The other panels take the whole K of the block each, while weights of the next ones come.
- The last panels of a program take their rows in parts, so that rows leave while others are summed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.program.shape import Shape
from cosim.program.tiling import Alignment, Tiling, alignment, tile_cycles

__all__ = ["ArrayStep", "BlockSteps"]

START_CYCLES = 12
"""About the cycles from the last word of a load to the array, and from a sum to its word in memory."""


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
    final
        Whether it is the last one of the program.
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
    final: bool

    @property
    def _align(self) -> Alignment:
        return alignment(self.die, self.memory, self.shape)

    @property
    def panels(self) -> int:
        """Panels of the block."""
        return -(-self.n // self.die.cols)

    def loaded_panels(self, panel: int) -> int:
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
        if together:
            start = 0
            while start < self.k:
                size = self._k_size(start, together, summed - loaded)
                step = ArrayStep(row=0, rows=self.m, panel=0, panels=together, k=start, k_size=size)
                steps.append(step)
                loaded += self._load_cycles(size, 0, together, a=True)
                summed = max(summed, loaded + START_CYCLES) + self._array_cycles(step)
                start += size
        unit = self._align.drain_panels
        last = (self.panels - 1) // unit * unit if self.final else self.panels
        panel = together
        while panel < self.panels:
            most = (last if panel < last else self.panels) - panel
            count = self._panel_count(panel, most, summed - loaded)
            step = ArrayStep(row=0, rows=self.m, panel=panel, panels=count, k=0, k_size=self.k)
            steps.append(step)
            loaded += self._load_cycles(self.k, panel, panel + count, a=self.load_a and not steps[:-1])
            summed = max(summed, loaded + START_CYCLES) + self._array_cycles(step)
            panel += count
        return [*steps[:-1], *self._in_rows(steps[-1])] if self.final else steps

    def _k_size(self, start: int, panels: int, slack: float) -> int:
        """Elements of K of the next part: as many as are loaded by the time the array needs them."""
        unit = self._align.k_part
        size = unit
        # A part takes five commands more: without words of its own, their fetch would take longer than it saves.
        least = 10 * self.memory.command_words
        while start + size < self.k and self._load_cycles(size, 0, panels, a=True) < least:
            size += unit
        while start + size < self.k and self._load_cycles(size + unit, 0, panels, a=True) <= slack:
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
        count = unit
        while count < most and self._load_cycles(self.k, panel, panel + count + unit, a=False) <= slack:
            count += unit
        return min(count, most)

    def _in_rows(self, step: ArrayStep) -> Iterator[ArrayStep]:
        """The last step in parts of its rows, the last one as short as the array allows.

        It begins with a step of the panels that do not end with it, if there are any.
        """
        unit = self._align.drain_panels
        first = step.panel + (step.panels - 1) // unit * unit
        if not self.last_k or not self.tiling.split:
            yield step
            return
        if first > step.panel:
            yield ArrayStep(
                row=0, rows=self.m, panel=step.panel, panels=first - step.panel, k=step.k, k_size=step.k_size
            )
        panels = step.panel + step.panels - first
        for row, rows in self._row_parts(panels, -(-step.k_size // self.die.rows) * panels):
            yield ArrayStep(row=row, rows=rows, panel=first, panels=panels, k=step.k, k_size=step.k_size)

    def _row_parts(self, panels: int, row_cycles: int) -> list[tuple[int, int]]:
        """First row and rows of each part, so that a part is stored while the next one is summed."""
        die = self.die
        words = self._sum_words(panels)
        parts: list[tuple[int, int]] = []
        end, rows = self.m, float(max(die.rows, die.stages))
        while end > 0:
            # Vectors of A begin at a multiple of R: the last part takes the remainder.
            start = int(end - rows) // die.rows * die.rows if end > rows else 0
            if len(parts) == 3 or start < max(die.rows, die.stages):
                start = 0
            parts.append((start, end - start))
            rows = max(rows, (end - start) * row_cycles / words)
            end = start
        return parts[::-1]

    def _sum_words(self, panels: int) -> int:
        """Words of a row of ``panels`` panels of Y."""
        return -(-4 * min(self.n, panels * self.die.cols) // self.memory.word_bytes)

    def _load_cycles(self, k: int, first: int, panel: int, *, a: bool) -> int:
        """Cycles of the loads and feeds for ``k`` elements of the panels from ``first`` to before ``panel``."""
        die, shape = self.die, self.shape
        per_word = self.memory.word_bytes // die.element_bytes

        def words(rows: int, cols: int) -> int:
            return rows * -(-cols // per_word)

        def steps(lanes: int) -> int:
            return -(-per_word // lanes)

        cols = self.n if panel >= self.panels else self.loaded_panels(panel) * die.cols
        cols = max(0, min(cols, self.n) - self.loaded_panels(first) * die.cols) if self.load_b else 0
        b_words = words(cols, k) if shape.weight_column else words(k, cols)
        a_words = 0
        if a:
            a_words = words(k, self.m) if shape.activation_column else words(self.m, k)
        return max(a_words + b_words, a_words * steps(die.rows), b_words * steps(die.cols))

    def _array_cycles(self, step: ArrayStep) -> int:
        return step.panels * -(-step.k_size // self.die.rows) * tile_cycles(self.die, step.rows)

    def _end(self, steps: list[ArrayStep]) -> float:
        """Estimated cycle in which the last word of the block's sums is in memory."""
        loaded = summed = stored = 0.0
        all_words = 0
        b_loaded: dict[int, int] = {}  # panels whose weights are loaded, by first element of K
        for number, step in enumerate(steps):
            a = self.load_a and (number == 0 or (step.panel == 0 and step.k > steps[number - 1].k))
            first = b_loaded.get(step.k, 0)
            end = step.panel + step.panels
            if end > first:
                loaded += self._load_cycles(step.k_size, first, end, a=a)
                b_loaded[step.k] = end
            summed = max(summed, loaded + START_CYCLES)
            for _ in range(step.panels):
                summed += self._array_cycles(step) / step.panels
                if self.last_k and step.k + step.k_size == self.k:
                    words = step.rows * self._sum_words(1)
                    all_words += words
                    stored = max(stored, summed + START_CYCLES) + words
        return max(summed, stored, loaded + all_words)
