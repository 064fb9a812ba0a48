"""``hecaton doctor``: what is installed, and what to install for the features that are missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.backends.installation import InstalledPart
    from hecaton.results.configuration_objects import CacheUse, Doctor
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.configuration_objects import Doctor
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((Doctor,))


@subcommand(
    app,
    examples=(
        "hecaton doctor",
        "hecaton doctor --json",
    ),
    json_object=_json_object,
)
def doctor(as_json: AsJson = False) -> None:
    """List the simulator backends, compilers, waveform viewers and programs of synthesis with their versions and what
    each needs to work, and the size and place of the cache of built models.

    Exit code 1 if no backend works.
    """
    import platform

    from cosim.backends import installation
    from cosim.backends.cache import cache_bytes, cache_dir, entries
    from hecaton.version import VERSION

    with Output(as_json) as out:
        backends = installation.backends()
        models = entries()
        cache: CacheUse = {
            "folder": str(cache_dir()),
            "bytes": sum(entry.bytes for entry in models),
            "limit_bytes": cache_bytes(),
            "entries": len(models),
        }
        data: Doctor = {
            "backends": backends,
            "compilers": installation.compilers(),
            "viewers": installation.viewers(),
            "synthesis": installation.synthesis_programs(),
            "cache": cache,
            "python": platform.python_version(),
            "hecaton_version": VERSION,
        }
        out.result(data, _tables(data))
        if not any(part.works for part in backends):
            raise CheckFailed(
                "no backend works: " + "; ".join(f"{part.name}: {part.needs}" for part in backends)
            )


def _tables(data: Doctor) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    names = ["name", "works", "version", "path", "needs"]
    sections: dict[str, list[InstalledPart]] = {
        "backends": data["backends"],
        "compilers": data["compilers"],
        "viewers": data["viewers"],
        "synthesis": data["synthesis"],
    }
    tables = [
        columns(
            [{**asdict(part), "needs": part.needs or None} for part in parts],
            [name for name in names if any(getattr(part, name) for part in parts)],
            title=title,
        )
        for title, parts in sections.items()
    ]
    return Group(*tables, pairs(data["cache"], title="cache of built models"))
