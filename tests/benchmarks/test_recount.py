"""The recount finds the cells and the area that were reported, and tells when they are wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.recount import main
from rtl.synthesis.flow import map_design
from rtl.synthesis.macros import MacroTimes
from rtl.synthesis.report import synthesis_report
from tests.rtl.synthesis.designs import Twice, design_of
from tests.rtl.synthesis.small_library import needs_programs, small_library


def keep(folder: Path, key: str) -> Path:
    (folder / key).mkdir()
    return folder / key


@needs_programs
@pytest.mark.parametrize("latency", [1, 2])
def test_a_report_is_compared_with_its_netlist(latency: int, tmp_path: Path) -> None:
    library, times = small_library(tmp_path), MacroTimes()

    def kept(key: str, build: object) -> Path:
        folder = keep(tmp_path, key)
        assert callable(build)
        build(folder)
        return folder

    mapped = map_design(
        design_of(Twice(bits=5, sram_latency=latency)), library, times=times, target_hz=1e9, keep=kept
    )
    data = asdict(synthesis_report(mapped, library, times=times, target_hz=1e9))
    (tmp_path / "netlist.v").write_text(mapped.netlist)
    report = tmp_path / "report.json"
    files = [str(tmp_path / name) for name in ("logic.lib", "registers.lib.gz")]
    for name, factor, code in (("", 1.0, 0), ("cells", 1.05, 1), ("area_um2", 0.98, 1)):
        changed = {key: value * factor if key == name else value for key, value in data.items()}
        report.write_text(json.dumps({**changed, "netlist": "netlist.v"}))
        assert main([str(report), *files]) == code
    assert main([]) == 2
