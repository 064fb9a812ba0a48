"""The programs of synthesis: Yosys with its abc maps blocks, OpenSTA times them. Both are found on the path."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rtl.processes.child_process import run_child
from rtl.processes.reported_version import reported_version

__all__ = [
    "SYNTHESIS_PROGRAMS",
    "InstalledProgram",
    "SynthesisError",
    "SynthesisProgram",
    "find_program",
    "run_program",
]


class SynthesisError(ValueError):
    """A program of synthesis is missing, or refused a design."""


@dataclass(frozen=True)
class SynthesisProgram:
    """A program that synthesis needs.

    Attributes
    ----------
    name
        What it is called.
    command
        The names under which it is looked for.
    options
        Options that make it print its version.
    pattern
        Its version in what it prints.
    package
        Debian's package that has it.
    """

    name: str
    command: str
    options: tuple[str, ...]
    pattern: str
    package: str

    @property
    def needs(self) -> str:
        """What to install."""
        return f"Debian's package {self.package}, which `make silicon` installs"


SYNTHESIS_PROGRAMS: Mapping[str, SynthesisProgram] = {
    "yosys": SynthesisProgram("Yosys", "yosys", ("-V",), r"^Yosys (\S+)", "yosys"),
    "sta": SynthesisProgram("OpenSTA", "sta", ("-version",), r"^(?:OpenSTA )?(\d[\d.]*)", "opensta"),
}
"""Programs by the name of their command."""


@dataclass(frozen=True)
class InstalledProgram:
    """A program that is installed: where, and its version."""

    path: Path
    version: str


def find_program(command: str) -> InstalledProgram:
    """The installed program of this command.

    Raises
    ------
    SynthesisError
        If it is not installed, or another program has its name.
    """
    program = SYNTHESIS_PROGRAMS[command]
    path = shutil.which(command)
    if path is None:
        raise SynthesisError(f"{program.name} is not installed: it needs {program.needs}")
    version = _version(program, path)
    if version is None:
        raise SynthesisError(f"{path} is not {program.name}: it needs {program.needs}")
    return InstalledProgram(Path(path), version)


@cache
def _version(program: SynthesisProgram, path: str) -> str | None:
    return reported_version([path, *program.options], program.pattern)


def run_program(command: str, arguments: Sequence[str], *, what: str, folder: Path) -> str:
    """Run a program in ``folder`` and return what it prints, in the order in which it does.

    Raises
    ------
    SynthesisError
        If it is not installed, or ends with an error; ``what`` names the design.
    """
    program = find_program(command)
    log = folder / f"{command}.log"
    log.write_text("")
    done = run_child([program.path, *arguments], folder=folder, log=log)
    printed = log.read_text(encoding="utf-8", errors="replace")
    errors = re.findall(r"^(?:ERROR|Error): (.*)$", printed, re.MULTILINE)
    if done.code or errors:
        reason = errors[0] if errors else printed.strip()[-300:] or f"ended with code {done.code}"
        raise SynthesisError(f"{what}: {SYNTHESIS_PROGRAMS[command].name}: {reason}")
    return printed
