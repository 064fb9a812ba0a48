"""Files of users: their text, and files without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from chiplet.machine.input_files import MOST_BYTES, read_input
from chiplet.sweep.space import load_space
from chiplet.workload.llm import load_model


def test_text_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("a = 'ü'\r\n".encode())
    assert read_input(path) == "a = 'ü'\r\n"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_input(path, encoding="utf-8-sig") == "{}"
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_input(path)


def test_files_without_end_are_refused() -> None:
    endless = Path("/dev/zero")
    with pytest.raises(OSError, match=f"larger than {MOST_BYTES >> 20} MiB"):
        read_input(endless)
    message = r"^/dev/zero: cannot read the .*: larger than 64 MiB$"
    with pytest.raises(ValueError, match=message):
        load_model(endless)
    with pytest.raises(ValueError, match=message):
        Calibration.load(endless)
    with pytest.raises(ValueError, match=message):
        load_system(endless, [], preset="package")
    with pytest.raises(OSError, match="larger than 64 MiB"):
        load_space(endless)
