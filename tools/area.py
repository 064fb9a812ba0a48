"""Counts the transistors of generated dies and routers with Yosys: writes ``chiplet/presets/area.json``.

``python tools/area.py`` takes about a quarter of an hour, ``python tools/area.py router`` counts the routers alone and
leaves the dies as they are; needs ``yosys`` and its ``abc`` on the path. Each block is generated,
synthesised to static CMOS gates and D flip-flops, and counted at two transistors an inverter, four a NAND or NOR,
16 a flip-flop, and so on (Yosys's ``stat -tech cmos``). SRAMs are black boxes and not counted. A die's count is
fitted as constant + rows + columns + rows x columns, and checked on a die that was not fitted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from chiplet.machine.specs import DieSpec, MemorySpec, NopSpec
from rtl.die.die import Die
from rtl.emit.emitter import emit
from rtl.network.router import Router

FITTED = ((4, 4), (4, 8), (8, 4), (8, 8))
CHECKED = (16, 12)
TARGET = Path(__file__).resolve().parent.parent / "chiplet" / "presets" / "area.json"
SCRIPT = (
    "read_verilog {files}; synth -top {top} -noabc; dfflegalize -cell $_DFF_P_ 0; abc -g cmos; opt_clean; "
    "tee -o {report} stat -tech cmos"
)


def transistors(block: Die | Router) -> int:
    """Transistors of ``block`` in static CMOS, SRAMs apart."""
    with tempfile.TemporaryDirectory() as folder:
        emitted = emit(block, Path(folder), configuration={}, map={})
        report = Path(folder) / "stat.txt"
        files = " ".join(str(path) for path in emitted.files if path.suffix == ".v")
        script = SCRIPT.format(files=files, top=emitted.top, report=report)
        subprocess.run(["yosys", "-q", "-p", script], check=True, capture_output=True)
        counts = re.findall(r"Estimated number of transistors:\s+(\d+)", report.read_text(encoding="utf-8"))
    return int(counts[-1])


def die(rows: int, cols: int, dtype: str, stages: int) -> Die:
    """A die of that array, with SRAM macros."""
    spec = DieSpec.model_validate(
        {"rows": rows, "cols": cols, "dtype": dtype, "stages": stages, "sram": "macro"}
    )
    return Die(die=spec, memory=MemorySpec())


def fits() -> Iterator[dict[str, object]]:
    """The terms of each data type and number of stages."""
    matrix = np.array([[1, rows, cols, rows * cols] for rows, cols in FITTED], dtype=np.float64)
    for dtype, stages in product(("bf16", "int8"), (1, 2, 3, 4)):
        counts = [transistors(die(rows, cols, dtype, stages)) for rows, cols in FITTED]
        terms = np.linalg.solve(matrix, np.array(counts, dtype=np.float64))
        rows, cols = CHECKED
        counted = transistors(die(rows, cols, dtype, stages))
        error = float(terms @ [1, rows, cols, rows * cols] / counted - 1)
        names = ("constant", "per_row", "per_col", "per_pe")
        found = dict(zip(names, (round(float(term), 2) for term in terms), strict=True))
        print(dtype, stages, counts, found, f"{error:+.2%}", flush=True)
        yield {
            "dtype": dtype,
            "stages": stages,
            **found,
            "checked": f"{rows}x{cols}",
            "error": round(error, 5),
        }


def main(arguments: list[str]) -> int:
    """Write the file; with the argument ``router`` only its entry for routers."""
    if arguments not in ([], ["router"]):
        print(f"tools/area.py: {' '.join(arguments)}: must be router or nothing", file=sys.stderr)
        return 2
    version = subprocess.run(["yosys", "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    routers = {bits: transistors(Router(nop=NopSpec(flit_bits=bits))) for bits in (64, 256)}
    slope = (routers[256] - routers[64]) / 192
    before = json.loads(TARGET.read_text(encoding="utf-8"))
    found = {
        "tool": f"Yosys {version}, synth, abc -g cmos, stat -tech cmos",
        "router": {"constant": round(routers[64] - 64 * slope, 2), "per_flit_bit": round(slope, 2)},
        "dies": before["dies"] if arguments else list(fits()),
    }
    TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
