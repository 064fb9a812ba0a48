"""The functions in numpy: errors against float64, exact results, special values; the tables against their script."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cosim.golden.vector_functions import FUNCTIONS
from tests.tree import ROOT

REFERENCES: dict[str, Any] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "recip": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "log": np.log,
}
INF, NAN = 0x7F80_0000, 0x7FC0_0000


def evaluated(name: str, x: NDArray[np.uint32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Results, and the exact ones, of patterns."""
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.view(np.float32).astype(np.float64))
    return FUNCTIONS[name](x).view(np.float32).astype(np.float64), exact


def ulps(got: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """Worst error in units of the last place of the exact result."""
    return float(np.max(np.abs(got - exact) / 2.0 ** (np.floor(np.log2(np.abs(exact))) - 23)))


@pytest.mark.parametrize(
    ("name", "first", "most"),
    [
        ("exp2", 0x3F80_0000, 0.86),
        ("recip", 0x3F80_0000, 2.64),
        ("rsqrt", 0x3F80_0000, 1.27),
        ("rsqrt", 0x4000_0000, 1.11),
    ],
)
def test_errors_over_every_fourth_significand(name: str, first: int, most: float) -> None:
    """The docs state the errors over all of them, which ``tools/function_errors.py`` measures."""
    assert ulps(*evaluated(name, np.arange(first, first + (1 << 23), 4, dtype=np.uint32))) < most


def test_error_of_the_logarithm_is_absolute() -> None:
    got, exact = evaluated("log", np.arange(0x3F80_0000, 0x4000_0000, 4, dtype=np.uint32))
    assert np.max(np.abs(got - exact)) < 6.7e-8


@pytest.mark.parametrize("name", ["exp", "exp2", "recip", "rsqrt"])
def test_errors_of_all_bf16_numbers(name: str) -> None:
    x = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint32)
    got, exact = evaluated(name, x)
    with np.errstate(all="ignore"):
        normal = (np.abs(exact) >= 2.0**-126) & (np.abs(exact) < 2.0**128) & ((x >> 23 & 0xFF) != 0)
    assert np.count_nonzero(normal) > 10_000
    assert ulps(got[normal], exact[normal]) < 2.7


def test_powers_of_two_are_exact() -> None:
    powers = np.arange(1, 254, dtype=np.uint32) << 23
    reciprocals = FUNCTIONS["recip"](powers)
    assert np.array_equal(reciprocals, (254 << 23) - powers)
    fours = powers[::2]  # exponents -126 + 2 n: even ones
    assert np.array_equal(
        FUNCTIONS["rsqrt"](fours[fours >> 23 & 1 == 1]), (381 << 22) - (fours[fours >> 23 & 1 == 1] >> 1)
    )
    integers = np.arange(-126, 128).astype(np.float32)
    assert np.array_equal(
        FUNCTIONS["exp2"](integers.view(np.uint32)),
        np.exp2(integers.astype(np.float64)).astype(np.float32).view(np.uint32),
    )
    assert FUNCTIONS["log"](np.array([0x3F80_0000], np.uint32))[0] == 0
    assert (
        FUNCTIONS["exp"](np.array([0, 1 << 31, 1, 0x8000_0001, 0x8080_0000], np.uint32)).tolist()
        == [0x3F80_0000] * 5
    )


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("exp", {INF: INF, INF | 1 << 31: 0, 0x42B1_7218: INF, 0xC2AF_0000: 0, 0x7F7F_FFFF: INF, 0xFF7F_FFFF: 0}),
        ("exp2", {INF: INF, INF | 1 << 31: 0, 0x4300_0000: INF, 0xC2FC_0000: 0x0080_0000, 0xC2FD_0000: 0}),
        ("recip", {0: INF, 1 << 31: INF | 1 << 31, 1: INF, INF: 0, INF | 1 << 31: 1 << 31, 0x7E80_0000: 0x0080_0000,
                   0x7E80_0001: 0, 0x7F00_0000: 0, 0xFF00_0000: 1 << 31}),
        ("rsqrt", {0: INF, 1 << 31: INF | 1 << 31, INF: 0, 0xBF80_0000: NAN, INF | 1 << 31: NAN}),
        ("log", {0: INF | 1 << 31, 1 << 31: INF | 1 << 31, INF: INF, 0xBF80_0000: NAN, INF | 1 << 31: NAN}),
    ],
)  # fmt: skip
def test_special_values(name: str, cases: dict[int, int]) -> None:
    cases |= {INF | 1: NAN, 0xFFC0_0000: NAN, 0x7FFF_FFFF: NAN}
    got = FUNCTIONS[name](np.array(list(cases), np.uint32)).tolist()
    assert {f"{x:08x}": f"{y:08x}" for x, y in zip(cases, got, strict=True)} == {
        f"{x:08x}": f"{y:08x}" for x, y in cases.items()
    }


def test_the_tables_are_those_that_the_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, "tools/function_tables.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the same\n")
