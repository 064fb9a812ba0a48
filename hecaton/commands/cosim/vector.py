"""``hecaton cosim vector``: a vector program on the generated die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from hecaton.commands.cosim.measured import show_record
from hecaton.terminal.options import AsJson, MachineOptions
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import RunOptions, VectorOptions
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.vector import VectorRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from cosim.records.vector import VectorRecord
    from hecaton.results.simulation_objects import SavedRecord
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((VectorRecord, SavedRecord))


@subcommand(
    app,
    examples=(
        "hecaton cosim vector --program softmax --rows 13 --cols 22 --causal",
        "hecaton cosim vector --program adam --rows 16 --cols 64 --sim cxxrtl",
        "hecaton cosim vector --program silu --rows 8 --cols 40 -P vector.function_lanes=2 --operands special --json",
    ),
    json_object=_json_object,
)
def vector(
    *,
    workload: VectorOptions,
    run: RunOptions,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Run a vector program on the generated die: load its inputs, simulate its passes, compare every bit, count cycles.

    Without --config the machine starts from the preset bench. Every run leaves a measurement record. Exit code 1 if
    any bit differs.
    """
    from dataclasses import asdict

    from cosim.records.vector import vector_request
    from cosim.run.vector import prepare
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(run.records)
        system = machine.load(out, "bench")
        request = vector_request(
            **asdict(workload),
            die=system.die,
            memory=system.memory,
            vector=system.vector,
            seed=run.seed,
            sim=run.sim,
        )
        prepared = prepare(request, run.observation)
        out.note(f"simulating {workload} with {run.sim} ...")
        with out.fraction("cycles") as progress:
            record = prepared.run(progress=progress)
        compared = f"of {record.results} results differ from the golden model"
        show_record(out, record, run.records, _tables, mismatches=record.mismatches, compared=compared)


def _tables(record: VectorRecord, provenance: Mapping[str, object]) -> RenderableType:
    from hecaton.terminal.tables import pairs

    stalls = {name: count for name, count in record.counters.items() if count and "stall" in name}
    return pairs(
        {
            "lanes": f"{record.lanes}, {record.function_lanes} with functions",
            "blocks": f"{record.blocks}, of {record.block_rows} rows",
            "places of an input": record.buffers,
            "passes": record.passes,
            "mismatches": record.mismatches,
            "cycles": f"{record.cycles} (predicted {record.predicted_cycles})",
            "vector unit": f"{record.vector_cycles} cycles (beats {record.beat_cycles})",
            "stalled cycles": stalls,
            **provenance,
        },
        title=f"{record.program} {record.rows}x{record.cols}, seed {record.seed}",
    )
