"""What every simulator backend offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

__all__ = ["WAVES", "Backend", "Design", "SimulationError"]

WAVES = "waves"
"""Name of the waveform file in the folder of a run, without its suffix."""


class SimulationError(Exception):
    """A simulator is missing, does not build a design, or a bench ends without a result."""


class Design(Protocol):
    """What a backend builds: a design as :class:`rtl.emit.emitter.Emitted` holds it."""

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

    wave_formats: tuple[str, ...] = ()
    """Suffixes of the waveform files that it writes."""

    waves_have_top: bool = True
    """Whether the names in them begin with that of the top module."""

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

    def with_waves(self, suffix: str) -> Backend:
        """Return this simulator such that each run leaves every signal in ``waves<suffix>`` in its folder.

        Raises
        ------
        ValueError
            If it does not write that format.
        """
        if not self.wave_formats:
            raise ValueError(f"--sim {self.name} writes no waveforms")
        raise ValueError(
            f"--sim {self.name} writes waveforms as {' or '.join(self.wave_formats)}, not as {suffix or 'a plain file'}"
        )
