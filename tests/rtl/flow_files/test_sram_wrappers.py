"""SRAMs for simulators and FPGAs: in Icarus they give the words of the emitted memories, and Yosys finds block RAM."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from rtl.emit.emitter import emit
from rtl.flow_files.sram_wrappers import behavioural_srams, fpga_sram
from rtl.lib.sram import Sram
from rtl.processes.child_process import run_child
from rtl.synthesis.macros import Macro, macro_of
from rtl.synthesis.module_tree import ModuleText, parse_modules

SHAPES = [
    {"width": 1, "depth": 1},
    {"width": 5, "depth": 3},
    {"width": 16, "depth": 16},
    {"width": 33, "depth": 7, "part": 11},
    {"width": 12, "depth": 5, "part": 4, "sram_latency": 2},
    {"width": 3, "depth": 9, "sram_latency": 3},
]

BENCH = """\
`timescale 1ns / 1ps
module bench;
  localparam WORDS = {words}, BITS = {bits}, ENABLES = {enables}, PART = BITS / ENABLES, LATENCY = {latency};
  reg clk = 0;
  reg [ENABLES-1:0] write_enable = 0;
  reg [{address_bits}-1:0] write_address = 0, read_address = 0;
  reg [BITS-1:0] write_data = 0;
  reg read_enable = 0;
  wire [BITS-1:0] outputs [0:2];
  {instances}
  reg [BITS-1:0] model [0:WORDS-1];
  reg [BITS-1:0] expected [0:LATENCY-1];
  reg [LATENCY-1:0] known = 0;  // whether each expected word is defined
  integer cycle, place, word, bit_number, compared = 0;
  integer seed = {seed};
  always #5 clk = ~clk;
  initial begin
    for (cycle = 0; cycle < WORDS + 400; cycle = cycle + 1) begin
      @(negedge clk);
      // All words are written first.
      write_address = cycle < WORDS ? cycle : $unsigned($random(seed)) % WORDS;
      write_enable = cycle < WORDS ? ~0 : $random(seed);
      read_address = $unsigned($random(seed)) % WORDS;
      read_enable = cycle >= WORDS && $unsigned($random(seed)) % 3 != 0;
      for (bit_number = 0; bit_number < BITS; bit_number = bit_number + 1)
        write_data[bit_number] = $random(seed);
      @(posedge clk);
      for (place = LATENCY - 1; place > 0; place = place - 1) begin
        expected[place] = expected[place - 1];
        known[place] = known[place - 1];
      end
      if (read_enable) begin
        expected[0] = model[read_address];
        known[0] = !(|write_enable && write_address == read_address);
      end
      for (bit_number = 0; bit_number < BITS; bit_number = bit_number + 1)
        if (write_enable[bit_number / PART])
          model[write_address][bit_number] = write_data[bit_number];
      #1;
      if (known[LATENCY - 1])
        for (word = 0; word < 3; word = word + 1) begin
          compared = compared + 1;
          if (outputs[word] !== expected[LATENCY - 1]) begin
            $display("FAIL: cycle %0d, SRAM %0d: %h, not %h", cycle, word, outputs[word], expected[LATENCY - 1]);
            $fatal(1, "the words differ");
          end
        end
    end
    $display("compared %0d", compared);
    $finish;
  end
endmodule
"""


def shaped(**parameters: int) -> tuple[Macro, ModuleText]:
    emitted = emit(Sram(macro=True, **parameters), None)
    module = parse_modules(emitted.text, emitted.top).modules[emitted.top]
    return macro_of(module), module


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_give_the_words_of_the_emitted_memory(shape: dict[str, int], tmp_path: Path) -> None:
    macro, module = shaped(**shape)
    texts = [
        emit(Sram(**shape), None).text,  # type: ignore[arg-type]
        behavioural_srams([macro])[macro.name],
        fpga_sram(macro, module),
    ]
    instances = []
    for number, text in enumerate(texts):
        (wrapper,) = parse_modules(text, macro.name).modules.values()
        assert (wrapper.name, wrapper.ports) == (module.name, module.ports)
        name = f"{macro.name}_{number}"
        renamed, replaced = re.subn(rf"^module {macro.name} \(", f"module {name} (", text, flags=re.MULTILINE)
        assert replaced == 1
        (tmp_path / f"{name}.v").write_text(renamed)
        ports = [f".{port}({port})" for port, way, _ in module.ports if way == "input"]
        instances.append(f"{name} sram_{number} ({', '.join(ports)}, .read_data(outputs[{number}]));")
    (tmp_path / "bench.v").write_text(
        BENCH.format(
            words=macro.words,
            bits=macro.bits,
            enables=macro.bits // macro.part,
            latency=macro.latency,
            address_bits=next(bits for name, _, bits in module.ports if name == "read_address"),
            instances="\n  ".join(instances),
            seed=macro.words,
        )
    )
    built = run_child(
        ["iverilog", "-g2012", "-o", "bench", "bench.v", *sorted(p.name for p in tmp_path.glob("sram_*.v"))],
        folder=tmp_path,
    )
    assert (built.code, built.errors) == (0, "")
    run = run_child(["vvp", "-n", "bench"], folder=tmp_path)
    assert run.code == 0, run.output
    compared = re.search(r"^compared (\d+)$", run.output, re.MULTILINE)
    # A memory of one word is written in most of the cycles in which it is read.
    assert compared is not None
    assert int(compared[1]) > (100 if macro.words == 1 else 500)


def test_behavioural_ones_are_the_modules_of_a_behavioural_die() -> None:
    macro, _ = shaped(width=33, depth=7, part=11)
    emitted = emit(Sram(width=33, depth=7, part=11), None)
    assert behavioural_srams([macro])[macro.name].split("\n", 1)[1] == emitted.text.split("\n", 2)[2]


@pytest.mark.skipif(shutil.which("yosys") is None, reason="Yosys is not installed: `make silicon`")
@pytest.mark.parametrize(
    ("command", "block_ram", "count"),
    [("synth_ice40", "SB_RAM40_4K", 8), ("synth_ecp5", "DP16KD", 2), ("synth_xilinx", "RAMB36E1", 1)],
)
def test_yosys_makes_block_ram_and_nothing_around_it(
    command: str, block_ram: str, count: int, tmp_path: Path
) -> None:
    macro, module = shaped(width=32, depth=1024, part=16)
    (tmp_path / "sram.v").write_text(fpga_sram(macro, module))
    script = f"read_verilog sram.v; {command} -top {macro.name}; tee -o cells.json stat -json"
    done = run_child(["yosys", "-q", "-p", script], folder=tmp_path)
    assert done.code == 0, done.errors
    (cells,) = (
        entry["num_cells_by_type"]
        for name, entry in json.loads((tmp_path / "cells.json").read_text())["modules"].items()
        if name.strip("\\") == macro.name
    )
    assert cells.pop(block_ram) == count  # 32 kbit in RAMs of 4, 16 and 32 kbit
    assert [name for name in cells if "LUT" in name or "DFF" in name or name.startswith("FD")] == []
