"""Simulators that work on this machine."""

from __future__ import annotations

from cosim.backends.base import SimulationError
from cosim.backends.registry import BACKENDS


def installed() -> list[str]:
    """Names of the backends that work here, in the order of the registry."""
    return [name for name in BACKENDS if is_installed(name)]


def is_installed(name: str) -> bool:
    """Whether a backend works here."""
    try:
        BACKENDS[name].version()
    except SimulationError:
        return False
    return True
