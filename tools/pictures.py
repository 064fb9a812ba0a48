"""Pictures of the documentation, drawn from data: each function returns the text of one SVG file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

PLAIN, UNIT, STORAGE, SIDE = "#ffffff", "#dbe9f6", "#fdebc8", "#eeeeee"
"""Fills: a step, logic, memory, bench or software."""

TILES = ("#cfe2f3", "#fce5cd", "#d9ead3")
"""Fills of one stationary tile after the other."""

Point = tuple[float, float]


@dataclass
class Drawing:
    """Shapes on a white ground of ``width`` x ``height``."""

    width: int
    height: int
    title: str
    shapes: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, *, size: int = 13, anchor: str = "middle", bold: bool = False
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, lines: Sequence[str] = (), *, fill: str = PLAIN
    ) -> None:
        """A box with centred lines, the first of them bold."""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" stroke="#333333"/>'
        )
        top = y + height / 2 - 8 * (len(lines) - 1) + 5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 16 * number, line, size=11 if number else 13, bold=not number)

    def arrow(self, *points: Point, both: bool = False, dashed: bool = False) -> None:
        """A line through ``points`` with an arrowhead at its end, or at both ends."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        style = ' stroke-dasharray="4 3"' if dashed else ""
        start = ' marker-start="url(#head)"' if both else ""
        self.shapes.append(
            f'<polyline points="{path}" fill="none" stroke="#333333"{style}{start} marker-end="url(#head)"/>'
        )

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="#333333"/></marker></defs>\n'
            f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>\n'
        )
        return head + "\n".join(self.shapes) + "\n</svg>\n"


DIE_UNITS = (
    (20, "load", "load_unit"),
    (155, "feed activation", "feed_unit"),
    (290, "feed weight", "feed_unit"),
    (425, "feed sums", "feed_sums_unit"),
    (560, "drain", "drain_unit"),
    (695, "vector", "vector_unit"),
    (830, "store", "store_unit"),
)
"""Units of a die around the scratchpad: place, name, module."""


def die() -> str:
    """The compute die: units, buffers, and what flows between them."""
    d = Drawing(970, 800, "Compute die: units, buffers, data and commands")
    d.box(
        20,
        20,
        170,
        110,
        ("registers", "start, status, errors, counters", "rtl/control/counters.py"),
        fill=UNIT,
    )
    d.box(230, 20, 720, 110, fill=UNIT)
    d.text(590, 40, "command processor (rtl/control/command_processor.py)", bold=True)
    d.box(250, 60, 200, 52, ("fetch", "16 commands ahead"))
    d.box(490, 60, 200, 52, ("queues", "one a unit"), fill=STORAGE)
    d.box(730, 60, 200, 52, ("semaphores", "63 counters"))
    d.arrow((190, 75), (230, 75))
    d.text(210, 68, "start", size=11)
    d.arrow((590, 130), (590, 170))
    d.text(600, 154, "commands to each unit", size=11, anchor="start")
    d.arrow((830, 130), (830, 170), both=True, dashed=True)
    d.text(840, 154, "wait, post", size=11, anchor="start")
    # The array and its buffers.
    d.box(
        155,
        170,
        795,
        44,
        ("array unit", "weight loader and activation streamer: rtl/compute/array_unit.py"),
        fill=UNIT,
    )
    d.box(155, 250, 120, 70, ("activations", "R banks", "operand_buffer.py"), fill=STORAGE)
    d.box(290, 250, 120, 70, ("weights", "C banks", "operand_buffer.py"), fill=STORAGE)
    d.box(480, 250, 190, 70, ("array", "R x C PEs, skew inside", "rtl/compute/array.py"), fill=UNIT)
    d.box(425, 370, 255, 50, ("accumulator buffer", "rtl/compute/accumulator.py"), fill=STORAGE)
    d.arrow((215, 214), (215, 250))
    d.arrow((350, 214), (350, 250))
    d.text(360, 236, "addresses", size=11, anchor="start")
    d.arrow((575, 214), (575, 250))
    d.text(585, 236, "swap, load", size=11, anchor="start")
    d.arrow((410, 275), (480, 275))
    d.arrow((255, 320), (255, 340), (445, 340), (445, 300), (480, 300))
    d.arrow((575, 320), (575, 370))
    d.text(585, 350, "sums, column c after c cycles", size=11, anchor="start")
    # Units around the scratchpad.
    for x, name, module in DIE_UNITS:
        room = "vector" if name == "vector" else "memory"
        d.box(x, 460, 120, 54, (name, f"rtl/{room}/", f"{module}.py"), fill=UNIT)
    d.arrow((215, 460), (215, 320))
    d.arrow((350, 460), (350, 320))
    d.arrow((485, 460), (485, 420))
    d.arrow((620, 420), (620, 460))
    d.text(495, 444, "rows", size=11, anchor="start")
    d.text(630, 444, "rows", size=11, anchor="start")
    d.arrow((80, 514), (80, 560))
    d.arrow((215, 560), (215, 514))
    d.arrow((350, 560), (350, 514))
    d.arrow((485, 560), (485, 514))
    d.arrow((620, 514), (620, 560))
    d.arrow((755, 514), (755, 560), both=True)
    d.arrow((890, 560), (890, 514))
    d.box(
        60,
        560,
        850,
        50,
        ("scratchpad", "words in banks, a port for each unit: rtl/memory/scratchpad.py"),
        fill=STORAGE,
    )
    # Memory, and the engine of a die of a package.
    d.box(
        4, 690, 456, 44, ("arbiter", "fetch first, load and store in turn: rtl/memory/arbiter.py"), fill=UNIT
    )
    d.arrow((40, 690), (40, 514))
    d.text(48, 640, "words", size=11, anchor="start")
    d.arrow((930, 514), (930, 670), (430, 670), (430, 690))
    d.text(920, 640, "writes", size=11, anchor="end")
    d.arrow((12, 690), (12, 145), (350, 145), (350, 112), both=True)
    d.text(25, 160, "program", size=11, anchor="start")
    d.arrow((240, 734), (240, 780), both=True)
    d.text(250, 762, "memory port: requests, and words of reads in order", size=12, anchor="start")
    d.box(
        520,
        690,
        430,
        44,
        ("NoP engine, on a die of a package", "send and receive units: rtl/engine/engine.py"),
        fill=UNIT,
    )
    d.arrow((620, 610), (620, 690), both=True)
    d.text(630, 640, "words", size=11, anchor="start")
    d.arrow((735, 734), (735, 780), both=True)
    d.text(745, 762, "flits, from and to the router, each side", size=12, anchor="start")
    return d.svg()


FLOW_BOXES: dict[str, tuple[int, int, Sequence[str], str]] = {
    "toml": (20, 30, ("configuration", "TOML, -P", "chiplet/machine/config.py"), SIDE),
    "specs": (200, 30, ("specifications", "frozen, validated", "chiplet/machine/specs.py"), PLAIN),
    "die": (380, 30, ("die", "Amaranth", "rtl/die/die.py"), UNIT),
    "emit": (560, 30, ("Verilog", "a module a block", "rtl/emit/emitter.py"), UNIT),
    "bench": (740, 150, ("bench", "Icarus, cocotb", "cosim/benches/die.py"), SIDE),
    "shape": (20, 150, ("GEMM", "M, K, N, form", "cosim/program/tiling.py"), SIDE),
    "scheduler": (200, 150, ("scheduler", "blocks, program", "cosim/program/gemm.py"), PLAIN),
    "job": (560, 150, ("job", "program, memory", "cosim/jobs/die.py"), PLAIN),
    "golden": (200, 270, ("golden model", "numpy, bit for bit", "cosim/golden/gemm.py"), PLAIN),
    "timeline": (380, 270, ("timeline", "predicted cycles", "cosim/predict/die.py"), PLAIN),
    "record": (740, 270, ("record", "cycles, mismatches", "cosim/records/gemm.py"), STORAGE),
    "calibration": (560, 390, ("calibration", "fits the terms", "cosim/calibrate/die.py"), PLAIN),
    "terms": (380, 390, ("terms of the die", "JSON", "chiplet/machine/terms.py"), STORAGE),
    "projection": (200, 390, ("projection", "a training step", "chiplet/projection/project.py"), PLAIN),
}
"""Steps from a configuration to a projection: place, lines, fill."""

FLOW_ARROWS: Sequence[tuple[Point, ...]] = (
    ((160, 60), (200, 60)),  # configuration to specifications
    ((340, 60), (380, 60)),
    ((520, 60), (560, 60)),
    ((700, 60), (810, 60), (810, 150)),  # Verilog to bench
    ((270, 90), (270, 150)),  # specifications to scheduler
    ((160, 180), (200, 180)),
    ((340, 180), (560, 180)),  # scheduler to job
    ((450, 180), (450, 270)),  # scheduler to timeline
    ((700, 180), (740, 180)),
    ((90, 210), (90, 300), (200, 300)),  # GEMM to golden model
    ((810, 210), (810, 270)),  # bench to record
    ((520, 300), (740, 300)),  # timeline to record
    ((270, 330), (270, 355), (780, 355), (780, 330)),  # golden model to record
    ((840, 330), (840, 420), (700, 420)),  # record to calibration
    ((560, 420), (520, 420)),
    ((450, 390), (450, 330)),  # terms to timeline
    ((380, 420), (340, 420)),
    ((200, 75), (180, 75), (180, 420), (200, 420)),  # specifications to projection
)


def flow() -> str:
    """From a configuration to Verilog, a measured GEMM, a calibration and a projection."""
    d = Drawing(900, 470, "Flow from a configuration to a projection")
    for points in FLOW_ARROWS:
        d.arrow(*points)
    for x, y, lines, fill in FLOW_BOXES.values():
        d.box(x, y, 140, 60, lines, fill=fill)
    return d.svg()


def banking(*, banks: int = 4, rows: int = 6, cols: int = 8) -> str:
    """Bank and address of each element of a stored block, a row and a column of it marked."""
    size, left, top = 60, 70, 60
    d = Drawing(
        left + cols * size + 30, top + rows * size + 60, "Bank (i + j) mod B of each element of a block"
    )
    d.text(
        left + cols * size / 2,
        22,
        f"bank (i + j) mod {banks}, below it the address (j div {banks}) {rows} + i",
        bold=True,
    )
    row, column = 1, 6
    for i in range(rows):
        d.text(left - 12, top + i * size + 36, f"i = {i}", size=12, anchor="end")
        for j in range(cols):
            marked = (i == row and j < banks) or (j == column and 2 <= i < 2 + banks)
            x, y = left + j * size, top + i * size
            d.box(x, y, size, size, fill=TILES[0 if i == row else 1] if marked else PLAIN)
            d.text(x + size / 2, y + 27, str((i + j) % banks), size=17, bold=marked)
            d.text(x + size / 2, y + 48, str(j // banks * rows + i), size=11)
    for j in range(cols):
        d.text(left + j * size + size / 2, top - 10, f"j = {j}", size=12)
    below = top + rows * size
    d.text(left, below + 24, f"blue: a row vector, one address in {banks} banks", size=12, anchor="start")
    d.text(
        left,
        below + 44,
        f"orange: a column vector, {banks} addresses in {banks} banks",
        size=12,
        anchor="start",
    )
    return d.svg()


@dataclass(frozen=True)
class Slot:
    """What the PE of one array row in column 0 gets in a cycle, of tile ``tile``: ``weight`` is the number of a
    vector for its shadow register, or ``activation`` that of a vector to multiply.
    """

    row: int
    cycle: int
    tile: int
    weight: int | None = None
    activation: int | None = None


def wavefront_slots(*, rows: int, stages: int, m: int, tiles: int) -> Iterator[Slot]:
    """Vectors of successive tiles as they pass column 0; cycle 0 is the first weight vector at row 0."""
    period = max(m, rows, stages)
    for tile in range(tiles):
        # The first weights of a tile enter with the first activations of the tile before.
        load = 0 if tile == 0 else rows + (tile - 1) * period
        swap = rows + tile * period
        for row in range(rows):
            for weight in range(rows - row):
                yield Slot(row, load + weight + row * stages, tile, weight=weight)
            for activation in range(m):
                yield Slot(row, swap + activation + row * stages, tile, activation=activation)


def wavefront(*, rows: int = 4, stages: int = 1, tiles: int = 3) -> str:
    """Weights and activations in column 0, cycle by cycle, of tiles that take exactly ``rows`` cycles."""
    slots = list(wavefront_slots(rows=rows, stages=stages, m=rows, tiles=tiles))
    cycles = max(slot.cycle for slot in slots) + 1
    width, height, left, top = 42, 56, 70, 60
    d = Drawing(
        left + cycles * width + 20,
        top + rows * height + 70,
        "Wavefront of weights and activations in column 0",
    )
    d.text(
        left + cycles * width / 2,
        20,
        f"column 0 of {rows} rows, P = {stages}, tiles of m = {rows} activation vectors",
        bold=True,
    )
    for cycle in range(cycles):
        d.text(left + cycle * width + width / 2, top - 10, str(cycle), size=11)
        for row in range(rows):
            d.box(left + cycle * width, top + row * height, width, height)
    d.text(left - 12, top - 10, "cycle", size=11, anchor="end")
    for row in range(rows):
        d.text(left - 12, top + row * height + 33, f"row {row}", size=12, anchor="end")
    for slot in slots:
        x, y = left + slot.cycle * width, top + slot.row * height
        name, low = (f"w{slot.weight}", 0) if slot.activation is None else (f"x{slot.activation}", height / 2)
        d.box(x, y + low, width, height / 2, fill=TILES[slot.tile % len(TILES)])
        kept = slot.weight == rows - 1 - slot.row
        d.text(x + width / 2, y + low + 19, name, size=12, bold=kept or slot.activation == 0)
    below = top + rows * height
    for tile in range(tiles):
        d.box(left + 90 * tile, below + 14, 16, 16, fill=TILES[tile % len(TILES)])
        d.text(left + 90 * tile + 22, below + 27, f"tile {tile}", size=12, anchor="start")
    d.text(
        left,
        below + 52,
        "upper half: weight vector into the shadow register, bold: the one that stays",
        size=12,
        anchor="start",
    )
    d.text(left + 470, below + 52, "lower half: activation, bold: with swap", size=12, anchor="start")
    return d.svg()


def package(*, rows: int = 2, cols: int = 4) -> str:
    """A package: dies, IO dies at the ends of the rows, links of both planes, AXI ports and the host port."""
    width, height, pitch_x, pitch_y, left, top = 110, 80, 160, 150, 190, 90
    d = Drawing(
        left + cols * pitch_x + 150, top + rows * pitch_y + 60, "Package: dies, IO dies and the two planes"
    )
    right = left + cols * pitch_x
    for row in range(rows):
        y = top + row * pitch_y
        for side, x, port in (("west", 70, 10), ("east", right, right + 130)):
            d.box(x, y, 70, height, ("IO die", f"io_{side}_{row}"), fill=SIDE)
            d.arrow((x if side == "west" else x + 70, y + 40), (port, y + 40), both=True)
            d.text((x + port + (0 if side == "west" else 70)) / 2, y + 30, "AXI4", size=11)
        for col in range(cols):
            x = left + col * pitch_x
            serves = "west" if col <= cols - 1 - col else "east"
            d.box(x, y, width, height, (f"die {row * cols + col}", f"memory: io_{serves}_{row}"), fill=UNIT)
            if col + 1 < cols:
                d.arrow((x + width, y + 28), (x + pitch_x, y + 28), both=True)
                d.arrow((x + width, y + 55), (x + pitch_x, y + 55), both=True, dashed=True)
            if row + 1 < rows:
                d.arrow((x + 55, y + height), (x + 55, y + pitch_y), both=True)
        d.arrow((140, y + 55), (left, y + 55), both=True, dashed=True)
        d.arrow((right - pitch_x + width, y + 55), (right, y + 55), both=True, dashed=True)
    d.box(
        left,
        15,
        right - pitch_x + width - left,
        36,
        ("host port: registers of one die, or of all",),
        fill=PLAIN,
    )
    for col in range(cols):
        d.arrow((left + col * pitch_x + 55, 51), (left + col * pitch_x + 55, top))
    below = top + rows * pitch_y
    d.arrow((left, below), (left + 50, below), both=True)
    d.text(
        left + 60, below + 4, "links of the collective plane, along rows and columns", size=12, anchor="start"
    )
    d.arrow((left, below + 26), (left + 50, below + 26), both=True, dashed=True)
    d.text(left + 60, below + 30, "links of the memory plane, along rows only", size=12, anchor="start")
    return d.svg()


PICTURES: dict[str, Callable[[], str]] = {
    "die": die,
    "flow": flow,
    "package": package,
    "banking": banking,
    "wavefront": wavefront,
}
"""Every picture by the name of its file in ``docs/pictures``."""
