"""Commands of the project in processes of their own, for checks that need several."""

from __future__ import annotations

from rtl.processes.child_process import python_module, run_child

__all__ = ["ProbeError", "hecaton_command", "hecaton_output"]


class ProbeError(Exception):
    """A command of a probe failed."""


def hecaton_command(*words: str) -> list[str]:
    """The command line of ``hecaton`` with ``words``."""
    return [*python_module("hecaton"), *words]


def hecaton_output(*words: str) -> str:
    """What ``hecaton`` with ``words`` prints. Raises ProbeError if it fails."""
    done = run_child(hecaton_command(*words))
    if done.code:
        raise ProbeError(f"hecaton {' '.join(words)}: {done.errors.strip()}")
    return done.output
