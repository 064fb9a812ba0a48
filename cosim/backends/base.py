"""What every simulator backend offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

__all__ = ["Backend", "Design", "SimulationError"]


class SimulationError(Exception):
    """A simulator is missing, does not build a design, or a bench ends without a result."""


class Design(Protocol):
    """What a backend builds: a design as :class:`rtl.emit.Emitted` holds it."""

    @property
    def top(self) -> str:
        """Name of the top module."""

    @property
    def text(self) -> str:
        """The design as Verilog."""

    @property
    def rtlil(self) -> str:
        """The design as RTLIL."""


class Backend(ABC):
    """A simulator that runs cocotb benches on an emitted design."""

    name: str
    """Name for ``--sim``."""

    @abstractmethod
    def version(self) -> str:
        """Version of the simulator. Raises SimulationError if it is not installed."""

    @abstractmethod
    def build(self, design: Design) -> Path:
        """Build a design, or find it already built; return the folder of the model.

        Raises
        ------
        SimulationError
            If the simulator is missing or refuses the design.
        """

    @abstractmethod
    def run(self, model: Path, top: str, bench: str, folder: Path, environment: Mapping[str, str]) -> None:
        """Run the cocotb tests of module ``bench`` on a built model, in ``folder``.

        Raises
        ------
        SimulationError
            If a test fails or the simulator stops without a result; the message has the line of its log that says why.
        """
