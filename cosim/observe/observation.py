"""Files that a run can write besides its record: a trace, waveforms, and views of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.backends.base import WAVES, Backend, Design
from cosim.jobs.folder import load_changes
from cosim.observe.intervals import Change
from cosim.observe.trace import die_events, trace_json
from cosim.observe.units import observed_signals, units
from cosim.observe.waves import gtkwave_view, surfer_view, unit_groups
from cosim.program.command import Command
from rtl.emit.output_files import check_output, output_file, write_output

__all__ = ["NOTHING", "Observation", "ObservedDie"]

VIEWS = {".gtkw": gtkwave_view, ".sucl": surfer_view}
"""Views of a waveform, by their suffix."""


@dataclass(frozen=True, kw_only=True)
class ObservedDie:
    """A die of a bench.

    Attributes
    ----------
    path
        Its hierarchical name in the bench.
    commands
        Its program.
    name
        Name in traces, and prefix of the names of its groups in a view.
    engine, vector
        Whether it has a NoP engine, and a vector unit.
    """

    path: str
    commands: Sequence[Command]
    name: str = "die"
    engine: bool = False
    vector: bool = False

    @property
    def signals(self) -> dict[str, str]:
        """Hierarchical names of the signals from which its trace is made, and their names inside the die."""
        names = observed_signals(engine=self.engine, vector=self.vector)
        return {f"{self.path}.{name}": name for name in names}


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Files that a run writes. One that is None is not written and costs nothing.

    Attributes
    ----------
    trace
        Trace of the units, see :mod:`cosim.observe.trace`.
    waves
        Waveform of every signal. Beside it ``.gtkw`` and ``.sucl`` files, which show the units in GTKWave and Surfer.
    """

    trace: Path | None = None
    waves: Path | None = None

    def instrument(self, backend: Backend) -> Backend:
        """Return the backend that writes the requested waveforms, once all files are known to be writable.

        Raises
        ------
        ValueError
            If the backend does not write such waveforms, or something other than a plain file has the name of one.
        OSError
            If a file cannot be made.
        """
        views = [self.waves.with_suffix(suffix) for suffix in VIEWS] if self.waves is not None else []
        for option, path in (
            ("--trace", self.trace),
            ("--waves", self.waves),
            *(("--waves", view) for view in views),
        ):
            if path is not None:
                try:
                    check_output(path)
                except ValueError as error:
                    raise ValueError(f"{option} {error}") from None
        if self.waves is None:
            return backend
        try:
            return backend.with_waves(self.waves.suffix)
        except ValueError as error:
            raise ValueError(f"--waves {self.waves}: {error}") from None

    def signals(self, dies: Sequence[ObservedDie]) -> list[str]:
        """Signals of the bench whose changes the run has to record."""
        if self.trace is None:
            return []
        return [name for die in dies for name in die.signals]

    def keep(
        self,
        folder: Path,
        simulator: Backend,
        design: Design,
        dies: Sequence[ObservedDie],
        *,
        command_words: int,
        title: str,
    ) -> None:
        """Write the files from the outputs of a run in ``folder``. Raises OSError if they cannot be written."""
        if self.trace is not None:
            write_output(self.trace, trace_json(_events(folder, dies, command_words), title=title))
        if self.waves is not None:
            with output_file(self.waves) as file:
                shutil.copyfile(folder / f"{WAVES}{self.waves.suffix}", file)
            groups = unit_groups(
                design.text,
                design.top,
                dies={die.path: f"{die.name}_".replace(" ", "_") if len(dies) > 1 else "" for die in dies},
                engine=dies[0].engine,
                vector=dies[0].vector,
                scope=design.top if simulator.waves_have_top else "",
            )
            for suffix, view in VIEWS.items():
                write_output(self.waves.with_suffix(suffix), view(self.waves, groups))


NOTHING = Observation()
"""Keeps nothing but the record."""


def _events(folder: Path, dies: Sequence[ObservedDie], command_words: int) -> list[dict[str, Any]]:
    changes: dict[str, list[Change]] = {die.path: [] for die in dies}
    dies_of_signals = {signal: (die.path, name) for die in dies for signal, name in die.signals.items()}
    for cycle, signal, value in load_changes(folder):
        path, name = dies_of_signals[signal]
        changes[path].append((cycle, name, value))
    return [
        event
        for pid, die in enumerate(dies)
        for event in die_events(
            changes[die.path],
            die.commands,
            command_words=command_words,
            units=units(engine=die.engine, vector=die.vector),
            pid=pid,
            die=die.name,
        )
    ]
