"""Make ``rtl/interface/function_tables.py``: the numbers by which hardware and golden model evaluate functions.

Each interval's polynomial goes through three points of the function, at the Chebyshev nodes of the interval. It is
computed with 50 decimal digits and rounded to the nearest integer, so the text is the same on every machine.

    python tools/function_tables.py            # write the module
    python tools/function_tables.py --check    # compare with the module that is there
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from pathlib import Path

from rtl.interface.function_tables import (
    CONSTANT_BITS,
    FACTOR_BITS,
    INDEX_BITS,
    LINEAR_BITS,
    OFFSET_BITS,
    RESULT_BITS,
    SQUARE_BITS,
)

MODULE = Path(__file__).resolve().parent.parent / "rtl" / "interface" / "function_tables.py"
MARK = "# Made by tools/function_tables.py from here on."

getcontext().prec = 50

FUNCTIONS: dict[str, Callable[[Decimal], Decimal]] = {
    "EXP2": lambda x: (x * Decimal(2).ln()).exp(),
    "RECIPROCAL": lambda x: 2 / (1 + x),
    "RSQRT": lambda x: 2 / (1 + x).sqrt(),
    "RSQRT_ODD": lambda x: 2 / (2 + 2 * x).sqrt(),
    "LOG": lambda x: (1 + x).ln(),
}
"""Each table's function of the fraction x, from 0 up to 1."""


def _round(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def coefficients(function: Callable[[Decimal], Decimal]) -> list[tuple[int, int, int]]:
    """(C0, C1, C2) of each interval, see :mod:`rtl.interface.function_tables`."""
    half = Decimal(1) / (1 << INDEX_BITS + 1)
    step = half * Decimal("0.75").sqrt()
    unit = Decimal(1) / (1 << INDEX_BITS + OFFSET_BITS)  # of d, the offset from the middle of an interval
    entries = []
    for index in range(1 << INDEX_BITS):
        middle = (2 * index + 1) * half
        low, there, high = (function(middle + sign * step) for sign in (-1, 0, 1))
        c1 = (high - low) / (2 * step)
        c2 = (high + low - 2 * there) / (2 * step * step)
        scale = Decimal(1 << RESULT_BITS)
        entries.append(
            (
                _round(there * scale),
                _round(c1 * unit * scale * (1 << LINEAR_BITS)),
                _round(c2 * unit * unit * scale * (1 << LINEAR_BITS + SQUARE_BITS)),
            )
        )
    return entries


def text() -> str:
    """The part of the module that is made here."""
    lines = [MARK, ""]
    lines += [
        f"LOG2_E = {_round((1 << FACTOR_BITS) / Decimal(2).ln())}",
        '"""log2(e), with :data:`FACTOR_BITS` fraction bits."""',
        "",
        f"LN_2 = {_round((1 << CONSTANT_BITS) * Decimal(2).ln())}",
        '"""ln(2), with :data:`CONSTANT_BITS` fraction bits."""',
        "",
        "TABLES: dict[str, tuple[tuple[int, int, int], ...]] = {",
    ]
    for name, function in FUNCTIONS.items():
        lines.append(f'    "{name}": (')
        lines += [f"        ({c0}, {c1}, {c2})," for c0, c1, c2 in coefficients(function)]
        lines.append("    ),")
    lines += ["}", '"""(C0, C1, C2) of each interval of each table."""', ""]
    return "\n".join(lines)


def main() -> int:
    """Write the module, or compare it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    there = MODULE.read_text(encoding="utf-8")
    head = there.split(MARK)[0]
    made = head + text()
    if check:
        print("the same" if made == there else "not what the script makes")
        return int(made != there)
    MODULE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
