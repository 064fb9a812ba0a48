"""What every simulator backend offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Backend", "SimulationError"]


class SimulationError(Exception):
    """A simulator is missing, does not build a design, or a bench ends without a result."""


class Backend(ABC):
    """A simulator that runs cocotb benches on emitted Verilog."""

    name: str
    """Name for ``--sim``."""

    @abstractmethod
    def version(self) -> str:
        """Version of the simulator. Raises SimulationError if it is not installed."""

    @abstractmethod
    def build(self, verilog: str, top: str) -> Path:
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
            If a test fails or the simulator stops without a result; its log is named.
        """
