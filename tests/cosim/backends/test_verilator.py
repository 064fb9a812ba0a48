"""Verilator backend: found, or refused with its version; its builds, runs and failures."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosim.backends.base import SimulationError
from cosim.backends.verilator import Verilator

Install = Callable[[str, str], None]

VERILATOR = """\
[ "$1" = --version ] && echo "Verilator 5.036 2025-04-27 rev v5.036" && exit
for word in "$@"; do
  case $word in *.v) source=$word ;; esac
done
while [ "$1" != -Mdir ]; do shift; done
grep -q module "$source" || { echo "%Error: $source:1:1: syntax error"; exit 1; }
printf 'all:\\n\\tcp program design\\n\\tchmod +x design\\n' >"$2/Vtop.mk"
cat >"$2/program" <<'end'
#!/bin/sh
echo "Error: $COCOTB_TEST_MODULES says no"
fails=$(grep -c says_no "$COCOTB_TEST_MODULES.txt")
echo "<testsuites><testsuite tests='1' failures='$fails'/></testsuites>" >"$COCOTB_RESULTS_FILE"
end
"""
"""A stand-in, for machines without Verilator: it makes a program that says what the file of the bench tells it."""


@dataclass(frozen=True)
class Source:
    text: str
    top: str = "design"
    rtlil: str = ""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a shell script on the search path, before everything else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def script(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)

    return script


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (
            "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)",
            "verilator 5.006 is too old: the verilator backend needs 5.036 or newer",
        ),
        (
            "Verilator 4.228 2022-10-01 rev",
            "verilator 4.228 is too old: the verilator backend needs 5.036 or newer",
        ),
        (
            "no version here",
            "verilator --version does not report its version: the verilator backend needs 5.036 or newer",
        ),
    ],
)
def test_what_is_too_old_is_refused_with_its_version(install: Install, says: str, message: str) -> None:
    install("verilator", f'echo "{says}"\n')
    with pytest.raises(SimulationError, match=f"^{re.escape(message)}$"):
        Verilator().version()
    with pytest.raises(SimulationError, match=f"^{re.escape(message)}$"):
        Verilator().build(Source("module design; endmodule\n"))


@pytest.mark.parametrize("version", ["5.036", "5.048", "6.001", "10.2"])
def test_what_is_new_enough_is_taken(install: Install, version: str) -> None:
    install("verilator", f'echo "Verilator {version} 2025-04-27"\n')
    assert Verilator().version() == version


def test_a_missing_verilator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SimulationError,
        match=r"^verilator is not installed: the verilator backend needs 5\.036 or newer$",
    ):
        Verilator().version()


def test_a_missing_builder_is_named(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("verilator", 'echo "Verilator 5.036"\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SimulationError, match="^make is not installed: verilator needs it to build a model$"):
        Verilator().version()


def test_only_the_program_of_a_model_is_kept(install: Install) -> None:
    install("verilator", VERILATOR)
    model = Verilator().build(Source("module design; endmodule\n"))
    assert sorted(path.name for path in model.iterdir()) == ["build.log", "design", "seal.json"]
    assert Verilator().build(Source("module design; endmodule\n")) == model
    assert Verilator().build(Source("module design; wire a; endmodule\n")) != model


def test_verilog_that_is_refused(install: Install) -> None:
    install("verilator", VERILATOR)
    with pytest.raises(
        SimulationError, match=r"^verilator refuses design: %Error: design\.v:1:1: syntax error$"
    ):
        Verilator().build(Source("nothing\n"))


def test_results_are_read(install: Install, tmp_path: Path) -> None:
    install("verilator", VERILATOR)
    verilator = Verilator()
    model = verilator.build(Source("module design; endmodule\n"))
    (tmp_path / "bench.txt").write_text("says_yes\n")
    verilator.run(model, "design", "bench", tmp_path, {})
    (tmp_path / "bench.txt").write_text("says_no\n")
    with pytest.raises(SimulationError, match="^bench on design failed: bench says no$"):
        verilator.run(model, "design", "bench", tmp_path, {})
