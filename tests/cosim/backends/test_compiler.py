"""The C++ compiler: what CXX names, else g++."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.backends.base import SimulationError
from cosim.backends.compiler import compiler, flags_variable, further_flags


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    assert compiler("cxxrtl") == ["g++"]
    monkeypatch.setenv("CXX", "env g++")
    assert compiler("cxxrtl") == ["env", "g++"]


def test_a_missing_one_is_named_with_its_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    with pytest.raises(SimulationError, match=r"/none is not installed: the verilator backend needs a C\+\+"):
        compiler("verilator")


def test_flags_from_outside_are_words_of_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in ("cxxrtl", "verilator"):
        monkeypatch.delenv(flags_variable(backend), raising=False)
    monkeypatch.setenv("HECATON_CXXRTL_CXXFLAGS", "-O0 '-DNAME=two words'")
    assert further_flags("cxxrtl") == ["-O0", "-DNAME=two words"]
    assert further_flags("verilator") == []
