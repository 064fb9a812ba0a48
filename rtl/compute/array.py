"""Weight-stationary systolic array of R x C PEs with shadow weights, any R and C.

Row 0 is on top and holds the largest k of a tile; sums flow down, activations and their control flow right. The
weights of the next tile shift down into the shadow registers while this tile computes. Both operands enter as whole
vectors, and the skew that the wavefront needs is inside.
"""

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Member, Out

from chiplet.machine.pipelining import MULTIPLIER_STAGES
from chiplet.machine.specs import Dtype
from rtl.block import Block, place
from rtl.compute.mac import OPERAND_BITS, with_multiplier
from rtl.compute.pe import PE
from rtl.lib.delay import Delay, Skew
from rtl.lib.widths import index_bits

__all__ = ["Array", "Row"]


def row_ports(*, height: int, rows: int, cols: int, element: int) -> dict[str, Member]:
    """Ports of ``height`` of the array's ``rows`` rows; an operand has ``element`` bits."""
    count = index_bits(rows)
    return {
        "a": In(height * element),
        "swap": In(1),
        "load": In(1),
        "count": In(count),
        "w_in": In(cols * element),
        "psum_in": In(cols * 32),
        "swap_next": Out(1),
        "load_next": Out(1),
        "count_next": Out(count),
        "w_out": Out(cols * element),
        "psum_out": Out(cols * 32),
    }


class Row(Block):
    """One row of the array: C PEs, and the control that goes down to the next row in P cycles.

    Parameters
    ----------
    rows, cols : int
        Size of the array that the row belongs to.
    dtype : str
        ``bf16`` or ``int8``.
    stages, multiplier_stages : int
        Pipeline stages P of a PE's adder, and M of its multiplier.

    Members
    -------
    a : In(E), swap : In(1)
        Activation of this row, E bits, and whether it is the first of a tile.
    load : In(1), count : In, w_in : In(cols * E), w_out : Out(cols * E)
        Weight vector for the shadow registers; ``count`` rows below still need one. ``w_out`` goes to the row below.
    psum_in : In(cols * 32), psum_out : Out(cols * 32)
        Sums from above and to the row below.
    swap_next, load_next, count_next : Out
        The control for the row below, P cycles later.
    """

    def __init__(self, *, rows: int, cols: int, dtype: Dtype, stages: int, multiplier_stages: int) -> None:
        self._multiplier_stages = multiplier_stages
        self._rows, self._cols, self._dtype, self._stages = rows, cols, dtype, stages
        self._element = OPERAND_BITS[dtype]
        super().__init__(row_ports(height=1, rows=rows, cols=cols, element=self._element))

    @property
    def block_name(self) -> str:
        name = f"row_{self._rows}x{self._cols}_{self._dtype}_p{self._stages}"
        return with_multiplier(name, self._multiplier_stages)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, swap, load = self.a, self.swap, self.load
        w_out, psum_out = [], []
        for c in range(self._cols):
            pe = PE(dtype=self._dtype, stages=self._stages, multiplier_stages=self._multiplier_stages)
            place(m, platform, f"pe_{c}", pe)
            m.d.comb += [
                pe.a_in.eq(a),
                pe.swap_in.eq(swap),
                pe.load_in.eq(load),
                pe.w_in.eq(self.w_in.word_select(c, self._element)),
                pe.psum_in.eq(self.psum_in.word_select(c, 32)),
            ]
            a, swap, load = pe.a_out, pe.swap_out, pe.load_out
            w_out.append(pe.w_out)
            psum_out.append(pe.psum_out)
        m.d.comb += [self.w_out.eq(Cat(w_out)), self.psum_out.eq(Cat(psum_out))]

        # A row keeps the last vector that it loads, so the row below gets one vector fewer.
        below = Delay(width=2 + len(self.count), cycles=self._stages, reset_less=False)
        place(m, platform, "below", below)
        m.d.comb += [
            below.i.eq(Cat(self.swap, self.load & (self.count != 0), (self.count - 1)[: len(self.count)])),
            Cat(self.swap_next, self.load_next, self.count_next).eq(below.o),
        ]
        return m


class ArrayRows(Block):
    """``height`` consecutive rows, as two halves: one module for each size, so that text and time of generation grow
    with the logarithm of the height.

    Parameters
    ----------
    height : int
        Rows here, at least 2.
    rows, cols, dtype, stages, multiplier_stages
        As for :class:`Row`.

    Members
    -------
    As those of :class:`Row`, with ``height`` activations in ``a``, the topmost first.
    """

    def __init__(
        self,
        *,
        height: int,
        rows: int,
        cols: int,
        dtype: Dtype,
        stages: int,
        multiplier_stages: int = MULTIPLIER_STAGES,
    ) -> None:
        self._multiplier_stages = multiplier_stages
        self._height, self._rows, self._cols, self._dtype, self._stages = height, rows, cols, dtype, stages
        self._element = OPERAND_BITS[dtype]
        super().__init__(row_ports(height=height, rows=rows, cols=cols, element=self._element))

    @property
    def block_name(self) -> str:
        name = f"rows_{self._height}_of_{self._rows}x{self._cols}_{self._dtype}_p{self._stages}"
        return with_multiplier(name, self._multiplier_stages)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        top = self._height - self._height // 2
        upper, lower = (
            make_rows(
                height=height,
                rows=self._rows,
                cols=self._cols,
                dtype=self._dtype,
                stages=self._stages,
                multiplier_stages=self._multiplier_stages,
            )
            for height in (top, self._height - top)
        )
        place(m, platform, "upper", upper)
        place(m, platform, "lower", lower)
        m.d.comb += [
            Cat(upper.a, lower.a).eq(self.a),
            *(
                getattr(upper, name).eq(getattr(self, name))
                for name in ("swap", "load", "count", "w_in", "psum_in")
            ),
            *(getattr(lower, name).eq(getattr(upper, f"{name}_next")) for name in ("swap", "load", "count")),
            lower.w_in.eq(upper.w_out),
            lower.psum_in.eq(upper.psum_out),
            *(
                getattr(self, name).eq(getattr(lower, name))
                for name in ("swap_next", "load_next", "count_next", "w_out", "psum_out")
            ),
        ]
        return m


def make_rows(
    *, height: int, rows: int, cols: int, dtype: Dtype, stages: int, multiplier_stages: int
) -> Row | ArrayRows:
    """Return a block of ``height`` rows of the array."""
    if height == 1:
        return Row(rows=rows, cols=cols, dtype=dtype, stages=stages, multiplier_stages=multiplier_stages)
    return ArrayRows(
        height=height,
        rows=rows,
        cols=cols,
        dtype=dtype,
        stages=stages,
        multiplier_stages=multiplier_stages,
    )


class Array(Block):
    """R rows of C PEs, with the skew of both operands.

    The result of column c for an activation vector given in cycle t is ``psum`` lane c in cycle
    t + M + R * P + c.

    Parameters
    ----------
    rows, cols, dtype, stages, multiplier_stages
        As for :class:`Row`.

    Members
    -------
    a : In(R * E)
        Activation vector; lane l goes to the row that holds the l-th k of the tile.
    swap : In(1)
        The vector is the first of a tile: the shadow weights become the weights from here on.
    load, count, w : In(1), In, In(C * E)
        Weight vectors of a tile in ascending k, R in all, with ``count`` falling from R - 1 to 0. A vector may come
        as early as the first activation vector of the tile before.
    psum : Out(C * 32)
        Sums; column c is c cycles later than column 0.
    """

    def __init__(
        self,
        *,
        rows: int,
        cols: int,
        dtype: Dtype,
        stages: int,
        multiplier_stages: int = MULTIPLIER_STAGES,
    ) -> None:
        self._multiplier_stages = multiplier_stages
        self._rows, self._cols, self._dtype, self._stages = rows, cols, dtype, stages
        self._element = OPERAND_BITS[dtype]
        super().__init__(
            {
                "a": In(rows * self._element),
                "swap": In(1),
                "load": In(1),
                "count": In(index_bits(rows)),
                "w": In(cols * self._element),
                "psum": Out(cols * 32),
            }
        )

    @property
    def block_name(self) -> str:
        name = f"array_{self._rows}x{self._cols}_{self._dtype}_p{self._stages}"
        return with_multiplier(name, self._multiplier_stages)

    @property
    def latency(self) -> int:
        """Cycles from an activation vector to its sum in column 0."""
        return self._multiplier_stages + self._rows * self._stages

    def elaborate(self, platform: object) -> Module:
        m = Module()
        element = self._element
        a_skew = Skew(lanes=self._rows, width=element, per_lane=self._stages)
        w_skew = Skew(lanes=self._cols, width=element, per_lane=1)
        place(m, platform, "a_skew", a_skew)
        place(m, platform, "w_skew", w_skew)
        # Lane 0, the smallest k of the tile, belongs to the bottom row: weights enter at the top in ascending k.
        m.d.comb += [
            a_skew.i.eq(Cat(self.a.word_select(r, element) for r in reversed(range(self._rows)))),
            w_skew.i.eq(self.w),
        ]
        rows = make_rows(
            height=self._rows,
            rows=self._rows,
            cols=self._cols,
            dtype=self._dtype,
            stages=self._stages,
            multiplier_stages=self._multiplier_stages,
        )
        place(m, platform, "rows", rows)
        m.d.comb += [
            rows.a.eq(a_skew.o),
            rows.swap.eq(self.swap),
            rows.load.eq(self.load),
            rows.count.eq(self.count),
            rows.w_in.eq(w_skew.o),
            rows.psum_in.eq(0),
            self.psum.eq(rows.psum_out),
        ]
        return m
