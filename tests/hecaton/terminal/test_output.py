"""Progress: what is shown adds up to the part that is over, as a bar or as lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hecaton.terminal import output
from hecaton.terminal.output import Output


class Steps(Output):
    """Keeps what a progress bar is advanced by."""

    def __init__(self) -> None:
        super().__init__(as_json=False)
        self.steps: list[float] = []

    @contextmanager
    def progress(self, label: str, total: float | None) -> Iterator[Callable[..., None]]:
        assert (label, total) == ("cycles", 1.0)
        yield self.steps.append


@pytest.mark.parametrize(
    ("label", "total", "steps", "line"),
    [
        ("measuring", 3, 2, "measuring: 2 of 3 after "),
        ("cycles", 1.0, 0.25, "cycles: 25% after "),
        ("steps", None, 7, "steps: 7 after "),
    ],
)
def test_progress_is_lines_where_there_is_no_terminal(
    label: str,
    total: float | None,
    steps: float,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while a step takes long: nothing is advanced while the test waits for the line."""
    monkeypatch.setattr(output, "LINE_SECONDS", 0.01)
    printed = ""
    with Output(as_json=False) as out, out.progress(label, total) as advance:
        advance(steps)
        end = time.monotonic() + 20
        while line not in printed and time.monotonic() < end:
            printed += capsys.readouterr().err
    assert line in printed
    capsys.readouterr()
    with Output(as_json=True) as out, out.progress(label, total) as advance:
        advance(steps)
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_short_command_prints_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(as_json=False) as out, out.progress("points", 2) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_a_share_is_told_as_a_whole_and_shown_as_what_is_new() -> None:
    with Steps() as out, out.fraction("cycles") as show:
        for part in (0.25, 0.25, 0.75, 1.0):
            show(part)
    assert out.steps == pytest.approx([0.25, 0.0, 0.5, 0.25])
