"""Options that commands of every kind share. Each is declared once, and used as the type of a parameter.

A group of options is a dataclass: a command takes it as one parameter, see
:func:`hecaton.terminal.subcommand.subcommand`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, TypedDict

import typer

from hecaton.terminal.values import integer_option

if TYPE_CHECKING:
    from chiplet.machine.calibration import Calibration
    from chiplet.machine.config import Configuration
    from chiplet.machine.specs import SystemSpec
    from chiplet.machine.synthesized.silicon_report import SiliconReport
    from hecaton.terminal.output import Output

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else, on stdout.")
]

Explain = Annotated[
    bool, typer.Option("--explain", help="Print what the result is made of, each part with its name.")
]

_SEED = integer_option("--seed", "Seed of all random choices.", low=0)
Seed = Annotated[int, _SEED]
OptionalSeed = Annotated[int | None, _SEED]

CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration", metavar="FILE", help="Measured cycles of this die; by default those of the design."
    ),
]

SiliconFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--silicon",
        metavar="NAME|FILE.json",
        help="Report of hecaton synth of such a die, or the name of one that comes along: clock, area and energies by "
        "it; repeatable, for dies of other stages. By default those of the configuration.",
    ),
]

PlotFile = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="File for a plot: .pdf, .svg or .png.")
]

MeshSize = Annotated[
    str | None,
    typer.Option("--mesh", metavar="RxC", help="Rows x columns of dies; by default those of the package."),
]

Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace", metavar="FILE.json", help="Trace for Perfetto (ui.perfetto.dev): when each unit is busy."
    ),
]

OutputDirectory = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Directory for the files; made if missing.")
]

_WORKERS = integer_option("--workers", "Processes at a time; by default one per core.", high=1024)
Workers = Annotated[int | None, _WORKERS]


def machine_words(config: Path | None, overrides: Sequence[str]) -> list[str]:
    """A configuration file and ``KEY=VALUE`` overrides as words of a command."""
    file = [] if config is None else ["--config", str(config)]
    return file + [word for override in overrides for word in ("-P", override)]


class ConfiguredResult(TypedDict):
    """What every result of a configured machine says of it.

    Attributes
    ----------
    preset
        The preset that the configuration starts from.
    """

    preset: str


@dataclass(frozen=True)
class MachineOptions:
    """Options that make the configuration."""

    result_keys: ClassVar[type] = ConfiguredResult

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.toml",
            help="Configuration file; its keys win over those of the preset that it names, or else of small.",
        ),
    ] = None
    override: Annotated[
        list[str] | None,
        typer.Option(
            "-P", metavar="KEY=VALUE", help="Set one configuration key, as in -P die.rows=16; repeatable."
        ),
    ] = None

    @property
    def overrides(self) -> list[str]:
        """The values of ``-P``."""
        return self.override or []

    @property
    def words(self) -> list[str]:
        """The options as words of a command."""
        return machine_words(self.config, self.overrides)

    def load(self, out: Output, preset: str, *assignments: str) -> SystemSpec:
        """Return the machine: what the options describe, changed by ``assignments`` (``KEY=VALUE``). It starts from
        ``preset`` if there is no file; ``out`` names the preset that it started from, in its result and in errors.

        Raises ``ValueError`` of one line for a key or value that is not allowed.
        """
        return self.configuration(out, preset, *assignments).system

    def configuration(self, out: Output, preset: str, *assignments: str) -> Configuration:
        """Like :meth:`load`, with what the machine was made from."""
        from chiplet.machine.config import load_configuration

        overrides = [*self.overrides, *assignments]
        loaded = load_configuration(self.config, overrides, preset=self.preset(preset))
        out.configured(loaded.preset, partial(self._remark, loaded))
        return loaded

    def _remark(self, loaded: Configuration, error: ValueError) -> str:
        """What ``error`` does not say of this machine: values that a preset has set, and how to calibrate it."""
        from chiplet.machine.calibration import NeedsCalibration

        origin = loaded.origin(str(error))
        remarks = [f"({origin})"] if origin else []
        if isinstance(error, NeedsCalibration):
            start = [] if self.preset("package") == loaded.preset else ["-P", f"preset={loaded.preset}"]
            words = ["hecaton", "calibrate", "-o", str(error.file or "die.json"), *self.words, *start]
            remarks.append(f"(to calibrate it: {shlex.join(words)})")
        return " ".join(remarks)

    def preset(self, default: str) -> str:
        """Return the preset that the options start from, under a command whose own is ``default``.

        Raises ``ValueError`` of one line if it is unknown, or the file cannot be read.
        """
        from chiplet.machine.config import starting_preset

        return starting_preset(self.config, self.overrides, preset=default)


@dataclass(frozen=True)
class WorkerOptions:
    """Options that say where many runs go: to local processes or to a cluster."""

    workers: Workers = None
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="Run on the workers of this Dask scheduler instead of the local cores.",
        ),
    ] = None

    def check(self) -> None:
        """Raise ``ValueError`` if both are given."""
        if self.workers is not None and self.scheduler is not None:
            raise ValueError("--workers and --scheduler exclude each other: a cluster has its own workers")


def load_silicon(names: Sequence[str] | None) -> tuple[SiliconReport, ...]:
    """Return the silicon reports of ``--silicon``. Raises ``ValueError`` if one cannot be read, or two are alike."""
    if not names:
        return ()
    from chiplet.machine.synthesized.chosen_report import check_reports, load_report

    reports = tuple(map(load_report, names))
    check_reports(reports)
    return reports


def load_calibration(path: Path | None) -> Calibration | None:
    """Return the calibration of ``--calibration``, if there is one. Raises ``ValueError`` if it cannot be read."""
    if path is None:
        return None
    from chiplet.machine.calibration import Calibration

    return Calibration.load(path)
