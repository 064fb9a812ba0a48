"""Subcommands: groups of options become options, help has the examples and the JSON keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from hecaton.terminal.json_keys import JsonObject
from hecaton.terminal.subcommand import subcommand

CALLS: list[tuple[object, ...]] = []


@dataclass(frozen=True)
class Size:
    """A group of two options, one of them required."""

    width: Annotated[int, typer.Option("--width", metavar="W", help="Width.")]
    height: Annotated[int, typer.Option("--height", metavar="H", help="Height.")] = 2


@dataclass(frozen=True)
class Answer:
    """What the command prints.

    Attributes
    ----------
    area
        Width times height, in [mm2].
    """

    area: int


def make_app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode="rich")

    @app.callback()
    def _root() -> None:
        """Root."""

    @subcommand(app, examples=("draw --width 3",), json_object=lambda: JsonObject((Answer,)))
    def draw(
        *, size: Size, name: Annotated[str, typer.Option("--name", help="Name.")] = "box", twice: bool = False
    ) -> None:
        """Draw a box
        in one line."""
        CALLS.append((size, name, twice))

    return app


def test_the_fields_of_a_group_are_options() -> None:
    CALLS.clear()
    app = make_app()
    app(["draw", "--width", "3"], standalone_mode=False)
    app(["draw", "--height", "5", "--width", "4", "--name", "x", "--twice"], standalone_mode=False)
    assert [(Size(3, 2), "box", False), (Size(4, 5), "x", True)] == CALLS
    with pytest.raises(typer.TyperException, match="Missing parameter: width"):
        app(["draw", "--height", "5"], standalone_mode=False)


def test_help_has_options_examples_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    make_app()(["draw", "--help"], standalone_mode=False)
    shown = capsys.readouterr().out
    lines = [line.strip() for line in shown.splitlines()]
    assert "Draw a box in one line." in lines
    assert lines.index("Examples") < lines.index("draw --width 3") < lines.index("JSON keys")
    assert "area: Width times height, in [mm2]." in lines
    assert "--width" in shown
    assert "--size" not in shown
