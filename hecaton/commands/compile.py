"""``hecaton compile``: the programs of a training step, one for each die of a package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hecaton.terminal.options import AsJson, MachineOptions, OutputDirectory, PlotFile
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.training_options import TrainingOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.compile.compiled_step import CompiledStep
    from hecaton.results.compiled_objects import StepPrograms
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.compiled_objects import CompiledFiles, StepPrograms
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((CompiledFiles, StepPrograms))


@subcommand(
    app,
    examples=(
        "hecaton compile --hidden 16 --heads 4 --ffn 24 --layers 1 --vocab 20 --mesh 2x2 --batch 4 -o step",
        "hecaton compile --model path/to/config.json --mesh 2x4 --sequence 32 --batch 8 --tiles 2 -o step",
        "hecaton compile --model folder --mesh 4x4 --batch 4 --optimizer adam --config machine.toml -o step",
        "hecaton compile --model folder --mesh 2x2 --batch 4 -P die.scratchpad_bytes=1048576 -o step --json",
    ),
    json_object=_json_object,
    name="compile",
)
def compile_(
    *,
    training: TrainingOptions,
    output: OutputDirectory,
    plot: PlotFile = None,
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Compile a training step of a model into one program for each die of a package, and check that the programs cannot
    block each other: die_0_0.s and so on to read, die_0_0.bin as they lie in memory, sizes.json, and a picture of the
    buffers in the scratchpad of the die that uses most of its own, as scratchpad.svg or as --plot says.

    What does not fit is refused with the buffer, the bytes needed and the bytes there. The configuration starts from
    the preset bench. docs/training.md describes the files.
    """
    from cosim.compile.compiler import compile_step
    from cosim.compile.inspection.check import check_step
    from hecaton.plots.figure import check_plot
    from rtl.emit.output_files import check_output_folder

    with Output(as_json) as out:
        check_output_folder(output)
        picture = plot or output / "scratchpad.svg"
        check_plot(picture)
        model = training.read()
        system = machine.load(out, "bench", *training.assignments)
        compiled = compile_step(training.sizes(model, system), system)
        check_step(compiled)
        programs = _programs(compiled)
        files = [str(path) for path in _write(compiled, programs, output, picture)]
        out.result({"files": files, **programs}, _tables(programs, output, picture))


def _programs(compiled: CompiledStep) -> StepPrograms:
    """What all programs take."""
    from cosim.compile.inspection.program_sizes import BufferUse, die_sizes

    dies = die_sizes(compiled)
    package = compiled.system.package
    return {
        "mesh": f"{package.rows}x{package.cols}",
        "commands": sum(sum(die.commands.values()) for die in dies),
        "bytes": sum(die.program_bytes for die in dies),
        "memory_words": compiled.memory_words,
        "buffers": {
            name: BufferUse(used=max(die.buffers[name].used for die in dies), available=use.available)
            for name, use in dies[0].buffers.items()
        },
        "dies": dies,
    }


def _write(compiled: CompiledStep, programs: StepPrograms, output: Path, picture: Path) -> list[Path]:
    """Write all files, and return them."""
    from cosim.compile.inspection.assembly import assembly
    from cosim.program.command import program_image
    from hecaton.plots.scratchpad_buffers import plot_scratchpad
    from hecaton.terminal.output import to_json
    from rtl.emit.output_files import write_output

    files: dict[Path, str | bytes] = {}
    for number, (die, sizes) in enumerate(zip(compiled.dies, programs["dies"], strict=True)):
        name = f"die_{sizes.row}_{sizes.col}"
        files[output / f"{name}.s"] = assembly(compiled, number)
        files[output / f"{name}.bin"] = program_image(die.commands, compiled.system.memory)
    files[output / "sizes.json"] = to_json(programs) + "\n"
    for path, content in files.items():
        write_output(path, content)
    fullest = max(range(len(compiled.dies)), key=lambda die: programs["dies"][die].buffers["scratchpad"].used)
    sizes = programs["dies"][fullest]
    plot_scratchpad(
        compiled.dies[fullest],
        sizes.buffers["scratchpad"].available,
        f"Scratchpad of die ({sizes.row}, {sizes.col})",
        picture,
    )
    return [*files, picture]


def _tables(programs: StepPrograms, output: Path, picture: Path) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    rows = [
        {
            "die": f"({die.row}, {die.col})",
            "commands": sum(die.commands.values()),
            "program bytes": die.program_bytes,
            "memory words": die.memory_words.tensors + die.memory_words.constants,
            **{f"{name} used": use.used for name, use in die.buffers.items()},
            "most held": 0 if die.peak is None else die.peak.words,
            "at step": None if die.peak is None else die.peak.step,
            "in": "" if die.peak is None else die.peak.operator,
        }
        for die in programs["dies"]
    ]
    units = list(dict.fromkeys(unit for die in programs["dies"] for unit in die.commands))
    counts = [
        {"die": row["die"], **{unit: die.commands.get(unit, 0) for unit in units}}
        for row, die in zip(rows, programs["dies"], strict=True)
    ]
    there = {name: f"{use.used} of {use.available}" for name, use in programs["buffers"].items()}
    return Group(
        pairs(
            {
                "commands": programs["commands"],
                "bytes": programs["bytes"],
                "memory words": programs["memory_words"],
                **there,
            },
            title=f"Programs of {programs['mesh']} dies, written to {output}",
        ),
        columns(rows, list(rows[0]), title="Dies"),
        columns(counts, list(counts[0]), title="Commands by unit"),
        f"Scratchpad over the steps: {picture}",
    )
