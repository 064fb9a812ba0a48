"""Designs mapped and timed with the small library: what is found is what can be added up by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rtl.synthesis import flow
from rtl.synthesis.flow import MappedDesign, map_design
from rtl.synthesis.library import Library
from rtl.synthesis.macros import MacroTimes
from rtl.synthesis.module_tree import ModuleTree, parse_modules
from rtl.synthesis.report import synthesis_report
from rtl.synthesis.result import Synthesis
from rtl.synthesis.synthesis_programs import SynthesisError
from tests.rtl.synthesis.designs import Inverted, Nested, Twice, design_of
from tests.rtl.synthesis.small_library import (
    AREAS,
    CLOCK_TO_OUTPUT_PS,
    LOGIC,
    SETUP_PS,
    needs_programs,
    small_library,
)

pytestmark = needs_programs

TIMES = MacroTimes(output_ps=300.0, setup_ps=70.0)
TARGET_HZ = 1e9


class Keeping:
    """Keeps what is built in a folder, and counts what is built."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.built = 0

    def __call__(self, key: str, build: Callable[[Path], None]) -> Path:
        folder = self._folder / key
        if not folder.exists():
            folder.mkdir(parents=True)
            build(folder)
            self.built += 1
        return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return small_library(tmp_path)


def mapped(design: ModuleTree, library: Library, keep: Keeping, times: MacroTimes = TIMES) -> MappedDesign:
    return map_design(design, library, times=times, target_hz=TARGET_HZ, keep=keep)


def result(design: ModuleTree, library: Library, folder: Path, times: MacroTimes = TIMES) -> Synthesis:
    whole = mapped(design, library, Keeping(folder), times)
    return synthesis_report(whole, library, times=times, target_hz=TARGET_HZ)


@pytest.mark.parametrize("bits", [1, 5])
def test_cells_area_and_period_of_two_registers(bits: int, library: Library, tmp_path: Path) -> None:
    found = result(design_of(Inverted(bits=bits)), library, tmp_path)
    inverter = LOGIC["INV"]
    assert (found.cells, found.flip_flops, found.latches, found.loops) == (3 * bits, 2 * bits, 0, ())
    assert found.area_um2 == pytest.approx(bits * (2 * AREAS["DFF"] + AREAS["INV"]))
    period = CLOCK_TO_OUTPUT_PS + inverter[1] + SETUP_PS
    assert found.period_ps == pytest.approx(period)
    assert found.clock_hz == pytest.approx(1e12 / period)
    assert found.met
    assert found.from_inputs_ps == pytest.approx(SETUP_PS)
    assert found.to_outputs_ps == pytest.approx(CLOCK_TO_OUTPUT_PS)
    (path,) = found.paths
    assert (path.start.partition("[")[0], path.end.partition("[")[0]) == ("first", "o")
    assert bits > 1 or (path.start, path.end) == ("first", "o")
    assert (path.cells, path.alike) == (1, bits - 1)


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_a_design_of_several_blocks_and_a_macro(latency: int, library: Library, tmp_path: Path) -> None:
    bits = 3
    found = result(design_of(Twice(bits=bits, sram_latency=latency)), library, tmp_path)
    registers = 2 * (2 * bits) + 2 * (bits + 1)
    assert found.flip_flops == registers + (latency - 1) * bits
    assert found.cells == found.flip_flops + registers // 2 + 1  # one cell gives the constant enables
    assert found.area_um2 == pytest.approx(sum(block.total_um2 for block in found.blocks))
    assert {block.block: block.count for block in found.blocks if block.block.startswith("inverted")} == {
        "inverted_3": 2,
        "inverted_4": 1,
    }
    (macro,) = found.macros
    assert (macro.macro, macro.count, macro.words, macro.bits, macro.write_bits) == ("sram_4x3", 1, 4, 3, 3)
    assert found.sram_bits == 12
    # What is read leaves the design, or enters a register.
    longest = max(CLOCK_TO_OUTPUT_PS + TIMES.setup_ps, TIMES.output_ps + SETUP_PS if latency > 1 else 0)
    assert found.period_ps == pytest.approx(longest)
    outputs = TIMES.output_ps if latency == 1 else CLOCK_TO_OUTPUT_PS
    assert found.to_outputs_ps == pytest.approx(outputs)
    if latency > 1:
        assert (found.paths[0].start, found.paths[0].end.partition("[")[0]) == (
            "words.array.read_data[0]",
            "words.word_0",
        )
    else:
        assert found.paths[0].start.startswith("part_2.o[")
        assert found.paths[0].end.startswith("words.write_data[")


def test_a_block_is_the_sum_of_what_is_folded_into_it(library: Library, tmp_path: Path) -> None:
    found = result(design_of(Nested(depth=3)), library, tmp_path)
    assert (found.cells, found.flip_flops) == (6, 4)
    assert [block.block for block in found.blocks if block.cells] == ["nested_2"]
    assert found.paths[0].start.startswith("inner.inner.inner.first[")


def test_the_units_of_a_library_change_nothing(tmp_path: Path) -> None:
    design = design_of(Twice(bits=2))
    first = result(design, small_library(tmp_path), tmp_path / "a")
    second = result(design, small_library(tmp_path, unit_ps=1000.0), tmp_path / "b")
    assert (first.area_um2, first.cells) == (second.area_um2, second.cells)
    assert first.period_ps == pytest.approx(second.period_ps, abs=0.01)


def test_blocks_are_mapped_once(library: Library, tmp_path: Path) -> None:
    design = design_of(Twice(bits=3))
    keep = Keeping(tmp_path)
    first = mapped(design, library, keep)
    assert not any(block.reused for block in first.blocks.values())
    assert keep.built == 2 * len(first.blocks) + 1
    again = mapped(design, library, keep)
    assert keep.built == 2 * len(first.blocks) + 1
    assert all(block.reused for block in again.blocks.values())
    assert (again.timing, again.netlist) == (first.timing, first.netlist)
    # Another time of the macros maps nothing anew, and is not taken for the first one.
    slower = mapped(design, library, keep, MacroTimes(output_ps=900.0, setup_ps=70.0))
    assert all(block.reused for block in slower.blocks.values())
    assert slower.timing.to_outputs[0].arrival == pytest.approx(900.0)


def test_a_model_of_a_block_times_as_the_block_does(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, design in enumerate((design_of(Twice(bits=3)), parse_modules(THROUGH, "top"))):
        flat = mapped(design, library, Keeping(tmp_path / f"flat{number}"))
        monkeypatch.setattr(flow, "MODELLED_CELLS", 1)
        modelled = mapped(design, library, Keeping(tmp_path / f"models{number}"))
        monkeypatch.undo()
        assert flat.modelled == ()
        assert modelled.modelled == (("inverted_3",) if number == 0 else ("part",))
        for name in ("registers", "from_inputs", "to_outputs"):
            periods = [
                max((path.arrival + path.setup for path in getattr(timing, name)), default=None)
                for timing in (flat.timing, modelled.timing)
            ]
            assert periods[1] == pytest.approx(periods[0], abs=0.01)


def test_the_netlist_has_the_cells_that_are_counted(library: Library, tmp_path: Path) -> None:
    whole = mapped(design_of(Twice(bits=3, sram_latency=2)), library, Keeping(tmp_path))
    found = synthesis_report(whole, library, times=TIMES, target_hz=TARGET_HZ)
    netlist = parse_modules(whole.netlist.replace("(clk", "(\nclk"), whole.design.top)
    assert netlist.top == "twice_3"
    counted = Counter(word for word in whole.netlist.split() if word in library.cells)
    own = sum(block.cells for block in found.blocks)
    assert sum(counted.values()) == own


THROUGH = """\
module part (
  input wire clk,
  input wire [1:0] i,
  output wire [1:0] o
);
  reg [1:0] held;
  always @(posedge clk) held <= ~held;
  assign o = {i[1] ^ held[1], ~i[0]};
endmodule
module top (
  input wire clk,
  input wire [1:0] i,
  output reg [1:0] o
);
  reg [1:0] first;
  wire [1:0] between;
  wire [1:0] last;
  part part_0 (
    .clk(clk),
    .i(first),
    .o(between)
  );
  part part_1 (
    .clk(clk),
    .i(between),
    .o(last)
  );
  always @(posedge clk) first <= i;
  always @(posedge clk) o <= last;
endmodule
"""
"""Two uses of a block that a path goes through."""

VERILOG = """\
module top (
  input wire clk,
  input wire [1:0] i,
  output wire [1:0] o
);
{body}
endmodule
"""


def test_a_latch_is_counted_and_a_loop_is_found(library: Library, tmp_path: Path) -> None:
    latch = "  reg [1:0] held;\n  always @* if (clk) held = i;\n  assign o = held;"
    found = result(parse_modules(VERILOG.format(body=latch), "top"), library, tmp_path / "a")
    assert found.latches == 2
    loop = "  wire a, b;\n  assign a = ~(i[0] & b);\n  assign b = ~(i[1] & a);\n  assign o = {a, b};"
    found = result(parse_modules(VERILOG.format(body=loop), "top"), library, tmp_path / "b")
    assert len(found.loops) == 1
    assert found.period_ps is None


def test_a_clock_that_is_not_reached(library: Library, tmp_path: Path) -> None:
    whole = mapped(design_of(Inverted(bits=1)), library, Keeping(tmp_path))
    period = CLOCK_TO_OUTPUT_PS + LOGIC["INV"][1] + SETUP_PS
    for hertz, met in ((1e12 / period - 1, True), (1e12 / period * 1.001, False)):
        assert synthesis_report(whole, library, times=TIMES, target_hz=hertz).met == met
    assert "create_clock -name clk -period 1 [get_ports clk]" in whole.constraints


def test_registers_that_the_library_lacks_are_refused_by_name(tmp_path: Path) -> None:
    library = small_library(tmp_path)
    reset = "  reg [1:0] held;\n  always @(posedge clk or posedge i[1])\n"
    reset += "    if (i[1]) held <= 0; else held <= i;\n  assign o = held;"
    with pytest.raises(SynthesisError, match=r"^top: Yosys: FF top.held.* cannot be legalized"):
        result(parse_modules(VERILOG.format(body=reset), "top"), library, tmp_path / "a")
