"""Arithmetic of emitted Verilog: new inputs in every cycle, and results as bit patterns."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtl.block import Block
from rtl.emit.emitter import emit

Words = NDArray[np.uint32]

TESTBENCH = """
module testbench;
  reg clk = 0;
  reg [31:0] words [0:{count}*{inputs}-1];
  {registers}
  wire [31:0] o;
  integer file, got, unknown, cycle;
  {name} dut (.clk(clk), {ports}, .o(o));
  initial begin
    file = $fopen("in.bin", "rb");
    got = $fread(words, file);
    $fclose(file);
    file = $fopen("out.bin", "wb");
    unknown = 0;
    for (cycle = 0; cycle < {count} + {latency} - 1; cycle = cycle + 1) begin
      if (cycle < {count}) begin
        {drive}
      end
      #1 clk = 1;
      #1 clk = 0;
      if (cycle >= {latency} - 1) begin
        if (^o === 1'bx) unknown = unknown + 1;
        $fwrite(file, "%u", o);
      end
    end
    $fclose(file);
    $display("unknown %0d", unknown);
    $finish;
  end
endmodule
"""


def in_icarus(
    dut: Block, latency: int, folder: Path, *, held: Mapping[str, int] | None = None, **inputs: Words
) -> Words:
    """Results of ``inputs``, new ones in every cycle, while the inputs ``held`` stay as they are."""
    names = list(inputs)
    ports = {**{name: name for name in names}, **{name: str(value) for name, value in (held or {}).items()}}
    bench = TESTBENCH.format(
        name=dut.block_name,
        registers=" ".join(f"reg [{len(getattr(dut, name)) - 1}:0] {name};" for name in names),
        ports=", ".join(f".{name}({value})" for name, value in ports.items()),
        drive=" ".join(f"{name} = words[{len(names)} * cycle + {n}];" for n, name in enumerate(names)),
        inputs=len(names),
        count=len(inputs[names[0]]),
        latency=latency,
    )
    (folder / "dut.v").write_text(emit(dut, None).text + bench)
    np.stack(list(inputs.values()), axis=1).astype(">u4").tofile(folder / "in.bin")
    subprocess.run(["iverilog", "-g2012", "-o", "dut.vvp", "dut.v"], cwd=folder, check=True)
    run = subprocess.run(["vvp", "-n", "dut.vvp"], cwd=folder, check=True, capture_output=True, text=True)
    assert run.stdout == "unknown 0\n"
    return np.fromfile(folder / "out.bin", "=u4")


def assert_same(got: Words, want: Words, *inputs: Words) -> None:
    """The words of ``got`` are those of ``want``, which came from ``inputs``."""
    assert len(got) == len(want)
    wrong = np.flatnonzero(got != want)
    assert not len(wrong), ", ".join(
        f"{' '.join(f'{x[i]:08x}' for x in inputs)}: {got[i]:08x} not {want[i]:08x}" for i in wrong[:8]
    )
