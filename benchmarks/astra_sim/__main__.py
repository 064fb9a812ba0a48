"""A layer by ASTRA-sim beside the same layer by our terms, with each difference of the two explained: a table.

    python -m benchmarks.astra_sim --binary PATH [--aware PATH] [--version TEXT] [--quick] [-o DIR]

The program is not part of Hecaton: see docs/export.md. Exit code 1 if a run fails or is more than 1 % from what our
terms give under its restrictions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.astra_sim.binary import NAMES, VARIABLE, AstraSimError, find_binary
from benchmarks.astra_sim.cases import CASES, QUICK
from benchmarks.astra_sim.rows import row_of
from benchmarks.report import RESULTS, machine, write_report
from chiplet.schedule.buffers import DoesNotFitError

BOUND = 0.01
"""Largest part of the time that may be left unexplained."""

NOTES = """\
One layer, forward and backward, without DRAM traffic. From left to right, each column has one more restriction of
ASTRA-sim:

- `terms_ms`: our terms. With token tiles they are those of the projection, in which the resources of a die overlap;
  without, everything in turn.
- `as_cut_ms`: the same, with everything in turn for operations that the trace does not cut into token tiles: attention,
  which runs in strips, and all of Optimus.
- `apart_ms`: the graph of the trace as a schedule. Array, vector unit and the links along each axis work at the same
  time.
- `vector_in_turn_ms`: the vector unit and the array in turn.
- `one_collective_ms`: one collective in flight, on whichever axis.
- `whole_chunks_ms`: flits are not passed on: dies send on whole chunks, so that each step of a collective pays its
  latency.
- `in_cycles_ms`: collectives as rings of ASTRA-sim's network, whole bytes and cycles, its delays, whole microseconds of
  computation.
- `astra_sim_ms`: what ASTRA-sim says; `remainder` is its difference from the column before, `difference` that from
  `terms_ms`.

`compute_ms` is the array's time and the vector unit's, `exposed_ms` what else there is in `one_collective_ms`; beside
them what ASTRA-sim says. With `--cycle ps` of the export its cycle is a picosecond: `picoseconds_ms`, and its
remainder. `aware_ms` is of its backend with congestion, which has networks of one dimension only."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the table; return the exit code: 1 if a run fails or differs, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.astra_sim", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--binary",
        type=Path,
        metavar="PATH",
        help=f"{NAMES['unaware']}; by default that of the environment variable {VARIABLE}, or on the path",
    )
    parser.add_argument(
        "--aware", type=Path, metavar="PATH", help=f"{NAMES['aware']}; by default the one beside the other"
    )
    parser.add_argument(
        "--version", default="unknown", metavar="TEXT", help="version of both, for the report"
    )
    parser.add_argument("--quick", action="store_true", help="few and small layers")
    parser.add_argument(
        "-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="folder of the report"
    )
    options = parser.parse_args(arguments)
    unaware: Path | None = options.binary or find_binary()
    if unaware is None or not unaware.is_file():
        parser.error(f"{NAMES['unaware']}: {unaware or 'not found'}: give its path as --binary")
    beside = unaware.with_name(NAMES["aware"])
    aware: Path | None = options.aware or (beside if beside.is_file() else None)
    rows, left_out, failed = [], 0, False
    for case in QUICK if options.quick else CASES:
        name = f"{case.model if isinstance(case.model, str) else case.model.name}, {case.method} {case.mesh}"
        try:
            row = row_of(case, unaware, aware)
        except DoesNotFitError:
            left_out += 1
            continue
        except AstraSimError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            failed = True
            continue
        differs = max(abs(row["remainder"]), abs(row["picoseconds_remainder"])) > BOUND
        print(
            f"{name}: remainder {row['remainder']:.2%}{', too much' * differs}", file=sys.stderr, flush=True
        )
        failed |= differs
        rows.append(row)
    if not rows:
        print("error: no layer was run", file=sys.stderr)
        return 1
    notes = NOTES + (
        f"\n\n{left_out} layers do not fit in the buffers, and are left out." if left_out else ""
    )
    about = {**machine(0), "astra-sim": options.version}
    print(write_report(options.output, "astra_sim", title="ASTRA-sim", about=about, rows=rows, notes=notes))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
