"""Icarus backend: builds, keeps models, and turns every failure into one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosim.backends.base import SimulationError
from cosim.backends.icarus import Icarus


@dataclass(frozen=True)
class Source:
    """A design that is Verilog only."""

    text: str
    top: str = "counter"
    rtlil: str = ""


COUNTER = Source(
    """\
module counter(input clk, input rst, output reg [3:0] count);
  always @(posedge clk) count <= rst ? 0 : count + 1;
endmodule
"""
)

BENCH = """\
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles


@cocotb.test()
async def counts(dut):
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start()
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 6)
    if dut.count.value.to_unsigned() != 5:
        raise RuntimeError("counted wrong")
"""


@pytest.fixture
def bench(tmp_path: Path) -> str:
    """Name of a bench module, in a folder that :data:`PYTHONPATH` of the simulator has to name."""
    (tmp_path / "counter_bench.py").write_text(BENCH)
    return "counter_bench"


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+.*", Icarus().version())


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SimulationError, match="^iverilog is not installed: install Debian's package iverilog$"
    ):
        Icarus().build(COUNTER)


def test_a_bench_runs_on_a_built_model(bench: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    icarus = Icarus()
    model = icarus.build(COUNTER)
    built = (model / "sim.vvp").stat().st_mtime_ns
    assert icarus.build(COUNTER) == model
    assert (model / "sim.vvp").stat().st_mtime_ns == built
    icarus.run(model, "counter", bench, tmp_path, {"PYTHONPATH": str(tmp_path)})
    # Standard output may be somebody's JSON.
    assert capfd.readouterr().out == ""


def test_another_text_is_another_model() -> None:
    icarus = Icarus()
    assert icarus.build(COUNTER) != icarus.build(Source(COUNTER.text.replace("+ 1", "+ 2")))


def test_a_damaged_model_is_built_again(bench: str, tmp_path: Path) -> None:
    icarus = Icarus()
    model = icarus.build(COUNTER)
    (model / "sim.vvp").write_text("")
    assert icarus.build(COUNTER) == model
    icarus.run(model, "counter", bench, tmp_path, {"PYTHONPATH": str(tmp_path)})


def test_verilog_that_is_refused(cache: Path) -> None:
    with pytest.raises(SimulationError, match=r"^iverilog refuses broken: [^\n]+$"):
        Icarus().build(Source("module broken(; endmodule\n", "broken"))
    assert not list((cache / "builds").glob("*/broken.v"))


def test_a_cache_may_have_any_name(bench: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    for name in ("relative", str(tmp_path / 'it\'s a "cache" for $HOME; `x`')):
        monkeypatch.setenv("HECATON_CACHE", name)
        model = Icarus().build(COUNTER)
        assert model.is_relative_to(Path(name).absolute())
        Icarus().run(model, "counter", bench, tmp_path, {"PYTHONPATH": str(tmp_path)})


def test_a_bench_that_fails_is_one_line(bench: str, tmp_path: Path) -> None:
    icarus = Icarus()
    model = icarus.build(Source(COUNTER.text.replace("+ 1", "+ 3")))
    with pytest.raises(SimulationError, match="^counter_bench on counter failed: counted wrong$"):
        icarus.run(model, "counter", bench, tmp_path, {"PYTHONPATH": str(tmp_path)})


def test_a_bench_that_is_not_there(tmp_path: Path) -> None:
    icarus = Icarus()
    with pytest.raises(SimulationError, match=r"^no_such_bench on counter [^\n]*no_such_bench[^\n]*$"):
        icarus.run(icarus.build(COUNTER), "counter", "no_such_bench", tmp_path, {})


def test_a_missing_temporary_folder_does_not_hide_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    assert re.match(r"\d+\.\d+", Icarus().version())
