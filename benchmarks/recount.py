"""Counts a synthesised design again, by Yosys' own ``stat`` over the whole hierarchy of its netlist.

``python -m benchmarks.recount silicon/die_4x4_bf16_silicon.json cells.lib.gz ...`` reads the report of
``hecaton synth``, the netlist beside it and the Liberty files as they came. It uses nothing of the code that counted,
and ends with exit code 1 if cells or area differ by more than 1 %.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MOST_DIFFERENCE = 0.01


def recount(netlist: Path, top: str, libraries: Sequence[Path]) -> tuple[int, float]:
    """Cells of the libraries in the whole design, and their area in um2."""
    known: set[str] = set()
    area, cells = 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = [f"read_verilog {netlist}", f"hierarchy -top {top}"]
        for number, path in enumerate(libraries):
            content = path.read_bytes()
            text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
            known |= set(re.findall(r"^\s*cell\s*\(\s*\"?(\w+)\"?\s*\)", text, re.MULTILINE))
            (folder / f"{number}.lib").write_text(text)
            script.append(f"tee -q -o {folder}/{number}.txt stat -top {top} -liberty {folder}/{number}.lib")
        subprocess.run(["yosys", "-q", "-p", "; ".join(script)], check=True, capture_output=True)
        for number in range(len(libraries)):
            # A design of one module has no part for the hierarchy.
            whole = (folder / f"{number}.txt").read_text().rpartition("===")[2]
            areas = re.findall(r"Chip area for (?:top )?module .*: ([\d.]+)", whole)
            area += float(areas[0]) if areas else 0.0
            counts = re.findall(r"^ {5,}(\w+) +(\d+)$", whole, re.MULTILINE)
            cells = sum(int(count) for cell, count in counts if cell in known)
    return cells, area


def main(arguments: Sequence[str]) -> int:
    """Compare a report with its netlist."""
    if len(arguments) < 2:
        print("usage: python -m benchmarks.recount REPORT.json LIBERTY...", file=sys.stderr)
        return 2
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    netlist = Path(arguments[0]).with_name(Path(report["netlist"]).name)
    cells, area = recount(netlist, report["top"], [Path(name) for name in arguments[1:]])
    apart = [cells / report["cells"] - 1, area / report["area_um2"] - 1]
    print(f"{report['top']}: cells {report['cells']} reported, {cells} recounted ({apart[0]:+.3%})")
    print(
        f"{report['top']}: area {report['area_um2']:.1f} um2 reported, {area:.1f} recounted ({apart[1]:+.3%})"
    )
    return int(any(abs(difference) > MOST_DIFFERENCE for difference in apart))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
