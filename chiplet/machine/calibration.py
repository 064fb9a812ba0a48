"""Calibration: measured cycle terms, and the die that they were measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from chiplet.machine.base import StrictModel, refusal
from chiplet.machine.specs import DieSpec, SystemSpec
from chiplet.machine.terms import DieTerms
from nop.terms import NopTerms


class LinkGoodput(StrictModel):
    """Data bits that a link delivered over those that its lanes could carry, and the link that was measured."""

    goodput: Annotated[float, Field(gt=0, le=1)]
    lanes: int
    lane_rate: float
    clock_hz: float
    flit_bits: int

    def of(self, system: SystemSpec) -> bool:
        """Whether the links of ``system`` are those that were measured."""
        link = system.link
        measured = (self.lanes, self.lane_rate, self.clock_hz, self.flit_bits)
        return measured == (link.lanes, link.lane_rate, system.die.clock_hz, system.nop.flit_bits)


class Calibration(StrictModel):
    """Measured terms, the die that they were measured on, and how they were measured.

    ``nop`` are the terms of the network-on-package, None if it was not measured. ``link`` is the
    goodput of a link, None likewise. ``provenance`` has simulator, version,
    number of samples, seeds and the error on held-out shapes; ``extra`` has further terms by name.
    """

    die: DieSpec
    terms: DieTerms = Field(default_factory=DieTerms)
    nop: NopTerms | None = None
    link: LinkGoodput | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    extra: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a calibration from a JSON file. Raises ``ValueError``, in one line, if it is missing or broken."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: cannot read the calibration: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a calibration: byte {error.start} is not UTF-8") from None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(f"{path}: not a calibration: {refusal(error, cls)}") from None

    def applied(self, system: SystemSpec) -> SystemSpec:
        """``system`` with what was measured: cycles of a hop as ``link.router_cycles``, and the goodput of its links
        if it was theirs that was measured and the configuration gives no other.
        """
        update: dict[str, float] = {}
        if self.nop is not None:
            update["router_cycles"] = self.nop.hop_cycles
        if self.link is not None and self.measures(system):
            update["goodput"] = self.link.goodput
        return system.model_copy(update={"link": system.link.model_copy(update=update)})

    def measures(self, system: SystemSpec) -> bool:
        """Whether the goodput of the links of ``system`` was measured, and the configuration gives no other."""
        return (
            self.link is not None and self.link.of(system) and system.link.goodput in (0.0, self.link.goodput)
        )

    def check_die(self, die: DieSpec) -> None:
        """Raise ``ValueError`` if another die was measured, naming the first field that differs and both values."""
        for field in DieSpec.model_fields:
            made_for, asked_for = getattr(self.die, field), getattr(die, field)
            if made_for != asked_for:
                raise ValueError(
                    f"the calibration was made for a die with die.{field} = {made_for}, not {asked_for}: "
                    f"calibrate this die (hecaton calibrate -P die.{field}={asked_for}) or project that one"
                )
