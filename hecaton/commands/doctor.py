"""``hecaton doctor``: what is installed, and what is missing for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.options import AsJson, examples
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.backends.installation import InstalledPart

app = typer.Typer()


@app.command(epilog=examples("hecaton doctor", "hecaton doctor --json"))
def doctor(as_json: AsJson = False) -> None:
    """Say which simulator backends, compilers and waveform viewers work here, of which version, and what each of the
    others needs; where built models are kept, and how much they take.

    Exit code 1 if no backend works.

    JSON keys: backends, compilers, viewers (lists with name, works, version, path, needs), cache (folder, bytes,
    limit_bytes, entries), python, hecaton_version.
    """
    import platform

    from cosim.backends import installation
    from cosim.backends.cache import cache_bytes, cache_dir, entries
    from hecaton.version import VERSION

    with Output(as_json) as out:
        kinds = {
            "backends": installation.backends(),
            "compilers": installation.compilers(),
            "viewers": installation.viewers(),
        }
        models = entries()
        cache = {
            "folder": str(cache_dir()),
            "bytes": sum(entry.bytes for entry in models),
            "limit_bytes": cache_bytes(),
            "entries": len(models),
        }
        data = {
            **{kind: [asdict(part) for part in parts] for kind, parts in kinds.items()},
            "cache": cache,
            "python": platform.python_version(),
            "hecaton_version": VERSION,
        }
        out.result(data, _view(kinds, cache))
        if not any(part.works for part in kinds["backends"]):
            raise CheckFailed(
                "no backend works: " + "; ".join(f"{part.name}: {part.needs}" for part in kinds["backends"])
            )


def _view(kinds: Mapping[str, Sequence[InstalledPart]], cache: Mapping[str, object]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns, pairs

    names = ["name", "works", "version", "path", "needs"]
    tables = [
        columns(
            [{**asdict(part), "needs": part.needs or None} for part in parts],
            [name for name in names if any(getattr(part, name) for part in parts)],
            title=kind,
        )
        for kind, parts in kinds.items()
    ]
    return Group(*tables, pairs(cache, title="cache of built models"))
