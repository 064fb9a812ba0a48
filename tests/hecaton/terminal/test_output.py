"""Progress: what is shown adds up to the part that is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

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


def test_a_share_is_told_as_a_whole_and_shown_as_what_is_new() -> None:
    with Steps() as out, out.fraction("cycles") as show:
        for part in (0.25, 0.25, 0.75, 1.0):
            show(part)
    assert out.steps == pytest.approx([0.25, 0.0, 0.5, 0.25])
