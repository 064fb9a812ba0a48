"""Assignments of a netlist keep what they say when concatenations on their left sides go."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from rtl.synthesis.netlist import without_concatenations


def bits(text: str, widths: dict[str, int]) -> list[str]:
    """The bits of a side of an assignment, the highest first."""
    found: list[str] = []
    for part in text.strip("{ }").split(", "):
        constant = re.fullmatch(r"(\d+)'h([0-9a-f]+)", part)
        if constant:
            found += [*f"{int(constant[2], 16):0{int(constant[1])}b}"]
            continue
        name, _, place = part.partition("[")
        high, _, low = place.rstrip("]").partition(":")
        numbers = range(widths[name]) if not place else range(int(low or high), int(high) + 1)
        found += [f"{name}.{number}" for number in reversed(numbers)]
    return found


def assignments(netlist: str, widths: dict[str, int]) -> dict[str, str]:
    """What drives each bit."""
    drivers: dict[str, str] = {}
    for left, right in re.findall(r"assign (.*) = (.*);", netlist):
        pairs = list(zip(bits(left, widths), bits(right, widths), strict=True))
        assert not drivers.keys() & {bit for bit, _ in pairs}
        drivers.update(pairs)
    return drivers


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.data())
def test_every_bit_keeps_its_driver(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    widths = {**{f"n{number}": size for number, size in enumerate(sizes)}, "source": total}
    constant = data.draw(st.integers(0, total - 1))
    value = data.draw(st.integers(0, (1 << constant) - 1)) if constant else 0
    right = [f"source[{total - 1}:{constant}]"] + ([f"{constant}'h{value:x}"] if constant else [])
    left = [
        name if data.draw(st.booleans()) else f"{name}[{widths[name] - 1}:0]"
        for name in widths
        if name != "source"
    ]
    lines = [
        f"  wire [{size - 1}:0] {name};" if size > 1 else f"  wire {name};" for name, size in widths.items()
    ]
    netlist = "\n".join([*lines, f"  assign {{ {', '.join(left)} }} = {{ {', '.join(right)} }};", ""])
    netlist = re.sub(r"(n\d+)\[0:0\]", r"\1", netlist)
    split = without_concatenations(netlist)
    assert "{" not in "".join(re.findall(r"assign (.*) =", split))
    assert assignments(split, widths) == assignments(netlist, widths)


def test_escaped_names_and_other_lines() -> None:
    head = "  wire [3:0] \\a.b[1] ;\n  wire x;\n  wire y;\n"
    netlist = head + "  assign { \\a.b[1] [3:2], y } = { x, 2'h1 };\n  assign z = y;\n"
    split = "  assign \\a.b[1] [3:2] = { x, 1'h0 };\n  assign y = 1'h1;\n  assign z = y;\n"
    assert without_concatenations(netlist) == head + split
