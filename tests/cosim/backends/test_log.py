"""Failures of a simulator in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cosim.backends.base import SimulationError
from cosim.backends.log import check_results, error_line, last_line


def test_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == error_line(log) == "it printed nothing"
    log.write_text("first\n  ValueError: wrong\nOSError: later\nlast\n\n")
    assert (last_line(log), error_line(log)) == ("last", "wrong")


@pytest.mark.parametrize(
    ("results", "code", "message"),
    [
        (None, 0, "bench ended without a result: last"),
        (None, -9, "bench ended without a result (signal 9): last"),
        ("<testsui", 0, "bench ended without a result: last"),
        ("<testsuites><testsuite tests='1' failures='1'/></testsuites>", 0, "bench failed: last"),
        ("<testsuites><testsuite tests='0' failures='0'/></testsuites>", 0, "bench failed: last"),
        ("<testsuites><testsuite tests='1' failures='0'/></testsuites>", 1, "bench failed: last"),
    ],
)
def test_a_bad_end_is_an_error_of_one_line(
    tmp_path: Path, results: str | None, code: int, message: str
) -> None:
    log, path = tmp_path / "log", tmp_path / "results.xml"
    log.write_text("last\n")
    if results is not None:
        path.write_text(results)
    with pytest.raises(SimulationError, match=f"^{re.escape(message)}$"):
        check_results(path, log, "bench", code)
