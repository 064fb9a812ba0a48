"""Requests and records: what is out of range is refused in one line, and files round-trip."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.records.gemm import GemmRecord, GemmRequest, gemm_request

FIELDS: dict[str, Any] = {"m": 2, "k": 3, "n": 4, "die": DieSpec(), "memory": MemorySpec()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stall": 0.91}, "stall = 0.91: input should be less than or equal to 0.9"),
        ({"stall": -0.1}, "stall = -0.1: input should be greater than or equal to 0"),
        ({"stall": float("nan")}, "stall = nan: input should be less than or equal to 0.9"),
        ({"interval": 0}, "interval = 0: input should be greater than or equal to 1"),
        ({"interval": 32769}, "interval = 32769: input should be less than or equal to 32768"),
        ({"seed": -1}, "seed = -1: input should be greater than or equal to 0"),
        ({"seed": 1 << 32}, "seed = 4294967296: input should be less than 4294967296"),
        ({"m": 2.5}, "m = 2.5: input should be a valid integer"),
        ({"form": "tt"}, "form = 'tt': input should be 'nn', 'nt' or 'tn'"),
        ({"operands": "odd"}, "operands = 'odd': input should be 'normal', 'special' or 'bits'"),
        ({"depth": 1}, "unknown key depth: the nearest known one is die"),
    ],
)
def test_out_of_range_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gemm_request(**{**FIELDS, **change})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"^m is missing$"):
        gemm_request(**{name: value for name, value in FIELDS.items() if name != "m"})


def record(request: GemmRequest) -> GemmRecord:
    return GemmRecord(
        request=request,
        m=request.m,
        k=request.k,
        n=request.n,
        form=request.form,
        rows=8,
        cols=8,
        dtype="bf16",
        cycles=100,
        array_cycles=50,
        ideal_cycles=40,
        floor_cycles=45,
        predicted_cycles=99,
        predicted_array_cycles=50,
        utilization=0.8,
        total_utilization=0.4,
        spent={"ideal": 40.0, "fill": 60.0},
        mismatches=0,
        counters={"cycles": 100},
        commands=5,
        seed=request.seed,
        sim="icarus",
        simulator_version="11.0",
        hecaton_version="0",
        verilog_sha256="00",
        wall_seconds=1.5,
    )


def test_records_round_trip() -> None:
    found = record(gemm_request(**FIELDS))
    assert GemmRecord.model_validate_json(found.model_dump_json()) == found


def test_file_names_tell_requests_and_designs_apart() -> None:
    requests = [
        gemm_request(**{**FIELDS, **change})
        for change in ({}, {"m": 5}, {"seed": 1}, {"stall": 0.5}, {"die": DieSpec(stages=2)}, {"form": "tn"})
    ]
    other_design = record(requests[0]).model_copy(update={"verilog_sha256": "01"})
    names = {record(request).file_name for request in requests} | {other_design.file_name}
    assert len(names) == 7
    assert re.fullmatch(r"gemm_2x3x4_nn_8x8_bf16_[0-9a-f]{8}\.json", record(requests[0]).file_name)
