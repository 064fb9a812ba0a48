"""``hecaton cache``: emitted designs and simulators' models that are kept between runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hecaton.terminal.options import AsJson
from hecaton.terminal.output import Output
from hecaton.terminal.subcommand import subcommand

if TYPE_CHECKING:
    from hecaton.results.configuration_objects import CacheCleared, CacheContents, CacheEntry
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _cache() -> None:
    """Show or clear the emitted designs and built simulator models that are kept between runs.

    They are in the folder HECATON_CACHE, by default hecaton in the user's cache folder, and take at most
    HECATON_CACHE_BYTES (2 GiB if not set). The least recently used entries are removed first; an entry in use stays.
    """


def _contents_object() -> JsonObject:
    from hecaton.results.configuration_objects import CacheContents
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((CacheContents,))


def _cleared_object() -> JsonObject:
    from hecaton.results.configuration_objects import CacheCleared
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject((CacheCleared,))


@subcommand(app, examples=("hecaton cache show", "hecaton cache show --json"), json_object=_contents_object)
def show(as_json: AsJson = False) -> None:
    """Show the entries: their sizes, when they were last used, and whether they are in use."""
    from datetime import datetime

    from cosim.backends.cache import cache_bytes, cache_dir, entries
    from hecaton.terminal.tables import columns, quantity

    with Output(as_json) as out:
        kept = entries()
        rows: list[CacheEntry] = [
            {
                "key": entry.key,
                "bytes": entry.bytes,
                "last_use": datetime.fromtimestamp(entry.last_use).astimezone().isoformat(timespec="seconds"),
                "in_use": entry.in_use,
            }
            for entry in kept
        ]
        total, most = sum(entry.bytes for entry in kept), cache_bytes()
        title = f"{cache_dir()}: {len(kept)} entries, {quantity(total, 'B')} of {quantity(most, 'B')}"
        data: CacheContents = {
            "folder": str(cache_dir()),
            "bytes": total,
            "limit_bytes": most,
            "entries": rows,
        }
        out.result(data, columns(rows, ["key", "bytes", "last_use", "in_use"], title=title))


@subcommand(app, examples=("hecaton cache clear",), json_object=_cleared_object)
def clear(as_json: AsJson = False) -> None:
    """Remove every entry that is not in use."""
    from cosim.backends import cache
    from hecaton.terminal.tables import quantity

    with Output(as_json) as out:
        removed, freed = cache.clear()
        kept = len(cache.entries())
        in_use = f"; {kept} in use stay" if kept else ""
        data: CacheCleared = {
            "folder": str(cache.cache_dir()),
            "removed": removed,
            "bytes": freed,
            "kept": kept,
        }
        out.result(
            data,
            f"{cache.cache_dir()}: {removed} entries removed, {quantity(freed, 'B')} freed{in_use}",
        )
