"""The index of a demo: every file, what it is and the command that reproduces it; tables and pictures inline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hecaton.results.reproduce import command
from hecaton.terminal.output import to_json
from hecaton.terminal.tables import cell, markdown
from rtl.emit.output_files import write_output


@dataclass(frozen=True)
class DemoFile:
    """A file of a demo: its path relative to the folder of the demo, what it is, and the command that makes it."""

    file: str
    what: str
    command: str


@dataclass(frozen=True)
class DemoPart:
    """The result of one stage of a demo.

    ``summary`` is one line, ``text`` is Markdown, ``figures`` are keys of the JSON object. ``mismatches`` counts wrong
    results; if there are any, the stages that use measurements are left out.
    """

    summary: str
    text: str
    files: Sequence[DemoFile]
    figures: Mapping[str, Any] = field(default_factory=dict)
    mismatches: int = 0


@dataclass(frozen=True)
class DemoStage:
    """A stage that has run: its name, its result, and its time in seconds."""

    name: str
    part: DemoPart
    seconds: float


def write_index(
    folder: Path,
    stages: Sequence[DemoStage],
    *,
    made_by: str,
    versions: Mapping[str, Any],
    left_out: Sequence[str],
) -> tuple[dict[str, Any], str]:
    """Write ``index.md`` and ``index.json`` into ``folder``; return the JSON object and the Markdown.

    ``made_by`` is the command of the demo, ``versions`` are those of the programs that it ran, ``left_out`` names the
    stages that were not reached.
    """
    files = [entry for stage in stages for entry in stage.part.files]
    files += [
        DemoFile("index.md", "tables and pictures of all stages", made_by),
        DemoFile(
            "index.json",
            "every file, what it is and the command that makes it; figures of all stages",
            made_by,
        ),
    ]
    data: dict[str, Any] = {
        "folder": str(folder),
        "seconds": round(sum(stage.seconds for stage in stages), 3),
        "stages": [{"name": stage.name, "seconds": round(stage.seconds, 3)} for stage in stages],
        "left_out": list(left_out),
        "mismatches": sum(stage.part.mismatches for stage in stages),
        "holdout_max_relative_error": None,
        "nop_holdout_max_relative_error": None,
        **versions,
    }
    for stage in stages:
        data |= stage.part.figures
    data["files"] = [vars(entry) for entry in files]
    text = _markdown(data, stages, files, made_by, versions)
    write_output(folder / "index.md", text)
    write_output(folder / "index.json", to_json(data) + "\n")
    return data, text


def _markdown(
    data: Mapping[str, Any],
    stages: Sequence[DemoStage],
    files: Sequence[DemoFile],
    made_by: str,
    versions: Mapping[str, Any],
) -> str:
    parts = ["# Hecaton demo\n", f"`{made_by}`: {data['seconds']:.0f} s, {_words(versions)}.\n"]
    if data["mismatches"]:
        parts.append(
            f"**{data['mismatches']} results differ from the golden model.** Cycles of wrong results are not "
            f"measurements; not run: {', '.join(data['left_out']) or 'nothing'}.\n"
        )
    rows = [
        {"stage": stage.name, "seconds": f"{stage.seconds:.1f}", "result": stage.part.summary}
        for stage in stages
    ]
    parts.append(markdown(rows, ["stage", "seconds", "result"]))
    for stage in stages:
        parts += [f"## {stage.name}\n", stage.part.text]
    return "\n".join([*parts, "## Files\n", markdown(_file_rows(files), ["file", "what", "made by"])])


def _words(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {cell(value)}" for name, value in versions.items())


def _file_rows(files: Sequence[DemoFile]) -> list[dict[str, str]]:
    """Return a row for each file of the folder itself, and one for each folder inside it."""
    groups: dict[str, list[DemoFile]] = {}
    for entry in files:
        inner, slash, _ = entry.file.partition("/")
        groups.setdefault(f"{inner}{slash}", []).append(entry)
    rows = []
    for name, entries in groups.items():
        commands = {entry.command for entry in entries}
        what = entries[0].what if len(entries) == 1 else f"{len(entries)} files: {entries[0].what} ..."
        made_by = (
            f"`{commands.pop()}`" if len(commands) == 1 else "one command each, see [index.json](index.json)"
        )
        rows.append({"file": f"[{name}]({name})", "what": what, "made by": made_by})
    return rows


def demo_command(folder: Path, *, seed: int, sim: str, options: Sequence[str]) -> str:
    """Return the command of a demo."""
    words = ["demo", "-o", folder]
    words += ["--seed", seed] if seed else []
    words += ["--sim", sim] if sim != "icarus" else []
    return command(*words, *options)
