"""Base of requests and records: strict values, where a record comes from, and the name of its file."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Annotated, Any, Self, TypedDict, TypeVar

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    computed_field,
    model_serializer,
    model_validator,
)

from chiplet.machine.base import StrictModel, refusal
from chiplet.machine.configuration_keys import check_digests, section_digests, split_digests

__all__ = ["Interval", "Provenance", "Record", "Request", "Seed", "Stall", "checked"]

Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
"""Seed of the random operands and stalls of a run."""

Stall = Annotated[float, Field(ge=0, le=0.9)]
"""Probability that a memory port accepts no request in a cycle, and that a word that is due is delayed by a cycle."""

Interval = Annotated[int, Field(ge=1, le=1 << 15)]
"""Minimum number of cycles from one memory request to the next."""


class Request(StrictModel, ABC):
    """What is to be simulated."""

    @property
    @abstractmethod
    def file_stem(self) -> str:
        """Start of the file names of this request's records."""


class Provenance(TypedDict):
    """Where a record comes from; the fields of :class:`Record`."""

    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float


class Record(StrictModel):
    """What a simulation measured.

    Attributes
    ----------
    request
        What was run.
    digests
        Of the sections of the configuration that the request has.
    sim, simulator_version
        The simulator.
    hecaton_version
        The version of Hecaton.
    verilog_sha256
        Digest of the design's Verilog.
    wall_seconds
        Seconds from the start of the simulator to its end. Building the design and its model, writing the inputs and
        checking the results do not count.
    """

    request: Request
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    wall_seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def digests(self) -> dict[str, str]:
        """Of the sections of the configuration that the request has, by their names."""
        return section_digests(getattr(self.request, "system", self.request))

    @model_validator(mode="wrap")
    @classmethod
    def _is_of_its_request(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A record that is read must have the digests of its request."""
        value, said = split_digests(value)
        record = handler(value)
        check_digests(said, record.digests, what="the record", whose="its request")
        return record

    @property
    def file_name(self) -> str:
        """Name of the record's file: what was run, and a digest of everything that decides the outcome."""
        decisive = self.request.model_dump_json() + self.verilog_sha256
        return f"{self.request.file_stem}_{hashlib.sha256(decisive.encode()).hexdigest()[:8]}.json"

    @model_serializer(mode="wrap")
    def _provenance_last(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The fields with the provenance last. Pydantic would put it first, because a base class declares it."""
        fields: dict[str, Any] = dump(self)
        if not fields.get("digests", True):
            del fields["digests"]
        provenance = {name: fields.pop(name) for name in Provenance.__annotations__ if name in fields}
        return {**fields, **provenance}


Model = TypeVar("Model", bound=StrictModel)


def checked(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return ``model(**fields)``. Raises ValueError with one line for a value that is out of range."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise ValueError(refusal(error, model)) from None
