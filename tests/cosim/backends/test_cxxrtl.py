"""CXXRTL backend: the same benches, the same cycles and bits as on Icarus."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.base import SimulationError
from cosim.backends.compiler import flags_variable
from cosim.backends.cxxrtl import Cxxrtl, compile_cxx
from cosim.records.gemm import GemmRequest
from cosim.run.die import emit_bench
from cosim.run.gemm import run_gemm

# The die of tests.cosim.run.test_start, so that its model is built once.
DIE = DieSpec(rows=3, cols=2)


def check_against_icarus(form: Form, stall: float, die: DieSpec) -> None:
    request = GemmRequest(
        m=7, k=11, n=5, form=form, die=die, memory=MemorySpec(), stall=stall, seed=4, operands="special"
    )
    reference = run_gemm(request)
    found = run_gemm(request.model_copy(update={"sim": "cxxrtl"}))
    assert (found.mismatches, reference.mismatches) == (0, 0)
    assert found.counters == reference.counters


@pytest.mark.parametrize(
    ("form", "stall", "die"),
    [
        ("nn", 0.0, DIE),
        ("nt", 0.3, DIE),
        pytest.param("tn", 0.3, DieSpec(rows=8, cols=8, dtype="int8", stages=2), marks=pytest.mark.slow),
    ],
)
def test_cycles_counters_and_bits_are_those_of_icarus(form: Form, stall: float, die: DieSpec) -> None:
    check_against_icarus(form, stall, die)


def test_the_optimizations_of_a_model_keep_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 bits of lanes: a compiler may take their reversal for a swap of bytes."""
    monkeypatch.delenv(flags_variable("cxxrtl"))
    check_against_icarus("nn", 0.0, DieSpec(rows=4, cols=4))


def test_a_built_model_is_kept() -> None:
    cxxrtl = Cxxrtl()
    design = emit_bench(DIE, MemorySpec(), 1)
    model = cxxrtl.build(design)
    built = (model / "simulator").stat().st_mtime_ns
    assert cxxrtl.build(design) == model
    assert (model / "simulator").stat().st_mtime_ns == built


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SimulationError, match="^no-such-compiler is not installed: "):
        Cxxrtl().build(emit_bench(DIE, MemorySpec(), 1))


def test_a_failing_bench_is_an_error_of_one_line(tmp_path: Path) -> None:
    cxxrtl = Cxxrtl()
    design = emit_bench(DIE, MemorySpec(), 1)
    with pytest.raises(SimulationError, match=r"^no_such_bench on \w+ (failed|ended without a result): .+$"):
        cxxrtl.run(cxxrtl.build(design), design.top, "no_such_bench", tmp_path, {})


def test_a_compiler_may_be_several_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "env g++")
    assert ", env g++ " in Cxxrtl().version()
    (tmp_path / "empty.cc").touch()
    compile_cxx(["-c", "empty.cc"], tmp_path / "build.log", "empty.cc")
    assert (tmp_path / "empty.o").exists()
