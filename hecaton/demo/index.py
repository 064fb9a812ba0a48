"""The index of a demo: every file with what it is and the command that makes it again, tables and pictures inline."""

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
    """A file of a demo, ``file`` being relative to its folder."""

    file: str
    what: str
    command: str


@dataclass(frozen=True)
class DemoPart:
    """What one stage of a demo found.

    ``text`` is its Markdown, ``figures`` go into the JSON, ``summary`` is one line. ``mismatches`` counts wrong
    results; after the first nothing that follows from measurements is made.
    """

    summary: str
    text: str
    files: Sequence[DemoFile]
    figures: Mapping[str, Any] = field(default_factory=dict)
    mismatches: int = 0


@dataclass(frozen=True)
class DemoStage:
    """A stage that has run: its name, what it found, and how long it took in seconds."""

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

    ``made_by`` is the command of the demo, ``versions`` say what it ran with, ``left_out`` names the stages that
    were not reached.
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
            f"**{data['mismatches']} results differ from the golden model.** Cycles of wrong results are no "
            f"measurement; not run: {', '.join(data['left_out']) or 'nothing'}.\n"
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
    """A row for each file of the folder itself, and one for each folder inside it."""
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
    """The command of a demo."""
    words = ["demo", "-o", folder]
    words += ["--seed", seed] if seed else []
    words += ["--sim", sim] if sim != "icarus" else []
    return command(*words, *options)
