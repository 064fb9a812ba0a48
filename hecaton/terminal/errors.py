"""What went wrong, as one line and an exit code: the only place that decides either."""

from __future__ import annotations

import sys

from typer import TyperException

BAD_INPUT = 2
CHECK_FAILED = 1
INTERRUPTED = 130


class CheckFailed(Exception):
    """A run finished and its result is wrong, such as mismatches against the golden model."""


def explain(error: BaseException) -> tuple[int, str] | None:
    """Exit code and message of an error that the user can mend, or ``None`` for a defect of the program.

    Everywhere in Hecaton a ``ValueError`` is a refusal of what was asked for, and its message is meant for
    the user.
    """
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        return BAD_INPUT, one_line(error.format_message()) + hint
    # Ask for what is loaded, do not import it: a command that simulates nothing must not pay for simulators.
    backends = sys.modules.get("cosim.backends.base")
    if isinstance(error, CheckFailed) or (backends and isinstance(error, backends.SimulationError)):
        return CHECK_FAILED, one_line(str(error))
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        return BAD_INPUT, one_line(f"{error.filename}: {reason}" if error.filename is not None else reason)
    if isinstance(error, ValueError):
        return BAD_INPUT, one_line(str(error) or type(error).__name__)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    return None


def one_line(text: str) -> str:
    """``text`` with every run of white space, line ends among them, as one space."""
    return " ".join(text.split())
