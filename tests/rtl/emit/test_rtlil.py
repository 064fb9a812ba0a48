"""RTLIL text: what is dropped, what is renamed, and the way to Verilog."""

from __future__ import annotations

import pytest

from rtl.emit.rtlil import (
    interface,
    keep_hierarchy,
    kept_hierarchy,
    module_names,
    ports_of,
    tidy,
    to_verilog,
)
from rtl.emit.yosys import YosysError

RAW = r"""attribute \generator "Amaranth"
attribute \top 1
module \thing

  memory width 4 size 2 \words

  wire width 0 \nothing

  attribute \init 4'0011
  attribute \enum_base_type "Kind"
  wire width 4 \state

  wire width 4 \state$2

  wire width 4 \state_2

  wire width 6 input 0  \i

  wire width 1 input 1  \clk

  wire width 1 input 2  \rst

  wire width 4 output 3  signed \o

  wire width 2 \i.field

  cell \hecaton_marker \hecaton_marker
  end

  cell \thing.inner \inner
    connect \clk \clk [0]
    connect \q \o
  end

  cell $meminit_v2 $1
    parameter \MEMID "\\words"
    connect \ADDR {  }
    connect \DATA 8'00000000
    connect \EN 4'1111
  end

  cell $dff $2
    parameter \WIDTH 4
    parameter \CLK_POLARITY 1
    connect \D \state$2
    connect \CLK \clk [0]
    connect \Q \state
  end

connect \nothing {  }
connect \state$2 \i [3:0]
connect \state_2 \state
connect \i.field \i [1:0]

end

attribute \generator "Amaranth"
module \thing.inner

  wire width 1 input 0  \clk

  attribute \init 4'0000
  wire width 4 output 1  \q

  cell $dff $1
    parameter \WIDTH 4
    parameter \CLK_POLARITY 1
    connect \D 4'0101
    connect \CLK \clk [0]
    connect \Q \q
  end

end
"""


def test_tidy_leaves_only_identifiers() -> None:
    text = tidy(RAW, order=("clk", "rst", "o", "i"), black_box=False)
    assert module_names(text) == ["thing__inner", "thing"]
    assert ports_of(text, "thing") == ["clk", "o", "i"]
    assert ports_of(text, "thing__inner") == ["clk", "q"]
    for gone in ("generator", "top", "enum", "meminit", "marker", "nothing", "field", "$2 [", "rst", "."):
        assert gone not in text
    assert r"wire width 4 output 2 signed \o" in text
    assert r"connect \D \state_3" in text  # state_2 was taken
    assert r"attribute \init 4'0011" in text


def test_tidy_of_a_black_box_leaves_its_ports() -> None:
    text = tidy(RAW, order=("clk", "i", "o"), black_box=True)
    assert [line.strip() for line in text.splitlines()] == [
        r"attribute \blackbox 1",
        r"module \thing",
        r"wire width 1 input 1 \clk",
        r"wire width 6 input 2 \i",
        r"wire width 4 output 3 signed \o",
        "end",
    ]


def test_verilog_of_each_module() -> None:
    verilog = to_verilog(tidy(RAW, order=("clk", "i", "o"), black_box=False), what="thing")
    assert sorted(verilog) == ["thing", "thing__inner"]
    assert verilog["thing"].startswith(
        "module thing (\n  input wire clk,\n  input wire [5:0] i,\n  output wire [3:0] o\n);\n"
    )
    assert "output reg [3:0] q = 4'h0" in verilog["thing__inner"]


def test_an_inconsistent_netlist_is_refused() -> None:
    text = tidy(RAW.replace(r"connect \q \o", r"connect \missing \o"), order=(), black_box=False)
    with pytest.raises(YosysError, match=r"^thing: .*missing"):
        to_verilog(text, what="thing")


def test_any_number_of_ports() -> None:
    for ports in (0, 1, 60):
        wires = "\n".join(f"  wire width 1 input {port + 1} \\port_{port}" for port in range(ports))
        text = to_verilog(f"module \\many\n{wires}\nend\n", what="many")["many"]
        assert text.count("input wire port_") == ports
        assert text.count("port_") == ports


TWO_LEVELS = """\
module \\leaf
end
module \\leaf_2
end
module \\top
  cell \\leaf \\first
  end
  cell \\leaf \\second
  end
  cell \\leaf_2 \\third
  end
end
"""


def test_keep_hierarchy_marks_whole_names() -> None:
    marked = keep_hierarchy(TWO_LEVELS, "leaf")
    assert marked == "attribute \\keep_hierarchy 1\n" + TWO_LEVELS
    assert keep_hierarchy(TWO_LEVELS) == TWO_LEVELS
    assert (kept_hierarchy(marked), kept_hierarchy(TWO_LEVELS)) == (["leaf"], [])


def test_an_interface_has_the_ports_only() -> None:
    text = tidy(RAW, order=("clk", "i", "o"), black_box=False)
    ports = [
        r"  wire width 1 input 1 \clk",
        r"  wire width 6 input 2 \i",
        r"  wire width 4 output 3 signed \o",
    ]
    assert interface(text, "thing").splitlines() == [r"module \thing", *ports, "end"]
    macro = tidy(RAW, order=("clk", "i", "o"), black_box=True)
    assert interface(macro, "thing").splitlines() == macro.splitlines()
