"""The conversion by spans of nets writes the text of Amaranth's own, byte for byte, and finds the same mistakes."""

from __future__ import annotations

from collections.abc import Callable
from operator import add, and_, eq, floordiv, ge, gt, le, lshift, lt, mod, mul, ne, or_, rshift, sub, xor
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import (
    Array,
    Cat,
    ClockDomain,
    Const,
    Fragment,
    Instance,
    Module,
    Mux,
    Signal,
    _ast,
    _nir,
    signed,
    unsigned,
)
from amaranth.hdl._ir import PortDirection
from amaranth.lib import data, enum
from amaranth.lib.memory import Memory

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.die.die import Die
from rtl.emit import emitter
from rtl.emit.span_rtlil import convert

IN, OUT = PortDirection.Input, PortDirection.Output
Ports = dict[str, tuple[Any, PortDirection]]
Design = Callable[[], tuple[Module, Ports]]


class Kind(enum.Enum, shape=2):  # type: ignore[call-arg]
    """Values of a field with names."""

    FIRST = 0
    OTHER = 2


def operators() -> tuple[Module, Ports]:
    m = Module()
    ports: Ports = {}
    words = [Signal(shape, name=f"w{number}") for number, shape in enumerate((5, signed(4), 1, signed(9), 3))]
    values = [*words, Const(3, 4), Const(-2, signed(5)), Cat(words[0], words[4]), words[3][2:7], Const(0, 0)]
    for word in words:
        ports[word.name] = word, IN

    def result(value: Any) -> None:
        name = f"o{len(ports)}"
        ports[name] = output, _ = Signal(_ast.Value.cast(value).shape(), name=name), OUT
        m.d.comb += output.eq(value)

    for a in values:
        for b in values:
            for operator in (add, sub, mul, floordiv, mod, and_, or_, xor, eq, ne, lt, le, gt, ge):
                result(operator(a, b))
            result(Mux(words[2], a, b))
            if not b.shape().signed and len(b) < 6:
                result(lshift(a, b))
                result(rshift(a, b))
                result(a.bit_select(b, 2))
                result(a.word_select(b, 3))
        for value in (-a, ~a, +a, a.any(), a.all(), a.xor(), a.bool(), abs(a), a.as_unsigned()):
            result(value)
        if len(a):
            result(a.as_signed())
    return m, ports


def assignments() -> tuple[Module, Ports]:
    m = Module()
    a, b, c = (Signal(12, name=name) for name in "abc")
    index, state = Signal(3), Signal(Kind)
    entries = Array(Signal(6, init=number, name=f"entry_{number}") for number in range(5))
    fields = Signal(data.StructLayout({"low": 3, "kind": Kind, "words": data.ArrayLayout(signed(4), 2)}))
    swapped, chain, halves, idle, free = Signal(24), Signal(8), Signal(12), Signal(7, init=90), Signal(6)
    empty = Signal(0)
    m.d.comb += [
        Cat(swapped[12:], swapped[:12]).eq(Cat(a, b)),
        chain[0].eq(a[0]),
        chain[1:].eq(chain[:-1]),  # bits of a signal that drive others of it
        halves[4:8].eq(c),
        empty.eq(a),
        fields.low.eq(index),
        fields.words[1].eq(b),
    ]
    m.d.sync += [
        entries[index].eq(a),
        halves[:3].eq(b),
        b.word_select(index, 4).eq(a[:5]),
        state.eq(Kind.OTHER),
    ]
    with m.If(a[3] & (index == 2)):
        m.d.sync += [b.eq(c), free.eq(free + 1)]
        with m.Switch(index):
            with m.Case(1, 2):
                m.d.sync += b[2:7].eq(a)
            with m.Case("1-0"):
                m.d.comb += fields.kind.eq(Kind.FIRST)
            with m.Default():
                m.d.comb += c.bit_select(index, 3).eq(5)
    with m.Elif(b.any()):
        m.d.comb += c.eq(entries[index] + state.as_value())
    with m.FSM():
        with m.State("ONE"):
            m.next = "TWO"
        with m.State("TWO"), m.If(index[0]):
            m.next = "ONE"
    o = Signal(60)
    m.d.comb += o.eq(Cat(swapped, chain, halves, idle, fields, empty))
    ports: Ports = {"a": (a, IN), "index": (index, IN), "o": (o, OUT), "b": (b, OUT), "c": (c, OUT)}
    return m, ports | {"free_output": (free, OUT)}


def parts() -> tuple[Module, Ports]:
    m = Module()
    i, o, wide, unread = Signal(8), Signal(30), Signal(21, init=77), Signal(4)
    m.submodules.memory = memory = Memory(shape=unsigned(8), depth=6, init=[])
    write = memory.write_port(granularity=4)
    read = memory.read_port(transparent_for=[write])
    ahead = memory.read_port(domain="comb")
    m.d.comb += [
        write.addr.eq(i),
        write.data.eq(~i),
        write.en.eq(i[2:]),
        read.addr.eq(i[1:]),
        read.en.eq(i[0]),
    ]
    m.d.comb += ahead.addr.eq(i[3:])
    m.submodules.black_box = Instance(
        "black_box",
        p_SIZE=3,
        a_kept=1,
        i_a=Cat(i[4:], i[:2]),
        i_b=Const(5, 4),
        o_x=wide[2:9],
        o_y=Cat(wide[0], wide[12:]),
    )
    m.submodules.inner = inner = Module()
    state = Signal(8, attrs={"keep": 1})
    inner.d.sync += state.eq(i + read.data)
    inner.submodules.inmost = inmost = Module()
    inmost.d.comb += [o[:16].eq(Cat(state[4:], wide)), unread.eq(state)]
    inmost.d.sync += o[20:].eq(wide[3:] ^ ahead.data)
    return m, {"i": (i, IN), "o": (o, OUT)}


def domains() -> tuple[Module, Ports]:
    m = Module()
    m.domains.slow = ClockDomain(clk_edge="neg", async_reset=True)
    m.domains.bare = ClockDomain(reset_less=True)
    i, a, b, c, d = (Signal(4, name=name, init=2, reset_less=name == "d") for name in "iabcd")
    m.d.slow += [a.eq(i), d.eq(a)]
    m.d.bare += b.eq(a)
    m.d.sync += c.eq(b)
    return m, {"i": (i, IN), "c": (c, OUT), "d": (d, OUT)}


def nothing() -> tuple[Module, Ports]:
    return Module(), {"i": (Signal(3), IN), "o": (Signal(3, init=5), OUT)}


def of_amaranth(fragment: Fragment, *, name: str, ports: Any) -> str:
    text = rtlil.convert(fragment, name=name, ports=ports, emit_src=False)
    assert isinstance(text, str)
    return text


def of_both(design: Design) -> list[str]:
    texts = []
    for conversion in (of_amaranth, convert):
        m, ports = design()
        texts.append(conversion(Fragment.get(m, None), name="top", ports=ports))
    return texts


@pytest.mark.parametrize("design", [operators, assignments, parts, domains, nothing])
def test_the_text_is_amaranths(design: Design) -> None:
    theirs, ours = of_both(design)
    assert ours == theirs


def test_the_text_of_a_die_is_amaranths(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for conversion in (convert, of_amaranth):
        monkeypatch.setattr(emitter, "convert", conversion)
        platform = emitter.Emitter()
        platform.convert(Die(die=DieSpec(rows=2, cols=3, dtype="bf16", sram="macro"), memory=MemorySpec()))
        texts.append(platform.rtlil)
    ours, theirs = texts
    assert ours == theirs


def loop() -> tuple[Module, Ports]:
    m = Module()
    a, b, c = (Signal(4, name=name) for name in "abc")
    m.d.comb += [a.eq(Cat(c[1], b)), b[1:].eq(a[:-1] ^ 5), b[0].eq(c[0]), c[0].eq(a[3])]
    return m, {"a": (a, OUT)}


def own_bits() -> tuple[Module, Ports]:
    m = Module()
    a = Signal(4)
    m.d.comb += a.eq(Cat(a[1], a[2], a[0], a[3]))
    return m, {"a": (a, OUT)}


def two_drivers() -> tuple[Module, Ports]:
    m = Module()
    a = Signal(8)
    m.submodules.one = Instance("one", o_x=a[2:5])
    m.submodules.two = Instance("two", o_x=Cat(a[6:], a[:4]))
    return m, {"a": (a, OUT)}


def driven_port() -> tuple[Module, Ports]:
    m = Module()
    a = Signal(8)
    m.d.comb += a[3:].eq(1)
    return m, {"a": (a, IN)}


def two_modules() -> tuple[Module, Ports]:
    m = Module()
    a = Signal(8)
    for name, part in (("one", a[:5]), ("two", a[4:])):
        m.submodules[name] = inner = Module()
        inner.d.comb += part.eq(3)
    return m, {"a": (a, OUT)}


@pytest.mark.parametrize("design", [loop, own_bits, two_drivers, driven_port, two_modules])
def test_mistakes_are_refused_as_amaranth_refuses_them(design: Design) -> None:
    messages = []
    for conversion in (of_amaranth, convert):
        m, ports = design()
        with pytest.raises(Exception, match=r"cycle|driver|driven") as refusal:
            conversion(Fragment.get(m, None), name="top", ports=ports)
        messages.append((refusal.type, str(refusal.value)))
    assert messages[0] == messages[1]
    assert messages[0][0].__name__ in ("CombinationalCycle", "DriverConflict")


def test_amaranth_is_left_as_it_was() -> None:
    before = _nir.Value, _ast.SignalDict
    of_both(nothing)
    with pytest.raises(_nir.CombinationalCycle):
        of_both(own_bits)
    assert (_nir.Value, _ast.SignalDict) == before
