"""Counting semaphores of a die, by which its units order each other.

The counters stand side by side: bit b of all of them is one vector, and so is everything that happens to them in a
cycle. A handful of operations on vectors then counts for all, in hardware as many gates as counters of their own
would take, in simulation as fast as the processor's words are wide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from rtl.block import Block
from rtl.interface.isa import NUMBER_BITS, SEMAPHORE_BITS, SEMAPHORES
from rtl.interface.semaphore_port import SemaphorePort, semaphore_mask

__all__ = ["Semaphores", "semaphore_rank"]


def semaphore_rank(port: str) -> int:
    """Order of semaphore ports in Verilog: ``wait`` and ``post`` of all units, then ``take``, ``ok``, and the host."""
    if port == "host_post":
        return 3
    return {"take": 1, "ok": 2}.get(port.rsplit("_", 1)[-1], 0)


class Semaphores(Block):
    """Counting semaphores. Each may have any number of posters, but only one unit that waits on it.

    Parameters
    ----------
    units : tuple of str
        Those that wait and post.
    posters : tuple of str
        Those that only post.

    Members
    -------
    clear : In(1)
        All are 0 from the next cycle on.
    set_number : In(NUMBER_BITS), set_value : In(SEMAPHORE_BITS)
        A semaphore that is given a value, whatever is posted in this cycle; 0: none.
    units : In(SemaphorePort).array
        Of each unit.
    posts : In(SEMAPHORES).array
        Semaphores that each poster posts.
    available : Out(SEMAPHORES)
        Those above zero.
    overflow : Out(1)
        One was posted beyond what it can hold, in the cycle before. What it holds then means nothing.
    """

    def __init__(self, units: tuple[str, ...], posters: tuple[str, ...] = ()) -> None:
        self._units, self._posters = units, posters
        super().__init__(
            {
                "clear": In(1),
                "set_number": In(NUMBER_BITS),
                "set_value": In(SEMAPHORE_BITS),
                "units": In(SemaphorePort()).array(len(units)),
                "posts": In(SEMAPHORES).array(len(posters)),
                "available": Out(SEMAPHORES),
                "overflow": Out(1),
            },
            names={
                "units": units.__getitem__,
                "posts": lambda n: f"{posters[n]}_post",
            },
        )

    @property
    def block_name(self) -> str:
        name = f"semaphores_{len(self._units)}"
        return f"{name}_{len(self._posters)}" if self._posters else name

    def port_rank(self, name: str) -> int:
        return semaphore_rank(name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = Signal(SEMAPHORES)
        given = Signal(SEMAPHORES)
        m.d.comb += [given.eq(semaphore_mask(self.set_number)), kept.eq(Mux(self.clear, 0, ~given))]

        # What happens in a cycle is counted in the next one, so that it may come late in its own. A semaphore is above
        # zero all the same from the next cycle on: it has been posted, or its value leaves one beside what was taken.
        # What is taken was there, so a value of 0 and a taking do not come together.
        taken = Signal(SEMAPHORES)
        takes = reduce(or_, (unit.wait & unit.take.replicate(SEMAPHORES) for unit in self.units))
        m.d.sync += taken.eq(takes & kept)
        posted = []
        for name, post in zip(
            (*self._units, *self._posters), [*(unit.post for unit in self.units), *self.posts], strict=True
        ):
            register = Signal(SEMAPHORES, name=f"{name}_posted")
            m.d.sync += register.eq(post & kept)
            posted.append(register)
        one = Signal(SEMAPHORES)  # the value is at least 1
        two = Signal(SEMAPHORES)
        m.d.comb += self.available.eq(reduce(or_, posted) | two | (one & ~taken))
        for unit in self.units:
            m.d.comb += unit.ok.eq(~(unit.wait & ~self.available).any())

        # Value plus posts, in the low bits less what is taken, and then what is carried to the bits above.
        posts = _count(m, posted)
        values = [Signal(SEMAPHORES, name=f"values_{bit}") for bit in range(SEMAPHORE_BITS)]
        nexts = []
        carry: Value = Const(0, SEMAPHORES)
        borrow: Value = taken
        for bit, (value, post) in enumerate(zip(values, posts, strict=False)):
            total = Signal(SEMAPHORES, name=f"total_{bit}")
            m.d.comb += total.eq(value ^ post ^ carry)
            carry = _named(m, f"carry_{bit}", (value & post) | (carry & (value ^ post)))
            nexts.append(_named(m, f"next_{bit}", total ^ borrow))
            borrow = _named(m, f"borrow_{bit}", borrow & ~total)
        down = _named(m, "down", borrow & ~carry)
        change = _named(m, "change", borrow ^ carry)
        for bit in range(len(posts), SEMAPHORE_BITS):
            nexts.append(_named(m, f"next_{bit}", values[bit] ^ change))
            change = _named(m, f"change_{bit}", change & (values[bit] ^ down))
        m.d.comb += self.overflow.eq((change & ~down).any())
        following = []
        for bit, (value, counted) in enumerate(zip(values, nexts, strict=True)):
            news = _named(
                m, f"news_{bit}", (counted & kept) | (given & self.set_value[bit].replicate(SEMAPHORES))
            )
            m.d.sync += value.eq(news)
            following.append(news)
        above = _named(m, "above", reduce(or_, following[1:]))
        m.d.sync += [two.eq(above), one.eq(above | following[0])]
        return m


def _named(m: Module, name: str, value: Value) -> Signal:
    wire = Signal(SEMAPHORES, name=name)
    m.d.comb += wire.eq(value)
    return wire


def _count(m: Module, masks: Sequence[Value]) -> list[Value]:
    """Count for each semaphore in how many of ``masks`` its bit is 1: the bits of the counts, the lowest first."""
    counts: list[Value] = []
    column = deque(masks)
    while column:
        above: deque[Value] = deque()
        bit = len(counts)
        for step in range(len(column) // 2):
            a, b = column.popleft(), column.popleft()
            c = column.popleft() if column else Const(0, SEMAPHORES)
            half = _named(m, f"half_{bit}_{step}", a ^ b)
            above.append(_named(m, f"both_{bit}_{step}", (a & b) | (half & c)))
            column.append(_named(m, f"odd_{bit}_{step}", half ^ c))
        counts.append(column[0])
        column = above
    return counts
