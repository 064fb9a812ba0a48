"""Disabled writes: an address beyond a memory stops a model only if something is written there."""

from __future__ import annotations

import signal
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from cosim.backends.compiler import compiler
from cosim.backends.cxxrtl import runtime
from cosim.backends.rewrite.disabled_writes import allow_disabled_writes
from rtl.emit.yosys import run_yosys
from rtl.rewrite.tested_versions import UntestedVersionError

MASKS = [
    "p_en.repeat<8>().val()",
    "p_en.curr.repeat<8>().val()",
    "repeated_bits<4>(p_en.slice<1,0>().val())",
    "(p_a ? p_en.slice<7,0>().val() : value<8>{0x1u,0x2u})",
    "not_u<8>(and_uu<8>(p_a, p_b))",
]


@pytest.mark.parametrize("mask", MASKS)
def test_the_assertion_looks_at_the_mask(mask: str) -> None:
    def write(condition: str) -> str:
        return (
            "\t\tauto tmp_1 = memory_index(p_address, 0, 11);\n"
            f'\t\tCXXRTL_ASSERT({condition} && "out of bounds write");\n'
            "\t\tif (tmp_1.valid) {\n"
            f"\t\t\tmemory_p_m.update(tmp_1.index, (p_c ? p_x : value<8>{{0x1u,0x2u}}), {mask}, 0);\n\t\t}}\n"
        )

    assert allow_disabled_writes(write("tmp_1.valid")) == write(f"(tmp_1.valid || {mask}.is_zero())")


RTLIL = """
module \\top
  wire input 1 \\clk
  wire input 2 \\en
  wire width 2 input 3 \\address
  wire width 8 input 4 \\data
  wire width 8 output 5 \\o
  memory width 8 size 3 \\mem
  cell $memwr_v2 $write
    parameter \\MEMID "\\\\mem"
    parameter \\ABITS 2
    parameter \\WIDTH 8
    parameter \\CLK_ENABLE 1
    parameter \\CLK_POLARITY 1
    parameter \\PORTID 0
    parameter \\PRIORITY_MASK 0'x
    connect \\CLK \\clk
    connect \\EN { \\en \\en \\en \\en \\en \\en \\en \\en }
    connect \\ADDR \\address
    connect \\DATA \\data
  end
  connect \\o 8'00000000
end
"""
MAIN = """
int main(int count, char **) {
	cxxrtl_design::p_top top;
	top.p_address.set<uint32_t>(3);
	top.p_en.set<bool>(count > 1);
	top.step();
	top.p_clk.set<bool>(true);
	top.step();
}
"""


def test_a_write_beyond_a_memory_stops_the_model_and_a_disabled_one_does_not(tmp_path: Path) -> None:
    run_yosys(
        f"read_rtlil <<rtlil\n{RTLIL}\nrtlil\nhierarchy -top top\nwrite_cxxrtl top.cc\n",
        what="top",
        folder=tmp_path,
    )
    source, binary = tmp_path / "top.cc", tmp_path / "top"
    source.write_text(allow_disabled_writes(source.read_text()) + MAIN)
    command = [*compiler("cxxrtl"), "-std=c++14", "-O0", f"-I{runtime()}", str(source), "-o", str(binary)]
    subprocess.run(command, check=True, capture_output=True)
    assert subprocess.run([str(binary)], check=False).returncode == 0
    stopped = subprocess.run([str(binary), "write"], check=False, capture_output=True)
    assert stopped.returncode == -signal.SIGABRT
    assert b"out of bounds write" in stopped.stderr


def test_other_versions_of_yosys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _package: "0.1")
    with pytest.raises(UntestedVersionError):
        allow_disabled_writes("")
