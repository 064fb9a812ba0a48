"""Error monitor: keeps the first error of a die, and counts those that report one."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.error_codes import CODE_BITS, ERROR_COUNT_BITS, ERROR_UNITS, UNIT_BITS, ErrorCode

__all__ = ["ErrorMonitor"]


class ErrorMonitor(Block):
    """Takes what units report while a program runs. What it shows stays until a reset.

    Parameters
    ----------
    sources : tuple of (str, ErrorCode)
        Who may report what; of several in one cycle, the first one counts as the first error.

    Members
    -------
    {unit}_{code} : In(1)
        An error, in as many cycles as its source likes.
    error : Out(1)
        There was one, up to two cycles ago: what is reported is registered, since it may come late in its cycle.
    reported : Out(1)
        There was one in the cycle before: ``error`` shows it in the next one. The program is not to end meanwhile.
    code, unit, count : Out
        The first error and the number of its unit in :data:`ERROR_UNITS`; sources that have reported one.
    """

    def __init__(self, sources: tuple[tuple[str, ErrorCode], ...]) -> None:
        self._sources = {f"{unit}_{code.name.lower()}": (unit, code) for unit, code in sources}
        super().__init__(
            {
                **{name: In(1) for name in self._sources},
                "error": Out(1),
                "reported": Out(1),
                "code": Out(CODE_BITS),
                "unit": Out(UNIT_BITS),
                "count": Out(ERROR_COUNT_BITS),
            }
        )

    @property
    def block_name(self) -> str:
        return f"error_monitor_{len(self._sources)}"

    @property
    def observed(self) -> bool:
        return True

    def elaborate(self, platform: object) -> Module:
        m = Module()
        now = Signal(len(self._sources))
        seen = Signal(len(self._sources))
        m.d.sync += [
            now.eq(Cat(getattr(self, name) for name in self._sources)),
            seen.eq(seen | now),
            self.error.eq(self.error | self.reported),
        ]
        m.d.comb += self.count.eq(sum((seen[n] for n in range(len(self._sources))), start=0))
        m.d.comb += self.reported.eq(now.any())
        with m.If(~self.error):
            for n, (unit, code) in reversed([*enumerate(self._sources.values())]):
                with m.If(now[n]):
                    m.d.sync += [self.code.eq(code.value), self.unit.eq(ERROR_UNITS.index(unit))]
        return m
