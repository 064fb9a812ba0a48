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
    """A simulator is missing or does not build a design, or a bench ends without a result."""


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
    """Suffixes of the waveform files that the simulator writes."""

    waves_have_top: bool = True
    """Whether the names in a waveform begin with the name of the top module."""

    @abstractmethod
    def version(self) -> str:
        """Version of the simulator. Raises SimulationError if it is not installed."""

    @abstractmethod
    def build(self, design: Design) -> Path:
        """Build a design unless it is in the cache; return the folder of the model.

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
            If a test fails or the simulator ends without a result; the message quotes its log.
        """

    def with_waves(self, suffix: str) -> Backend:
        """Return this simulator, set up to record every signal in ``waves<suffix>`` in the folder of a run.

        Raises
        ------
        ValueError
            If it does not write this format.
        """
        if not self.wave_formats:
            raise ValueError(f"--sim {self.name} writes no waveforms")
        raise ValueError(
            f"--sim {self.name} writes waveforms as {' or '.join(self.wave_formats)}, not as {suffix or 'a plain file'}"
        )
