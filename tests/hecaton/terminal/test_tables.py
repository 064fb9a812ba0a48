"""Tables and quantities."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from hecaton.terminal.tables import cell, columns, markdown, pairs, print_whole, quantity


def shown(table: RenderableType) -> list[list[str]]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return [line.split() for line in capture.get().splitlines() if line.strip()]


def test_columns() -> None:
    rows = [{"method": "hecaton", "seconds": 1.23456789}, {"method": "[flat]", "seconds": 20}]
    lines = shown(columns(rows, ["method", "seconds", "note"], title="Methods"))
    assert lines[0] == ["Methods"]
    assert lines[1] == ["method", "seconds", "note"]
    assert lines[3:] == [["hecaton", "1.235", "-"], ["[flat]", "20", "-"]]
    assert shown(columns([], ["method"]))[0] == ["method"]


@pytest.mark.parametrize("width", [1, 10, 40, 80, 200])
def test_a_narrow_terminal_cuts_nothing(width: int) -> None:
    """Numbers and names of methods stay whole, longer names go on in the next line."""
    name = "a-long-organization/a-model-with-a-long-name-405b-instruct"
    row = {"model": name, "method": "torus-ring", "array over NoP": 1.234, "step s": 56.78, "MFU": "91.2%"}
    row |= {f"a column {number}": f"{number}.12345e+06" for number in range(6)}

    def printed(view: RenderableType) -> str:
        file = io.StringIO()
        print_whole(Console(width=width, file=file), view)
        return file.getvalue()

    table = printed(columns([row], list(row), title="A title"))
    for value in ("torus-ring", "1.234", "56.78", "91.2%", "5.12345e+06", "column", "array"):
        assert value in table
    for one in (columns([{"model": name}], ["model"]), pairs({"model": name})):
        assert name in "".join(printed(one).split())


def test_markdown() -> None:
    rows: list[dict[str, Any]] = [{"method": "a|b", "seconds": 1.23456789}, {"method": "c", "seconds": None}]
    assert markdown(rows, ["method", "seconds"]) == (
        "| method | seconds |\n| --- | ---: |\n| a\\|b | 1.235 |\n| c | - |\n"
    )


def test_pairs_flattens() -> None:
    assert shown(pairs({"a": 1, "b": {"c": [1, 2.5], "d": None}})) == [
        ["a", "1"],
        ["b.c", "1,", "2.5"],
        ["b.d", "-"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ((), "-"), ([1, "x"], "1, x"), (0.1, "0.1"), (123456.0, "1.235e+05"), (True, "yes")],
)
def test_cell(value: Any, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "12.3 ms"),
        (1.0, "1 s"),
        (999.0, "999 s"),
        (1000.0, "1 ks"),
        (-2.5e-9, "-2.5 ns"),
        (0.0, "0 s"),
        (1e-15, "0.001 ps"),
        (3e22, "3e+04 Es"),
        (float("inf"), "inf s"),
    ],
)
def test_quantity(value: float, text: str) -> None:
    assert quantity(value, "s") == text
