"""The simulators by name."""

from __future__ import annotations

from cosim.backends.base import Backend
from cosim.backends.cxxrtl import Cxxrtl
from cosim.backends.icarus import Icarus
from cosim.backends.verilator import Verilator

__all__ = ["BACKENDS", "backend"]

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (Icarus(), Cxxrtl(), Verilator())}
"""Simulators by their name for ``--sim``."""


def backend(name: str) -> Backend:
    """Return the backend of that name. Raises ValueError for an unknown one."""
    if name not in BACKENDS:
        raise ValueError(f"--sim {name} is unknown: must be one of {', '.join(BACKENDS)}")
    return BACKENDS[name]
