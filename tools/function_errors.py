"""Measure the errors of the vector unit's functions against float64, and print the table of ``docs/numerics.md``.

    python tools/function_errors.py

Significands: all 2 ** 23 fractions, of both octaves for rsqrt. bf16: all numbers whose result is a normal number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cosim.golden.vector_functions import FUNCTIONS

Floats = NDArray[np.float64]

REFERENCES: dict[str, Callable[[Floats], Floats]] = {
    "exp2": np.exp2,
    "recip": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp,
    "log": np.log,
}
_ONE, _TWO, _FOUR = 0x3F80_0000, 0x4000_0000, 0x4080_0000


def errors(name: str, x: NDArray[np.uint32]) -> tuple[float, float, float]:
    """Worst error of the results that are normal numbers: in units of the last place, relative, absolute."""
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.view(np.float32).astype(np.float64))
        normal = (np.abs(exact) >= 2.0**-126) & (np.abs(exact) < 2.0**128) & ((x >> 23 & 0xFF) != 0)
    exact, got = exact[normal], FUNCTIONS[name](x[normal]).view(np.float32).astype(np.float64)
    difference = np.abs(got - exact)
    unit = 2.0 ** (np.floor(np.log2(np.abs(exact))) - 23)
    return (
        float((difference / unit).max()),
        float((difference / np.abs(exact)).max()),
        float(difference.max()),
    )


def main() -> None:
    """Print the table."""
    bf16 = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint32)
    dense = np.arange(-87 * 4096, 88 * 4096).astype(np.float64) / 4096
    inputs = {
        "exp2": ("all of 1 to 2", np.arange(_ONE, _TWO, dtype=np.uint32)),
        "recip": ("all of 1 to 2", np.arange(_ONE, _TWO, dtype=np.uint32)),
        "rsqrt": ("all of 1 to 4", np.arange(_ONE, _FOUR, dtype=np.uint32)),
        "exp": ("716,800 of -87 to 88", dense.astype(np.float32).view(np.uint32)),
        "log": ("all of 1 to 2", np.arange(_ONE, _TWO, dtype=np.uint32)),
    }
    print("| function | over | ulp | relative | absolute | all bf16: ulp | relative |")
    print("|---|---|---|---|---|---|---|")
    for name, (over, x) in inputs.items():
        of_all, of_bf16 = errors(name, x), errors(name, bf16)
        columns = [f"{of_all[0]:.2f}", *(f"{error:.1e}" for error in of_all[1:])]
        columns += [f"{of_bf16[0]:.2f}", f"{of_bf16[1]:.1e}"]
        if name == "exp":
            columns[2] = "-"  # as large as the result
        if name == "log":
            columns[0] = columns[1] = "-"  # near 1 the result goes to 0
        print(f"| `{name}` | {over} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
