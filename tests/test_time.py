"""No test depends on how long something takes: on a busy machine any time is too long. Tests hold sizes and counts;
times belong to ``benchmarks/``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT, modules, parsed

CLOCKS = {"perf_counter", "monotonic", "process_time", "time", "perf_counter_ns", "monotonic_ns", "time_ns"}
"""Functions of the module ``time`` that read a clock."""


REPORTED = {"wall_seconds", "run_seconds", "build_seconds", "start_seconds", "seconds"}
"""Keys of JSON results that are measured times; a projection's ``step_seconds`` is a modelled one."""

ATTRIBUTES = REPORTED - {"seconds"}
"""Attributes of records that are measured times; what is called ``seconds`` may be modelled."""


def measured(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression holds a time that was measured: a clock, a name set from one, or a reported time."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            called = inner.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            of_time = isinstance(called, ast.Attribute) and getattr(called.value, "id", "") == "time"
            if name in CLOCKS and (of_time or name not in {"time"}):
                return True
        if isinstance(inner, ast.Name) and inner.id in names:
            return True
        if isinstance(inner, ast.Attribute) and inner.attr in ATTRIBUTES:
            return True
        if (
            isinstance(inner, ast.Subscript)
            and isinstance(inner.slice, ast.Constant)
            and inner.slice.value in REPORTED
        ):
            return True
    return False


def zero(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def bounded_times(tree: ast.Module) -> Iterator[int]:
    """Lines of assertions that bound a measured time.

    ``seconds > 0`` holds on any machine, and so does equality with a stored record. In a loop that waits, an assertion
    is the point at which the test gives up.
    """
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        names: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and measured(node.value, set()):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        waiting = {
            inner for loop in ast.walk(function) if isinstance(loop, ast.While) for inner in ast.walk(loop)
        }
        for node in ast.walk(function):
            if not isinstance(node, ast.Assert) or node in waiting:
                continue
            for compared in ast.walk(node.test):
                if not isinstance(compared, ast.Compare):
                    continue
                left = compared.left
                for sign, right in zip(compared.ops, compared.comparators, strict=True):
                    greater = isinstance(sign, (ast.Gt, ast.GtE)) and zero(right)
                    less = isinstance(sign, (ast.Lt, ast.LtE)) and zero(left)
                    ordered = isinstance(sign, (ast.Lt, ast.LtE, ast.Gt, ast.GtE))
                    if (
                        ordered
                        and not greater
                        and not less
                        and (measured(left, names) or measured(right, names))
                    ):
                        yield node.lineno
                    left = right


@pytest.mark.parametrize("path", list(modules(("tests",))), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_bounds_a_time(path: Path) -> None:
    assert list(bounded_times(parsed(path))) == [], (
        "hold sizes, counts or complexity; times belong to benchmarks/"
    )


@pytest.mark.parametrize(
    ("statement", "bounds"),
    [
        ("assert time.perf_counter() - start < 5", True),
        ("assert perf_counter() - start <= 5", True),
        ("took = time.monotonic() - start; assert took < 5", True),
        ("assert 1 < record.wall_seconds < 5", True),
        ("assert row['seconds'] < 10", True),
        ("assert row['seconds'] > 0", False),
        ("assert 0 < row['seconds']", False),
        ("assert record.wall_seconds == other.wall_seconds", False),
        ("assert projection.step_seconds < 5", False),
        ("assert record.cycles < 5", False),
        ("while time.monotonic() < end: pass", False),
        ("while not path.exists(): assert time.monotonic() < end", False),
    ],
)
def test_a_bounded_time_is_found(statement: str, bounds: bool) -> None:
    assert bool(list(bounded_times(ast.parse(f"def test():\n    {statement}")))) == bounds
