"""Processing element of the weight-stationary array: two weight registers, multiplier, pipelined adder."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import MULTIPLIER_STAGES
from chiplet.machine.specs import Dtype
from rtl.block import Block
from rtl.compute.mac import (
    OPERAND_BITS,
    PRODUCT_BITS,
    check_arithmetic,
    product,
    total,
    widen,
    with_multiplier,
)


class PE(Block):
    """Multiply-add with a stationary weight; the next weight loads while this one computes.

    Operands are E bits wide (16 for bf16, 8 for int8), sums 32 bits. In every cycle:

    - ``a_out``, ``swap_out``, ``load_out`` take over ``a_in``, ``swap_in``, ``load_in``: they walk along the
      row.
    - ``load_in`` puts ``w_in`` into the shadow weight. ``w_out`` is the shadow weight of ``stages - 1``
      cycles ago, so that weights walk down the column as slowly as the sums do.
    - ``swap_in`` makes the shadow weight the active one, for the operand of that same cycle already.
    - The product of ``a_in`` and the weight is there M = ``multiplier_stages`` cycles later, and is added to
      ``psum_in`` in ``stages`` cycles: an operand of cycle t and the ``psum_in`` of cycle t + M make the ``psum_out``
      of cycle t + M + ``stages``.

    Only ``swap_out`` and ``load_out`` have a reset.

    Parameters
    ----------
    dtype
        Operand type: ``bf16`` or ``int8``.
    stages
        Pipeline stages P of the adder, 1 to 4.
    multiplier_stages
        Pipeline stages of the multiplier, 1 or 2.
    """

    def __init__(self, *, dtype: Dtype, stages: int, multiplier_stages: int = MULTIPLIER_STAGES) -> None:
        check_arithmetic("PE", dtype=dtype, stages=stages, multiplier_stages=multiplier_stages)
        self.multiplier_stages = multiplier_stages
        self.dtype: Dtype = dtype
        self.stages = stages
        element = OPERAND_BITS[dtype]
        super().__init__(
            {
                "a_in": In(element),
                "swap_in": In(1),
                "load_in": In(1),
                "w_in": In(element),
                "psum_in": In(32),
                "a_out": Out(element),
                "swap_out": Out(1),
                "load_out": Out(1),
                "w_out": Out(element),
                "psum_out": Out(32),
            }
        )

    @property
    def block_name(self) -> str:
        return with_multiplier(f"pe_{self.dtype}_p{self.stages}", self.multiplier_stages)

    @property
    def clocked(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        element = OPERAND_BITS[self.dtype]

        a = Signal(element, reset_less=True)
        swap = Signal()
        load = Signal()
        m.d.sync += [a.eq(self.a_in), swap.eq(self.swap_in), load.eq(self.load_in)]
        m.d.comb += [self.a_out.eq(a), self.swap_out.eq(swap), self.load_out.eq(load)]

        shadow = Signal(element, reset_less=True)
        active = Signal(element, reset_less=True)
        weight = Signal(element)
        m.d.comb += weight.eq(Mux(self.swap_in, shadow, active))
        m.d.sync += active.eq(weight)
        with m.If(self.load_in):
            m.d.sync += shadow.eq(self.w_in)
        passed = shadow
        for stage in range(1, self.stages):
            later = Signal(element, name=f"passed_{stage}", reset_less=True)
            m.d.sync += later.eq(passed)
            passed = later
        m.d.comb += self.w_out.eq(passed)

        scaled = Signal(PRODUCT_BITS[self.dtype], reset_less=True)
        m.d.sync += scaled.eq(
            product(m, self.a_in, weight, dtype=self.dtype, registered=self.multiplier_stages == 2)
        )
        addend = widen(scaled, dtype=self.dtype)
        m.d.comb += self.psum_out.eq(total(m, self.psum_in, addend, dtype=self.dtype, stages=self.stages))
        return m
