"""The C++ compiler that builds models, and its flags from outside."""

from __future__ import annotations

import os
import shlex
import shutil

from cosim.backends.base import SimulationError

__all__ = ["compiler", "flags_variable", "further_flags"]


def compiler(backend: str) -> list[str]:
    """Command of the C++ compiler, which may be several words, such as ``ccache g++``.

    It is what ``CXX`` names, else ``g++``. Raises SimulationError, which names ``backend``, if it is not installed.
    """
    command = shlex.split(os.environ.get("CXX") or "g++")
    if not command or shutil.which(command[0]) is None:
        raise SimulationError(
            f"{shlex.join(command)} is not installed: the {backend} backend needs a C++ compiler (Debian: g++)"
        )
    return command


def flags_variable(backend: str) -> str:
    """Environment variable with further flags of a backend, e.g. ``HECATON_CXXRTL_CXXFLAGS``."""
    return f"HECATON_{backend.upper()}_CXXFLAGS"


def further_flags(backend: str) -> list[str]:
    """Flags of the compiler that stand behind those of a backend: what its variable names.

    With ``-O0`` a model is built sooner and simulates more slowly.
    """
    return shlex.split(os.environ.get(flags_variable(backend), ""))
