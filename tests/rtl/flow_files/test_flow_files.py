"""What ``hecaton verilog --flow`` writes runs in FuseSoC: lint, the bench that checks itself, synthesis."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from copy import copy as copy_of
from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, LinkSpec, MemorySpec, NopSpec, PackageSpec, SystemSpec
from cosim.backends.verilator_program import find_verilator, packaged_path
from rtl.block import Block
from rtl.die.die import Die
from rtl.emit.emitter import emit
from rtl.flow_files.flow_files import flow_files
from rtl.flow_files.fusesoc_core import core_name
from rtl.package.package import Package

DIE = DieSpec(
    rows=1,
    cols=1,
    dtype="int8",
    sram="macro",
    queue_depth=2,
    activation_bytes=256,
    weight_bytes=256,
    accumulator_bytes=256,
    scratchpad_bytes=1024,
)
MEMORY = MemorySpec(word_bytes=4)
BEHAVIOURAL = DIE.model_copy(update={"sram": "behavioural", "rows": 3, "cols": 2})
PACKAGE = PackageSpec(rows=1, cols=2)

needs_verilator = pytest.mark.skipif(
    packaged_path() is None, reason="Verilator is no package of this machine"
)
needs_yosys = pytest.mark.skipif(
    shutil.which("yosys") is None, reason="Yosys is not installed: `make silicon`"
)


class Core:
    """A design in a folder, which FuseSoC runs targets of."""

    def __init__(self, top: Block, folder: Path, *, dies: int | None = None) -> None:
        emitted = emit(
            top, folder, beside=lambda emitted: flow_files(emitted, clock_hz=1e9, dies=dies), configuration={}
        )
        self.top, self.folder = emitted.top, folder

    def run(
        self, target: str, *options: str, flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a target; options are those of the tool."""
        work = self.folder / "fusesoc"
        (work / "bin").mkdir(parents=True, exist_ok=True)
        if packaged_path() is not None:
            program = find_verilator()
            variables = [f"{name}={value}" for name, value in program.variables.items()]
            script = work / "bin" / "verilator"
            command = shlex.join(["exec", "env", *variables, str(program.path)])
            script.write_text(f'#!/bin/sh\n{command} "$@"\n')
            script.chmod(0o755)
        homes = {name: str(work) for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
        command_line = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(self.folder), "run"]
        for flag in flags:
            command_line += ["--flag", flag]
        return subprocess.run(
            [*command_line, "--build-root", str(work), "--target", target, core_name(self.top), *options],
            cwd=work,
            env={**os.environ, **homes, "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def die(tmp_path_factory: pytest.TempPathFactory) -> Core:
    return Core(Die(die=DIE, memory=MEMORY), tmp_path_factory.mktemp("die"))


@pytest.fixture(scope="module")
def behavioural(tmp_path_factory: pytest.TempPathFactory) -> Core:
    return Core(Die(die=BEHAVIOURAL, memory=MemorySpec(word_bytes=8)), tmp_path_factory.mktemp("behavioural"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Core:
    system = SystemSpec(die=DIE, memory=MEMORY, nop=NopSpec(), link=LinkSpec(), package=PACKAGE)
    return Core(Package(system=system), tmp_path_factory.mktemp("package"), dies=PACKAGE.dies)


@needs_verilator
@pytest.mark.parametrize("flags", [(), ("sram_fpga",), ("sram_macro",)], ids=str)
def test_lint_finds_nothing_whichever_srams_are_taken(die: Core, flags: tuple[str, ...]) -> None:
    run = die.run("lint", flags=flags)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "%Warning" not in run.stdout + run.stderr


@needs_verilator
def test_lint_fails_where_there_is_something_to_find(die: Core, tmp_path: Path) -> None:
    broken = changed(
        die, tmp_path, die.top, "endmodule", r"  wire [3:0] narrow = clk ? 8'hff : 0;\nendmodule"
    )
    file = broken.folder / f"{die.top}.vlt"
    file.write_text(re.sub("^lint_off.*", "", file.read_text(), flags=re.MULTILINE))
    run = broken.run("lint")
    assert run.returncode != 0
    assert "%Warning-WIDTH" in run.stdout + run.stderr


@pytest.mark.parametrize("flags", [(), ("sram_fpga",)], ids=str)
@pytest.mark.parametrize("which", ["die", "behavioural"])
def test_the_bench_passes_without_a_warning(
    which: str, flags: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    core: Core = request.getfixturevalue(which)
    run = core.run("sim", flags=flags)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"PASS: {core.top}\n" in run.stdout
    assert "warning" not in run.stdout + run.stderr


def test_the_bench_of_a_package_passes(package: Core) -> None:
    run = package.run("sim")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"PASS: {package.top}\n" in run.stdout
    assert "warning" not in run.stdout + run.stderr


def changed(core: Core, folder: Path, module: str, old: str, new: str) -> Core:
    """A copy of a core with changes in one module, whose file matches a pattern: ``old`` is one, too."""
    copy = copy_of(core)
    copy.folder = folder / "changed"
    shutil.copytree(core.folder, copy.folder, ignore=shutil.ignore_patterns("fusesoc"))
    (file,) = copy.folder.glob(f"{module}.v")
    text, changes = re.subn(old, new, file.read_text())
    assert changes
    file.write_text(text)
    return copy


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("registers_*", "memory_last, limit,", "limit, memory_last,"),
        ("registers_*", r"\brst \?", "1'b0 ?"),
        ("memory_guard_*", "assign request__valid = .*;", "assign request__valid = 1'b1;"),
        ("command_processor_*", r"\bdone <= \w+;", "done <= 1'b0;"),
    ],
)
def test_the_bench_fails_on_a_die_that_is_not_right(
    die: Core, module: str, old: str, new: str, tmp_path: Path
) -> None:
    run = changed(die, tmp_path, module, old, new).run("sim")
    assert run.returncode != 0
    assert "FAIL: " in run.stdout
    assert "PASS" not in run.stdout


@needs_yosys
def test_yosys_reads_the_synthesis_target(die: Core) -> None:
    run = die.run("synth", "--yosys_synth_options", "-run begin:flatten", "--arch", "ice40")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
@needs_yosys
def test_a_whole_die_is_synthesized_for_an_fpga(die: Core) -> None:
    run = die.run("synth")
    assert run.returncode == 0, run.stdout + run.stderr
    (netlist,) = (die.folder / "fusesoc").glob("*/synth/hecaton_*.v")
    modules = re.findall(
        r"^module (sram_\d+x\w+)\(.*?^endmodule", netlist.read_text(), re.MULTILINE | re.DOTALL
    )
    block_rams = re.findall(
        r"^module (sram_\d+x\w+)\((?:(?!^endmodule).)*?^  RAMB", netlist.read_text(), re.MULTILINE | re.DOTALL
    )
    assert modules
    assert block_rams == modules


def test_filesets_name_what_is_there_and_constraints_have_the_clock(die: Core, package: Core) -> None:
    for core in (die, package):
        text = (core.folder / f"{core.top}.core").read_text()
        paths = re.findall(r"^      - (\S+)$", text, re.MULTILINE)
        assert paths
        assert [path for path in paths if not (core.folder / path).is_file()] == []
        assert len(set(paths)) == len(paths)
        assert "create_clock -name clk -period 1 " in (core.folder / f"{core.top}.sdc").read_text()
