"""Time, size and modules of the generated Verilog, over array sizes, with the stock Amaranth path as the baseline.

The design is a whole die. Its buffers hold max(64, R) vectors: the stock path writes out every word of every memory,
which is not what is compared here. The baseline is given a minute for each size.

    python -m benchmarks.generation [--quick] [-o DIR]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import RESULTS, machine, write_report
from benchmarks.stock import stock_verilog
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec
from hecaton.plots.figure import saved_figure
from rtl.die.die import Die
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import emit

__all__ = ["die_of", "growth", "main"]

SIZES = (8, 16, 32, 64, 128)
QUICK_SIZES = (2, 4)
BASELINE_SECONDS: float | None = 60.0
"""Most seconds that the baseline is given for a size; None for any number."""
BASELINE, OURS = "stock Amaranth", "hecaton"


def die_of(size: int, dtype: Dtype = "bf16") -> Die:
    """A square die with small buffers."""
    vectors = max(64, size)
    element = 2 if dtype == "bf16" else 1
    spec = DieSpec(
        rows=size,
        cols=size,
        dtype=dtype,
        weight_bytes=element * size * vectors,
        activation_bytes=element * size * vectors,
        accumulator_bytes=4 * size * vectors,
    )
    return Die(die=spec, memory=MemorySpec())


def _row(size: int, path: str, seconds: float, text: str) -> dict[str, Any]:
    return {
        "array": f"{size}x{size}",
        "path": path,
        "seconds": seconds,
        "bytes": len(text.encode()),
        "modules": text.count("\nendmodule"),
    }


def _ours(size: int, dtype: Dtype) -> dict[str, Any]:
    start = time.perf_counter()
    # Blocks that an earlier size converted are converted again.
    text = emit(die_of(size, dtype), None, conversions=Conversions()).text
    return _row(size, OURS, time.perf_counter() - start, text)


def _convert(size: int, dtype: Dtype, result: Connection) -> None:
    start = time.perf_counter()
    text = stock_verilog(die_of(size, dtype), "die")
    result.send(_row(size, BASELINE, time.perf_counter() - start, text))


def _stock(size: int, dtype: Dtype) -> dict[str, Any] | None:
    """The row of the baseline; None if it does not end in time."""
    # In a process of its own, which can be ended.
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_convert, args=(size, dtype, send), daemon=True)
    process.start()
    try:
        if receive.poll(BASELINE_SECONDS):
            row: dict[str, Any] = receive.recv()
            return row
        return None
    finally:
        process.kill()
        process.join()


def growth(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Exponent e of the fit seconds ~ (R C)^e: below 1, generation grows slower than the array."""
    slope, _ = np.polyfit([2 * math.log(size) for size in sizes], np.log(seconds), 1)
    return float(slope)


def _plot(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with saved_figure(path, 9, 4) as figure:
        for axes, key, label in zip(
            figure.subplots(1, 2), ("seconds", "bytes"), ("seconds", "bytes of Verilog"), strict=True
        ):
            for name in (BASELINE, OURS):
                mine = [row for row in rows if row["path"] == name]
                axes.plot([row["array"] for row in mine], [row[key] for row in mine], "o-", label=name)
            axes.set_yscale("log")
            axes.set_xlabel("array")
            axes.set_ylabel(label)
            axes.legend(fontsize="small")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generation", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="smallest int8 dies only: does it work at all?")
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    options = parser.parse_args(arguments)
    sizes = QUICK_SIZES if options.quick else SIZES
    dtype: Dtype = "int8" if options.quick else "bf16"
    about = machine(seed=0)
    rows = []
    for size in sizes:
        rows.append(_ours(size, dtype))
        _say(f"{size}x{size} {OURS}: {rows[-1]['seconds']:.1f} s")
    ended = 0
    for size in sizes:
        row = _stock(size, dtype)
        if row is None:
            _say(f"{size}x{size} {BASELINE}: more than {BASELINE_SECONDS:g} s")
            break
        _say(f"{size}x{size} {BASELINE}: {row['seconds']:.1f} s")
        rows.insert(2 * ended, row)
        ended += 1
    ours = [row["seconds"] for row in rows if row["path"] == OURS]
    about["growth"] = growth(sizes, ours)
    _plot(options.output / "generation.png", rows)
    missing = (
        f" It did not end within {BASELINE_SECONDS:g} s for {sizes[ended]}x{sizes[ended]}."
        if ended < len(sizes)
        else ""
    )
    notes = (
        f"A whole {dtype} die. The baseline is amaranth.back.verilog on the same die.{missing} Generation time grows "
        f"as (R C)^{about['growth']:.2f}."
    )
    title = "Verilog generation"
    print(write_report(options.output, "generation", title=title, about=about, rows=rows, notes=notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
