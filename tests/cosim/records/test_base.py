"""Requests: what is out of range is said in one line, with where it stands and what is allowed."""

from __future__ import annotations

import re

import pytest

from chiplet.machine.specs import NopSpec
from cosim.records.base import Provenance, Record, Request, checked
from cosim.records.traffic import TrafficRequest


def test_what_is_in_range_makes_a_request() -> None:
    request = checked(TrafficRequest, {"rows": 2, "cols": 3, "rate": 0.5, "nop": NopSpec()})
    assert (request.rows, request.cols, request.rate) == (2, 3, 0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 1.5, "nop": NopSpec()}, "rate = 1.5: input should be less than or equal to 1"),
        (
            {"rate": 1, "nop": {"buffer_flits": 0}},
            "nop.buffer_flits = 0: input should be greater than or equal to ",
        ),
    ],
)
def test_the_first_that_is_not_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        checked(TrafficRequest, {"rows": 2, "cols": 2, **fields})


def test_a_record_shows_the_measurement_before_its_origin() -> None:
    class Measured(Record):
        cycles: int

    record = Measured(
        request=Request(),
        cycles=3,
        sim="icarus",
        simulator_version="12",
        hecaton_version="1",
        verilog_sha256="00",
        wall_seconds=0.5,
    )
    expected = ["request", "cycles", *Provenance.__annotations__]
    assert list(record.model_dump()) == list(record.model_dump(mode="json")) == expected
    assert Measured.model_validate_json(record.model_dump_json()) == record
    assert list(record.model_dump(exclude={"sim", "request"})) == ["cycles", *expected[3:]]
