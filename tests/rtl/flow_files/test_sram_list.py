"""The list of SRAMs: every instance that a simulator elaborates is in it, and no other."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from rtl.block import Block
from rtl.die.die import Die
from rtl.emit.emitter import Emitted, emit
from rtl.flow_files.sram_list import sram_json, sram_page, sram_uses
from rtl.package.package import Package
from rtl.processes.child_process import run_child
from rtl.synthesis.module_tree import parse_modules

DIE = DieSpec(rows=3, cols=2, dtype="int8", sram="macro")


def top(which: str) -> Block:
    if which == "package":
        return Package(
            system=SystemSpec(
                die=DIE.model_copy(update={"rows": 1}),
                memory=MemorySpec(),
                nop=NopSpec(),
                link=LinkSpec(),
                package=PackageSpec(rows=1, cols=2),
            )
        )
    die = DIE.model_copy(update={"sram": "behavioural"}) if which == "behavioural die" else DIE
    latency = 2 if which == "die of latency 2" else 1
    return Die(die=die.model_copy(update={"sram_latency": latency}), memory=MemorySpec())


def elaborated(emitted: Emitted, folder: Path) -> Counter[str]:
    """How often Icarus makes each SRAM: every instance says its name."""
    text = re.sub(
        r"^(module (sram_\d+x\w+) \(.*?^)(endmodule)",
        r'\1  initial $display("SRAM \2");\n\3',
        emitted.text,
        flags=re.MULTILINE | re.DOTALL,
    )
    (folder / "design.v").write_text(text)
    built = run_child(["iverilog", "-g2005", "-s", emitted.top, "-o", "design", "design.v"], folder=folder)
    assert built.code == 0, built.errors
    return Counter(
        re.findall(r"^SRAM (\w+)$", run_child(["vvp", "-n", "design"], folder=folder).output, re.MULTILINE)
    )


@pytest.mark.parametrize("which", ["behavioural die", "die of latency 2", "package"])
def test_the_list_is_what_the_design_has(which: str, tmp_path: Path) -> None:
    emitted = emit(top(which), None)
    uses = sram_uses(parse_modules(emitted.text, emitted.top))
    counts = {use.macro.name: use.count for use in uses}
    assert counts == elaborated(emitted, tmp_path)
    assert {use.macro.latency for use in uses} == {2 if which == "die of latency 2" else 1}
    sizes = [use.macro.words * use.macro.bits for use in uses]
    assert sizes == sorted(sizes, reverse=True)
    page = sram_page(emitted.top, uses)
    listed = json.loads(sram_json(emitted.top, uses, {"sram_fpga": {name: f"{name}.v" for name in counts}}))
    assert listed["sram_bits"] == sum(use.count * size for use, size in zip(uses, sizes, strict=True))
    for use, entry in zip(uses, listed["srams"], strict=True):
        widths = {port["name"]: port["bits"] for port in entry["ports"]}
        assert widths["read_data"] == widths["write_data"] == entry["bits"] == use.macro.bits
        assert widths["write_enable"] * entry["write_bits"] == entry["bits"]
        assert 1 << widths["read_address"] >= entry["words"]
        assert entry["files"] == {"sram_fpga": f"{use.macro.name}.v"}
        assert (
            page.count(f"| `{use.macro.name}` | {use.count} | {entry['words']} | {entry['latency']} |") == 1
        )


def test_a_black_box_that_is_no_sram_is_refused() -> None:
    text = "(* blackbox *)\nmodule pll (\n  input wire clk\n);\nendmodule\n"
    with pytest.raises(ValueError, match="^pll: is no SRAM"):
        sram_uses(parse_modules(text, "pll"))
