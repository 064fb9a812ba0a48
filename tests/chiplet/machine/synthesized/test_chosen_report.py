"""Silicon reports from files: read as they were written, chosen by the die, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chiplet.machine.synthesized.chosen_report import check_reports, load_report, report_for, report_names
from chiplet.machine.synthesized.silicon_report import SiliconReport
from tests.chiplet.machine.synthesized.reports import block, report, report_values
from tests.chiplet.machines import PACKAGE, package


def saved(path: Path, **changes: Any) -> Path:
    """A file of a report."""
    path.write_text(json.dumps(report_values(**changes)), encoding="utf-8")
    return path


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    assert load_report(saved(tmp_path / "r.json")) == report()
    written = {**report_values(), "digests": report().digests, "cells": 7, "paths": []}
    (tmp_path / "r.json").write_text(json.dumps(written), encoding="utf-8")
    assert load_report(tmp_path / "r.json") == report()
    whole = {**written, "period_ps": 1250}
    assert SiliconReport.measured_digest(whole) == report().digests["measured"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": "package"}, "it is of a package: make one of a die, without --package"),
        ({"period_ps": float("nan")}, "period_ps = nan: input should be a finite number"),
        ({"period_ps": None}, "period_ps = None: input should be a valid number"),
        ({"period_ps": float("inf")}, "period_ps = inf: input should be a finite number"),
        ({"periods": 1.0}, "unknown key periods: the nearest known one is period_ps"),
        ({"terms": {}}, "unknown key terms: the nearest known one is "),
        ({"blocks": []}, "blocks = []: tuple should have at least 1 item"),
        ({"blocks": [block("pe", 32, 230.0, per_row=1)]}, "the numbers of pe make 4 in its die, not 32"),
        (
            {"blocks": [block("pe", 32, -1.0, per_pe=1)]},
            "blocks.0.area_um2 = -1.0: input should be greater than",
        ),
        ({"area_um2": 1.0}, "its blocks have 14340 um2 together, not area_um2 = 1"),
        ({"digests": {"measured": "0" * 16}}, "it was edited: what it measured has the digest "),
        ({"digests": {"die": "0" * 16}}, "the file has digest 0000000000000000 of the section die, not "),
        ({"energies": {"mac_pj": {"value": 0.3}}}, "energies.mac_pj.source is missing"),
        ({"energies": {"mac": 1.0}}, "unknown key energies.mac: the nearest known one is energies.mac_pj"),
        ({"die": {"rows": 0}}, "die.rows = 0: input should be greater than or equal to 1"),
    ],
)
def test_wrong_reports_are_refused_in_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="r.json: not a silicon report: ") as refused:
        load_report(saved(tmp_path / "r.json", **changes))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", [*report_values(), None])
def test_a_key_that_is_missing_is_named(key: str | None, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(
        json.dumps({name: entry for name, entry in report_values().items() if key and name != key})
    )
    with pytest.raises(ValueError, match=f"r.json: not a silicon report: {key or 'design'} is missing$"):
        load_report(path)


def test_files_that_are_no_reports(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="none.json: cannot read the silicon report: No such file or directory$"
    ):
        load_report(tmp_path / "none.json")
    with pytest.raises(
        ValueError, match="^other: no silicon report: must be one of asap7-typical, or a JSON file$"
    ):
        load_report("other")
    path = tmp_path / "r.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="r.json: not a silicon report: byte 0 is not UTF-8"):
        load_report(path)
    for text in ("", "[]", "{"):
        path.write_text(text)
        with pytest.raises(ValueError, match="r.json: not a silicon report: "):
            load_report(path)


def of_stages(*stages: int) -> tuple[SiliconReport, ...]:
    """Reports of dies with so many stages, each a little quicker."""
    return tuple(report(package(f"die.stages={count}"), period_ps=2000.0 / count) for count in stages)


def test_several_reports_are_of_dies_that_differ() -> None:
    reports = of_stages(1, 2, 4)
    check_reports(reports)
    for count, made in zip((1, 2, 4), reports, strict=True):
        assert report_for(reports, package(f"die.stages={count}")) is made
    with pytest.raises(ValueError, match="with die.stages = 1 or 2 or 4, not 3: "):
        report_for(reports, package("die.stages=3"))
    with pytest.raises(
        ValueError, match="^two silicon reports of dies with die.dtype = bf16, die.stages = 2: give "
    ):
        check_reports((*reports, *of_stages(2)))
    assert report_for((), PACKAGE) is None


def test_reports_that_come_along_load() -> None:
    assert report_names() == ["asap7-typical"]
    made = load_report("asap7-typical")
    assert made.doubt is None
    stages = ("multiplier_stages", "function_stages")
    vector = (f"vector.{name}={getattr(made.vector, name)}" for name in stages)
    assert made.refusal(package(f"die.stages={made.die.stages}", *vector)) is None
