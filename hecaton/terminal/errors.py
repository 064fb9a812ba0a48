"""Exit codes and error lines: the only place that decides either."""

from __future__ import annotations

import sys

from typer import TyperException

BAD_INPUT = 2
CHECK_FAILED = 1
INTERRUPTED = 130


class CheckFailed(Exception):
    """A run finished and its result is wrong, such as mismatches against the golden model."""


def outcome_of(error: BaseException) -> tuple[int, str] | None:
    """Return exit code and message of an error that the user can correct, or ``None`` for a defect of the program.

    Everywhere in Hecaton a ``ValueError`` refuses what the user asked for, and its message is written for the user.
    """
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        return BAD_INPUT, one_line(error.format_message()) + hint
    # Looked up, not imported: a command that simulates nothing must not load simulators.
    backends = sys.modules.get("cosim.backends.base")
    if isinstance(error, CheckFailed) or (backends and isinstance(error, backends.SimulationError)):
        return CHECK_FAILED, one_line(str(error))
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        return BAD_INPUT, one_line(f"{error.filename}: {reason}" if error.filename is not None else reason)
    if isinstance(error, ValueError):
        notes = getattr(error, "__notes__", [])
        return BAD_INPUT, one_line(" ".join([str(error) or type(error).__name__, *notes]))
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    return None


def one_line(text: str) -> str:
    """Return ``text`` in one line: all white space becomes single spaces."""
    return " ".join(text.split())
