from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtl.processes import reported_version as module
from rtl.processes.reported_version import reported_version


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_version_is_in_the_output_or_the_errors() -> None:
    assert reported_version(program("print('a tool\\nTool 1.2 of today')"), r"^Tool (\S+)") == "1.2"
    assert reported_version(program("import sys; sys.exit('Tool 3')"), r"^Tool (\S+)") == "3"


def test_another_program_reports_none() -> None:
    assert reported_version(program("print('my Tool 1.2')"), r"^Tool (\S+)") is None


def test_what_does_not_start_reports_none(tmp_path: Path) -> None:
    assert reported_version([tmp_path / "missing"], r"(\d)") is None


def test_what_hangs_reports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    assert reported_version(program("import time; print(1, flush=True); time.sleep(60)"), r"(\d)") is None
