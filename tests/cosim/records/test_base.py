"""Requests: what is out of range is said in one line, with where it stands and what is allowed."""

from __future__ import annotations

import re

import pytest

from chiplet.machine.config import load_system
from chiplet.machine.specs import NopSpec
from cosim.records.base import Provenance, Record, Request, checked
from cosim.records.collective import collective_request
from cosim.records.package import package_gemm_request
from cosim.records.traffic import TrafficRequest, traffic_request


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
    class Asked(Request):
        @property
        def file_stem(self) -> str:
            return "asked"

    class Measured(Record):
        request: Asked
        cycles: int

    record = Measured(
        request=Asked(),
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


def test_a_request_without_a_file_name_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="file_stem"):
        Request()  # type: ignore[abstract]


def test_the_provenance_has_the_fields_of_every_record() -> None:
    assert ["request", *Provenance.__annotations__] == list(Record.model_fields)


@pytest.mark.parametrize(
    ("request_", "stem"),
    [
        (
            collective_request(
                op="all-gather", rows=1, cols=4, axis="row", algorithm="ring", flits=9, sim="cxxrtl"
            ),
            "all-gather_1x4_row_ring_9_bf16",
        ),
        (
            package_gemm_request(m=2, k=3, n=4, system=load_system(None, [], preset="bench")),
            r"package_\d+x\d+_2x3x4_nn_8x8_bf16",
        ),
        (traffic_request(rows=2, cols=3, rate=0.25, nop=NopSpec()), "traffic_2x3_uniform_1_0.25"),
    ],
)
def test_file_names_begin_with_what_was_run(request_: Request, stem: str) -> None:
    assert re.fullmatch(stem, request_.file_stem)
