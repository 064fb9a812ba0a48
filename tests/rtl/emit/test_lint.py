"""Lint of Verilator finds nothing beside the waivers, signals have names, and there is no combinational loop."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import DieSpec, LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from chiplet.machine.vector_specs import VectorSpec
from cosim.backends.verilator_program import find_verilator, packaged_path
from rtl.block import Block, place
from rtl.die.die import Die
from rtl.emit.emitter import Emitted, emit
from rtl.emit.lint_waivers import WITHOUT_PROCASSINIT, lint_waivers
from rtl.lib.rotate import Rotate
from rtl.package.package import Package
from rtl.processes.child_process import run_child
from tests.rtl.loops import combinational_loops

DIE = DieSpec(rows=3, cols=2)
INTEGERS = DIE.model_copy(update={"dtype": "int8"})
MACRO = INTEGERS.model_copy(update={"sram": "macro"})

KINDS = (
    "macro die",
    "die with engine and vector unit",
    "deeply pipelined die with engine",
    "package",
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("die", "die with all lanes")),
)
"""The kinds of output. Those of integers take half the time; bf16 dies have the other units, with few lanes or all.
Flits are part of a word in the package, and two words beside the vector unit."""

LANES = {"die with engine and vector unit": 2, "die with all lanes": 0}


def top(kind: str) -> Block:
    if kind == "package":
        system = SystemSpec(
            die=INTEGERS,
            memory=MemorySpec(),
            nop=NopSpec(),
            link=LinkSpec(),
            package=PackageSpec(rows=1, cols=1),
        )
        return Package(system=system)
    if kind.startswith("deeply"):
        deep = INTEGERS.model_copy(update={"sram_latency": 3, "multiplier_stages": 2})
        return Die(die=deep, memory=MemorySpec(), nop=NopSpec())
    if kind in LANES:
        wide = NopSpec(flit_bits=512)
        return Die(die=DIE, memory=MemorySpec(), nop=wide, vector=VectorSpec(lanes=LANES[kind]))
    return Die(die=MACRO if kind == "macro die" else INTEGERS, memory=MemorySpec())


@cache
def emitted(kind: str, folder: Path) -> Emitted:
    return emit(top(kind), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verilog")


def verilators() -> list[tuple[list[str | Path], dict[str, str]]]:
    """Commands of the Verilators that are here, and what has to be in the environment of each."""
    commands: list[tuple[list[str | Path], dict[str, str]]] = []
    if packaged_path() is not None:
        packaged = find_verilator()
        commands.append(([packaged.path], packaged.variables))
    if shutil.which("verilator"):
        known = run_child(["verilator", "--lint-only", "-Wno-PROCASSINIT", "--version"]).code == 0
        commands.append((["verilator", *(() if known else (f"-D{WITHOUT_PROCASSINIT}",))], {}))
    return commands


@pytest.mark.parametrize("kind", KINDS)
def test_verilator_finds_nothing_beside_the_waivers(kind: str, folder: Path) -> None:
    out = folder / kind.replace(" ", "_")
    name = emitted(kind, out).top
    if not verilators():
        pytest.skip("verilator is not installed")
    for command, variables in verilators():
        lint = [*command, "--lint-only", "-Wall", "--top-module", name, f"{name}.vlt", "-f", f"{name}.f"]
        run = run_child(lint, folder=out, variables=variables)
        assert re.findall("%(?:Warning|Error).*", run.output + run.errors) == []
        assert run.code == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "macro die"])
def test_signals_have_names_and_no_loop_goes_through_the_modules(kind: str, folder: Path) -> None:
    design = emitted(kind, folder / kind.replace(" ", "_"))
    assert re.findall(r"\bsignal(?:_\d+)?\b", design.text) == []
    assert combinational_loops(design) == []


class _Loop(Block):
    """An output that depends on itself through a second module."""

    def __init__(self) -> None:
        super().__init__({"i": In(2), "o": Out(2)})

    @property
    def block_name(self) -> str:
        return "loop"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage = Rotate(lanes=2, width=1)
        place(m, platform, "stage", stage)
        m.d.comb += [stage.i.eq(Cat(self.i[0], stage.o[0])), stage.amount.eq(self.i[1]), self.o.eq(stage.o)]
        return m


def test_a_loop_is_seen() -> None:
    (loop,) = combinational_loops(emit(_Loop(), None))
    assert loop == ["o"]


def test_each_waiver_has_a_reason() -> None:
    text = lint_waivers("// head\n", ["sram_8x4", "sram_16x2"])
    assert text.startswith("// head\n")
    assert re.findall(r'^lint_off -rule UNDRIVEN -file "(.*)"$', text, re.MULTILINE) == [
        "*sram_16x2.v",
        "*sram_8x4.v",
    ]
    for block in text.split("\n\n")[1:]:
        assert re.match(r"// [^\n]+\.\n(`ifndef \w+\n)?lint_off ", block)
    assert "UNDRIVEN" not in lint_waivers("// head\n", [])
