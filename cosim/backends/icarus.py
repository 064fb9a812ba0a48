"""Icarus Verilog, the default backend and the reference."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import cocotb_tools.config

from cosim.backends.base import WAVES, Backend, Design, SimulationError
from cosim.backends.cache import cached_build
from cosim.backends.log import last_line
from cosim.backends.process import run_simulator
from rtl.emit.emitter import TIMESCALE
from rtl.processes.child_process import run_child
from rtl.processes.temporary import temporary_folder

__all__ = ["Icarus"]

MODEL = "sim.vvp"
DUMP_MODULE = "hecaton_dump"
DUMP = f"""
module {DUMP_MODULE};
  initial begin
    $dumpfile("{{file}}");
    $dumpvars(0, {{top}});
  end
endmodule
"""
"""A second top module, which dumps every signal of the design."""


class Icarus(Backend):
    """Icarus Verilog. Built models are cached by what they are built from."""

    name = "icarus"
    wave_formats = (".fst", ".vcd")

    def __init__(self, *, waves: str | None = None) -> None:
        self._waves = waves

    @cache  # noqa: B019 - backends live as long as the process
    def version(self) -> str:
        for program in ("iverilog", "vvp"):
            if shutil.which(program) is None:
                raise SimulationError(f"{program} is not installed: install Debian's package iverilog")
        # It makes temporary files for this too: a missing TMPDIR must not stop it, nor an interrupt leave them there.
        with temporary_folder() as folder:
            answer = run_child(["iverilog", "-V"], folder=folder, variables={"TMPDIR": "."})
        number = re.search(r"Icarus Verilog version (\S+)", answer.output)
        if number is None:
            raise SimulationError(
                "iverilog -V does not report its version: is the installation of Icarus Verilog complete?"
            )
        return number[1]

    def with_waves(self, suffix: str) -> Icarus:
        if suffix not in self.wave_formats:
            super().with_waves(suffix)
        return Icarus(waves=suffix)

    def build(self, design: Design) -> Path:
        text = design.text
        arguments: tuple[str, ...] = ()
        if self._waves:
            text += DUMP.format(file=f"{WAVES}{self._waves}", top=design.top)
            arguments = ("-s", DUMP_MODULE)
        made_from = f"{self.name} {self.version()} {TIMESCALE} {arguments} {design.top}\n{text}"
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return cached_build(key, lambda folder: self._build_into(folder, text, design.top, arguments))

    def _build_into(self, folder: Path, text: str, top: str, arguments: tuple[str, ...]) -> None:
        source, settings, log = f"{top}.v", "settings.f", folder / "build.log"
        (folder / source).write_text(text, encoding="utf-8")
        (folder / settings).write_text(f"+timescale+{TIMESCALE[0]}/{TIMESCALE[1]}\n", encoding="utf-8")
        # It passes file names to a shell unquoted, so all of them are relative to the folder.
        command = ["iverilog", "-o", MODEL, "-s", top, "-g2012", *arguments, "-f", settings, source]
        if run_child(command, folder=folder, log=log, variables={"TMPDIR": "."}).code:
            raise SimulationError(f"iverilog refuses {top}: {last_line(log)}")

    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        interface = cocotb_tools.config.lib_entry("vpi", "icarus")
        dumper = [f"-{self._waves.removeprefix('.')}"] if self._waves else []
        run_simulator(["vvp", "-m", interface, model / MODEL, *dumper], top, bench, folder, environment)
