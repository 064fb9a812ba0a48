"""``hecaton demo``: the main job in one go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, MachineOptions, OutputDirectory, Seed, Workers
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Simulator
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import DemoObject
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((DemoObject,))


@subcommand(
    app,
    examples=(
        "hecaton demo",
        "hecaton demo -o int8 -P die.dtype=int8",
        "hecaton demo --json --workers 1 --seed 7",
    ),
    json_object=_json_object,
    names_preset=False,
)
def demo(
    *,
    output: OutputDirectory = Path("demo"),
    workers: Workers = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Write the Verilog of a die, co-simulate GEMMs, train a small Llama on a package, calibrate, compare distribution
    methods for Llama3.1-405B on 1024 dies with the measured cycles, and project weak scaling. Takes a few minutes.

    Training is simulated with CXXRTL, unless --sim names another quick simulator; without a C++ compiler it runs in the
    interpreter, and has no cycles.

    DIR/index.md shows all results, DIR/index.json lists every file with the command that makes it again. A second
    run reuses the records of GEMMs that are there. Verilog, co-simulation and training start from the preset bench,
    calibration and projections from the preset package; with --config all of them are of that machine. Exit code 1
    if any bit differs.
    """
    from hecaton.demo.plan import FULL
    from hecaton.demo.run import run_demo
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        done = run_demo(
            output,
            out,
            plan=FULL,
            config=machine.config,
            overrides=machine.overrides,
            workers=workers,
            seed=seed,
            sim=sim,
        )
        out.result(done.data, done.text.rstrip())
        wrong = done.data["mismatches"]
        if wrong:
            raise CheckFailed(f"{wrong} results differ from the golden model: see {output / 'index.md'}")
