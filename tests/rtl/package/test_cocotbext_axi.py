# amaranth: UnusedElaboratable=no
"""IO die against cocotbext-axi, an AXI4 model that is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.emit.emitter import emit
from rtl.interface.memory_port import MemoryRefusals, request_layout, response_layout
from tests.rtl.package.memory_row import MemoryRow


@pytest.mark.parametrize("word_bytes", [8, 32])
def test_bursts_and_refusals(word_bytes: int, tmp_path: Path) -> None:
    dies = 2
    row = emit(MemoryRow(dies=dies, nop=NopSpec(), memory=MemorySpec(word_bytes=word_bytes)), None)
    source = tmp_path / "row.v"
    source.write_text(row.text)
    runner = get_runner("icarus")
    runner.build(
        sources=[source], hdl_toplevel=row.top, build_dir=tmp_path, timescale=("1ns", "1ps"), always=True
    )
    settings = {
        "dies": dies,
        "word_bytes": word_bytes,
        "request": [(name, field.width) for name, field in request_layout(word_bytes)],
        "response": [(name, field.width) for name, field in response_layout(word_bytes)],
        "refusals": list(MemoryRefusals().members),
        "seed": 1,
    }
    results = runner.test(
        test_module="tests.rtl.package.cocotbext_axi_bench",
        hdl_toplevel=row.top,
        test_dir=Path(__file__).parents[3],
        build_dir=tmp_path,
        results_xml=str(tmp_path / "results.xml"),
        extra_env={"MEMORY_ROW": json.dumps(settings)},
    )
    assert get_results(results) == (1, 0)
