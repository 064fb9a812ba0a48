"""A run on disk is taken over if it is the same run of the same design, and right; else it is run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.records.gemm import GemmRecord, GemmRequest
from hecaton.results.records import Run, run_gemms, run_recorded

REQUEST = GemmRequest(m=2, k=3, n=2, die=DieSpec(rows=2, cols=2), memory=MemorySpec(word_bytes=8))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_recorded(REQUEST, folder=tmp_path_factory.mktemp("records"))


def test_the_record_is_written(first: Run) -> None:
    assert not first.reused
    assert first.record.mismatches == 0
    assert first.path.name == first.record.file_name
    assert GemmRecord.model_validate_json(first.path.read_bytes()) == first.record


def test_the_same_run_is_taken_over(first: Run) -> None:
    again = run_recorded(REQUEST, folder=first.path.parent)
    assert (again.record, again.path, again.reused) == (first.record, first.path, True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: "",
        lambda record: record.model_dump_json()[:-10],
        lambda record: record.model_copy(update={"mismatches": 1}).model_dump_json(),
        lambda record: record.model_copy(update={"simulator_version": "0.0"}).model_dump_json(),
        lambda record: record.model_copy(update={"hecaton_version": "0.0"}).model_dump_json(),
        lambda record: record.model_copy(update={"verilog_sha256": ""}).model_dump_json(),
        lambda record: record.model_copy(update={"commands": 1}).model_dump_json(),
        lambda record: record.model_copy(update={"predicted_cycles": 1}).model_dump_json(),
        lambda record: record.model_copy(
            update={"request": record.request.model_copy(update={"seed": 1})}
        ).model_dump_json(),
    ],
)
def test_anything_else_is_run_again(first: Run, spoil: Callable[[GemmRecord], str], tmp_path: Path) -> None:
    (tmp_path / first.path.name).write_text(spoil(first.record))
    again = run_recorded(REQUEST, folder=tmp_path)
    assert not again.reused
    assert again.record.model_copy(update={"wall_seconds": first.record.wall_seconds}) == first.record
    assert GemmRecord.model_validate_json(again.path.read_bytes()) == again.record


def test_runs_come_in_order_and_each_is_told(first: Run, tmp_path: Path) -> None:
    told: list[Run] = []
    requests = [REQUEST.model_copy(update={"m": m}) for m in (5, 1)]
    runs = run_gemms(requests, tmp_path, ended=told.append, workers=2)
    assert [run.record.request for run in runs] == requests
    assert sorted(run.path for run in told) == sorted(run.path for run in runs)
