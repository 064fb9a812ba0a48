"""``hecaton cache``: emitted designs and simulators' models that are kept between runs."""

from __future__ import annotations

import typer

from hecaton.terminal.options import AsJson, examples
from hecaton.terminal.output import Output

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _cache() -> None:
    """Show or clear the emitted designs and built simulator models that are kept between runs.

    They are in HECATON_CACHE, else in hecaton in the user's cache folder, and take HECATON_CACHE_BYTES at most (2 GiB
    if not set): those that were not asked for for the longest time go first, none that is in use.
    """


@app.command(epilog=examples("hecaton cache show", "hecaton cache show --json"))
def show(as_json: AsJson = False) -> None:
    """Show the entries: what they take, when they were last asked for, and if they are in use.

    JSON keys: folder, bytes, limit_bytes, entries (a list with key, bytes, last_use, in_use).
    """
    from datetime import datetime

    from cosim.backends.cache import cache_bytes, cache_dir, entries
    from hecaton.terminal.tables import columns, quantity

    with Output(as_json) as out:
        found = entries()
        rows = [
            {
                "key": entry.key,
                "bytes": entry.bytes,
                "last_use": datetime.fromtimestamp(entry.last_use).astimezone().isoformat(timespec="seconds"),
                "in_use": entry.in_use,
            }
            for entry in found
        ]
        total, most = sum(entry.bytes for entry in found), cache_bytes()
        title = f"{cache_dir()}: {len(found)} entries, {quantity(total, 'B')} of {quantity(most, 'B')}"
        out.result(
            {"folder": str(cache_dir()), "bytes": total, "limit_bytes": most, "entries": rows},
            columns(rows, ["key", "bytes", "last_use", "in_use"], title=title),
        )


@app.command(epilog=examples("hecaton cache clear"))
def clear(as_json: AsJson = False) -> None:
    """Remove every entry that is not in use.

    JSON keys: folder, removed, bytes (freed), kept.
    """
    from cosim.backends import cache
    from hecaton.terminal.tables import quantity

    with Output(as_json) as out:
        removed, freed = cache.clear()
        kept = len(cache.entries())
        in_use = f"; {kept} in use stay" if kept else ""
        out.result(
            {"folder": str(cache.cache_dir()), "removed": removed, "bytes": freed, "kept": kept},
            f"{cache.cache_dir()}: {removed} entries removed, {quantity(freed, 'B')} freed{in_use}",
        )
