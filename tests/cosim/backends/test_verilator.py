"""Verilator backend: its builds, runs and failures, with a stand-in for Verilator."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosim.backends import verilator_program
from cosim.backends.base import SimulationError
from cosim.backends.verilator import Verilator

Install = Callable[[str, str], None]

VERILATOR = """\
[ "$1" = --version ] && echo "Verilator 5.036 2025-04-27 rev v5.036" && exit
for word in "$@"; do
  case $word in *.v) source=$word ;; esac
done
while [ "$1" != --top-module ]; do shift; done
top=$2
grep -q module "$source" || { echo "%Error: $source:1:1: syntax error"; exit 1; }
printf 'all:\\n\\tcp program %s\\n\\tchmod +x %s\\n' "$top" "$top" >Vtop.mk
cat >program <<'end'
#!/bin/sh
echo "Error: $COCOTB_TEST_MODULES says no"
fails=$(grep -c says_no "$COCOTB_TEST_MODULES.txt")
echo "<testsuites><testsuite tests='1' failures='$fails'/></testsuites>" >"$COCOTB_RESULTS_FILE"
end
"""
"""A stand-in, which is quick: it makes a program that says what the file of the bench tells it."""


@dataclass(frozen=True)
class Source:
    text: str
    top: str = "design"
    rtlil: str = ""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a shell script on the search path, before everything else."""
    monkeypatch.setattr(verilator_program, "packaged_path", lambda: None)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def script(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)

    return script


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
