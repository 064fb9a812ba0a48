"""Calibration: measured cycle terms, and the die that they were measured on.

A calibration is believed as far as hardware can have shown it: terms within physical bounds, on this die, by this
version of Hecaton, as they were written. A term that the file leaves out has the value of the design and was not
measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    FiniteFloat,
    ModelWrapValidatorHandler,
    ValidationError,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)

from chiplet.machine.base import StrictModel, read_input, refusal
from chiplet.machine.configuration_keys import check_digests, section_digest, split_digests
from chiplet.machine.link_rate import link_rate
from chiplet.machine.specs import DieSpec, SystemSpec
from chiplet.machine.terms import DieTerms, StepUnitTerms
from nop.terms import NopTerms

_VERSION = "hecaton_version"
"""Key of the provenance: the version of Hecaton that measured."""

_MEASURED = ("terms", "nop", "step", "link", "provenance", "extra")
"""What is measured of a calibration, and how: the fields of one digest."""

_NOP_NAMES = tuple(term.name for term in fields(NopTerms))


class NeedsCalibration(ValueError):
    """A calibration that does not hold here, so that one has to be measured.

    Attributes
    ----------
    file
        The file that the new calibration replaces, None if the refused one holds for another die.
    """

    def __init__(self, message: str, file: Path | None = None) -> None:
        super().__init__(message)
        self.file = file


class LinkGoodput(StrictModel):
    """Data bits that a link delivered over those that its lanes could carry, and the link that was measured."""

    goodput: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    lanes: int
    lane_rate: float
    clock_hz: float
    flit_bits: int

    def of(self, system: SystemSpec) -> bool:
        """Whether the links of ``system`` are those that were measured."""
        link = system.link
        measured = (self.lanes, self.lane_rate, self.clock_hz, self.flit_bits)
        return measured == (link.lanes, link.lane_rate, system.die.clock_hz, system.nop.flit_bits)

    def check(self, system: SystemSpec) -> None:
        """Raise ``ValueError`` if no link of ``system`` can deliver as much: headers and CRC take their share.

        The bound is the goodput of full frames; a hundredth of it is left to rounding.
        """
        frames = system.model_copy(update={"link": system.link.model_copy(update={"goodput": 0.0})})
        most = float(link_rate(frames).goodput)
        if self.goodput > most * 1.01:
            raise ValueError(
                f"the calibration has link.goodput = {self.goodput}: frames of this link carry {most:.4g} at most"
            )


class Calibration(StrictModel):
    """Measured terms, the die that they were measured on, and how they were measured.

    ``digests`` has that of the section die (:func:`chiplet.machine.configuration_keys.section_digest`), and as
    ``measured`` that of all other fields: a file that was edited is refused by them. Files without them load.
    ``terms`` has those that were measured; others have the value of the design, and files leave them out.
    ``nop`` are the terms of the network-on-package, None if it was not measured. ``step`` are those of a training step
    that were measured, likewise. ``link`` is the
    goodput of a link, None likewise. ``provenance`` has simulator, versions,
    number of samples, seeds and the error on held-out shapes; ``extra`` has further terms by name.
    """

    die: DieSpec
    terms: DieTerms = Field(default_factory=DieTerms)
    nop: NopTerms | None = None
    step: StepUnitTerms | None = None
    link: LinkGoodput | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    extra: dict[str, FiniteFloat] = Field(default_factory=dict)

    @field_validator("nop", mode="before")
    @classmethod
    def _has_a_hop(cls, value: object) -> object:
        if isinstance(value, Mapping) and "hop_cycles" not in value and not set(value) - set(_NOP_NAMES):
            raise ValueError("hop_cycles is missing: no other term of the network is measured without it")
        return value

    @field_validator("nop")
    @classmethod
    def _is_physical(cls, value: NopTerms | None) -> NopTerms | None:
        if value is not None:
            value.check()
        return value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digests(self) -> dict[str, str]:
        """Of the section die, and as ``measured`` of what was measured and how."""
        measured = self.model_dump(mode="json", include=set(_MEASURED))
        if self.step is None:  # as in files from before there were such terms
            del measured["step"]
        return {"die": section_digest(self.die), "measured": section_digest(measured)}

    @model_validator(mode="wrap")
    @classmethod
    def _is_as_written(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A calibration that is read must have the digests of its fields."""
        value, said = split_digests(value)
        read = handler(value)
        digests = read.digests
        check_digests(said, {"die": digests["die"]}, what="the file", whose="its die")
        if said.get("measured", digests["measured"]) != digests["measured"]:
            raise ValueError(
                f"it was edited: what it measured has the digest {digests['measured']}, not {said['measured']}"
            )
        return read

    @field_serializer("terms", "step")
    def _measured_terms(self, terms: DieTerms | StepUnitTerms | None) -> dict[str, Any] | None:
        return None if terms is None else terms.model_dump(exclude_unset=True)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a calibration from a JSON file. Raises ``ValueError``, in one line, if it is missing or broken."""
        try:
            text = read_input(Path(path))
        except OSError as error:
            raise ValueError(f"{path}: cannot read the calibration: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a calibration: byte {error.start} is not UTF-8") from None
        try:
            read = cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(f"{path}: not a calibration: {refusal(error, cls)}") from None
        made_by = read.provenance.get(_VERSION)
        if made_by not in (None, version("hecaton")):
            raise NeedsCalibration(
                f"{path}: a calibration of Hecaton {made_by!s:.20}, not of {version('hecaton')}, whose hardware may "
                f"take other cycles: calibrate again",
                Path(path),
            )
        return read

    def to_json(self) -> str:
        """The text of its file. Raises ``ValueError``, in one line, if :meth:`load` would refuse it."""
        text = self.model_dump_json(indent=2) + "\n"
        try:
            type(self).model_validate_json(text)
        except ValidationError as error:
            raise ValueError(f"the runs fit no hardware: {refusal(error, type(self))}") from None
        return text

    @property
    def doubt(self) -> str | None:
        """Why nothing of it counts as measured: it does not say what measured it, or on which die. None if it does."""
        if _VERSION not in self.provenance:
            return "a calibration that does not say which version of Hecaton measured it"
        missing = [name for name in DieSpec.model_fields if name not in self.die.model_fields_set]
        return f"a calibration that does not say which die.{missing[0]} it was made with" if missing else None

    def measured_gemm_terms(self) -> frozenset[str]:
        """Names of the terms of the array that were measured. The others are those of the design."""
        return frozenset() if self.doubt else frozenset(self.terms.gemm.model_fields_set)

    def applied(self, system: SystemSpec) -> SystemSpec:
        """``system`` with what was measured: cycles of a hop as ``link.router_cycles``, and the goodput of its links
        if it was theirs that was measured and the configuration gives no other.

        Raises ``ValueError`` if its links deliver more than their frames can carry.
        """
        update: dict[str, float] = {}
        if self.nop is not None:
            update["router_cycles"] = self.nop.hop_cycles
        if self.link is not None and self.measures(system):
            self.link.check(system)
            update["goodput"] = self.link.goodput
        return system.model_copy(update={"link": system.link.model_copy(update=update)})

    def measures(self, system: SystemSpec) -> bool:
        """Whether the goodput of the links of ``system`` was measured, and the configuration gives no other."""
        return (
            self.link is not None and self.link.of(system) and system.link.goodput in (0.0, self.link.goodput)
        )

    def check_die(self, die: DieSpec) -> None:
        """Raise :class:`NeedsCalibration` if another die was measured, naming the first field that differs and both
        values.
        """
        for field in DieSpec.model_fields:
            made_for, asked_for = getattr(self.die, field), getattr(die, field)
            if made_for != asked_for:
                raise NeedsCalibration(
                    f"the calibration was made for a die with die.{field} = {made_for}, not {asked_for}: "
                    f"calibrate this die or project that one "
                    f"(digest of the section die {section_digest(self.die)}, not {section_digest(die)})"
                )
