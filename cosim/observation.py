"""What a run leaves behind for its reader besides the record: a trace, waveforms and how to view them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cosim.backends.base import WAVES, Backend, Design
from cosim.job import load_changes
from cosim.scheduler import GemmProgram
from cosim.trace import die_events, trace_json
from cosim.units import observed_signals
from cosim.waves import gtkwave_view, surfer_view, unit_groups

__all__ = ["Observation"]

DIE = "die"
"""Name of the die in the bench."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Files that a run of a GEMM writes; None is not written, and costs nothing.

    Attributes
    ----------
    trace
        Trace of the units, see :mod:`cosim.trace`.
    waves
        Waveform of every signal. Beside it ``.gtkw`` and ``.sucl`` files, which show the units in GTKWave and Surfer.
    """

    trace: Path | None = None
    waves: Path | None = None

    def prepare(self, backend: Backend) -> Backend:
        """Return the backend with the waveforms that are wanted, and see that the files have a place.

        Raises
        ------
        ValueError
            If the backend does not write such waveforms, or something else than a file has the name of one.
        OSError
            If a folder cannot be made.
        """
        for option, path in (("--trace", self.trace), ("--waves", self.waves)):
            if path is not None:
                if path.exists() and not path.is_file():
                    raise ValueError(f"{option} {path}: is no file")
                path.parent.mkdir(parents=True, exist_ok=True)
        if self.waves is None:
            return backend
        try:
            return backend.with_waves(self.waves.suffix)
        except ValueError as error:
            raise ValueError(f"--waves {self.waves}: {error}") from None

    @property
    def signals(self) -> list[str]:
        """Signals of the bench whose changes the run has to keep."""
        return [f"{DIE}.{name}" for name in observed_signals()] if self.trace else []

    def keep(
        self,
        folder: Path,
        simulator: Backend,
        design: Design,
        program: GemmProgram,
        *,
        command_words: int,
        title: str,
    ) -> None:
        """Make the files out of what a run left in ``folder``. Raises OSError if they cannot be written."""
        if self.trace is not None:
            changes = [
                (cycle, name.removeprefix(f"{DIE}."), value) for cycle, name, value in load_changes(folder)
            ]
            events = die_events(changes, program.commands, command_words=command_words)
            made = folder / "trace.json"
            made.write_text(trace_json(events, title=title))
            _move(made, self.trace)
        if self.waves is not None:
            _move(folder / f"{WAVES}{self.waves.suffix}", self.waves)
            scope = design.top if simulator.waves_have_top else ""
            groups = unit_groups(design.text, design.top, die=DIE, scope=scope)
            for suffix, view in ((".gtkw", gtkwave_view), (".sucl", surfer_view)):
                made = folder / f"view{suffix}"
                made.write_text(view(self.waves, groups))
                _move(made, self.waves.with_suffix(suffix))


def _move(source: Path, target: Path) -> None:
    """Move a file to where it is wanted, which may be another file system: whole or not at all."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.move(source, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
