"""The ``hecaton`` command: its subcommands, and how errors end it.

The module of a subcommand imports nothing heavy at its top. Models and hardware are imported when the subcommand
runs, so that ``hecaton --help`` is quick and ``hecaton project`` never loads the hardware generator.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from hecaton.commands import cache, calibrate, config, demo, doctor, export, project, schema, synth, verilog
from hecaton.commands import compile as compile_command
from hecaton.commands.cosim import group as cosim
from hecaton.commands.studies import claims, compare, optimize, scaling, sweep, validate
from hecaton.terminal.errors import INTERRUPTED, outcome_of
from hecaton.terminal.subcommand import example_lines
from hecaton.version import VERSION

app = typer.Typer(
    name="hecaton",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example_lines(
        "hecaton project --model llama3.1-405b --dies 1024", "hecaton config show -P die.rows=16"
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Chiplet system for training large language models: Verilog, co-simulation and system projection.

    Bad input ends with one line on stderr and exit code 2, a failed check or simulation with exit code 1.
    With HECATON_TRACEBACK=1 an error shows where it was raised.
    """


app.add_typer(demo.app)
app.add_typer(verilog.app)
app.add_typer(synth.app)
app.add_typer(compile_command.app)
app.add_typer(cosim.app, name="cosim")
app.add_typer(calibrate.app)
app.add_typer(project.app)
app.add_typer(compare.app)
app.add_typer(claims.app)
app.add_typer(optimize.app)
app.add_typer(scaling.app)
app.add_typer(sweep.app)
app.add_typer(validate.app)
app.add_typer(export.app, name="export")
app.add_typer(schema.app)
app.add_typer(config.app, name="config")
app.add_typer(doctor.app)
app.add_typer(cache.app, name="cache")


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code."""
    try:
        code = app(list(arguments) or ["--help"], prog_name="hecaton", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        return _report(error)
    if code == INTERRUPTED:
        return _report(KeyboardInterrupt())
    return code or 0


def main() -> None:
    """Entry point of the ``hecaton`` script."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        if code == 0:
            code = _report(error)
        with suppress(OSError):
            sys.stdout.close()  # or the interpreter would try again at exit, and complain
    sys.exit(code)


def _report(error: BaseException) -> int:
    """Print ``error`` in one line and return its exit code; a defect of the program is raised again."""
    outcome = outcome_of(error)
    if outcome is None or os.environ.get("HECATON_TRACEBACK") == "1":
        raise error
    code, message = outcome
    print(f"hecaton: error: {message}", file=sys.stderr)  # noqa: T201
    return code
