"""Calibrations: believed as far as hardware can have shown them."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from chiplet.machine.calibration import Calibration, LinkGoodput
from chiplet.machine.specs import DieSpec
from chiplet.machine.terms import DieTerms, GemmTerms
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from nop.terms import NopTerms
from tests.chiplet.machines import PACKAGE

HERE = {"simulator": "icarus", "hecaton_version": version("hecaton")}


def saved(path: Path, **changes: Any) -> Path:
    """A file of the package's die, with ``changes`` of its sections."""
    content = {"die": PACKAGE.die.model_dump(mode="json"), "provenance": HERE, **changes}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    made = Calibration(
        die=DieSpec(rows=16),
        terms=DieTerms(gemm=GemmTerms(per_tile=0.5)),
        provenance={"simulator": "icarus", "samples": 12, "seeds": [1, 2]},
        nop=NopTerms(hop_cycles=1.25),
        extra={"hop_cycles": 1.0},
    )
    (tmp_path / "c.json").write_text(made.to_json(), encoding="utf-8")
    assert Calibration.load(tmp_path / "c.json") == made


def test_a_file_without_terms_of_the_network_loads(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"die": {}}')
    assert Calibration.load(path).nop is None
    path.write_text('{"die": {}, "nop": {"hop_cycles": 2.0}}')
    assert Calibration.load(path).nop == NopTerms(hop_cycles=2.0)
    path.write_text('{"die": {}, "nop": {"hops": 2.0}}')
    with pytest.raises(
        ValueError,
        match="c.json: not a calibration: unknown key nop.hops: the nearest known one is nop.hop_cycles",
    ):
        Calibration.load(path)


def test_terms_of_the_network_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    for value in ("1.0", True, None):
        saved(path, nop={"hop_cycles": value})
        with pytest.raises(ValueError, match=r"c\.json: not a calibration: nop\.hop_cycles = .*valid number"):
            Calibration.load(path)


def test_missing_and_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    with pytest.raises(ValueError, match="c.json: cannot read the calibration: No such file or directory$"):
        Calibration.load(path)
    for text in ("", "{", "[]", '{"gemm": {}}', '{"die": {"rows": 0}}', '{"die": {"colour": 1}}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="c.json: not a calibration: ") as refusal:
            Calibration.load(path)
        assert "\n" not in str(refusal.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="c.json: not a calibration: byte 0 is not UTF-8"):
        Calibration.load(path)


def test_another_die_is_refused_by_name() -> None:
    calibration = Calibration(die=DieSpec(rows=8))
    calibration.check_die(DieSpec(rows=8))
    with pytest.raises(ValueError, match=r"made for a die with die\.rows = 8, not 16: calibrate this die"):
        calibration.check_die(DieSpec(rows=16))
    with pytest.raises(ValueError, match=r"die\.stages = 1, not 2"):
        calibration.check_die(DieSpec(rows=8, stages=2))


GEMM_TERMS = [
    ("per_row", -1e6),
    ("per_row", 0.0),
    ("per_row", 0.9),
    ("per_row", 1e6),
    ("per_tile", -1.0),
    ("constant", -1e9),
    ("fill_per_row", -0.5),
    ("drain_per_row", 1e300),
    ("drain_per_col", -1.0),
    ("drain_per_stage", -1.0),
    *(
        (name, value)
        for name in GemmTerms.model_fields
        for value in (float("nan"), float("inf"), -float("inf"))
    ),
]


@pytest.mark.parametrize(("name", "value"), GEMM_TERMS)
def test_terms_that_no_hardware_has_are_refused(tmp_path: Path, name: str, value: float) -> None:
    path = saved(tmp_path / "c.json", terms={"gemm": {name: value}})
    with pytest.raises(ValueError, match=rf"c\.json: not a calibration: terms\.gemm\.{name} = ") as refusal:
        Calibration.load(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [-100.0, 1e6, float("nan")])
@pytest.mark.parametrize("name", [name for name in DieTerms.model_fields if name != "gemm"])
def test_terms_of_units_have_bounds(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"not a calibration: terms\.{name} = "):
        Calibration.load(saved(tmp_path / "c.json", terms={name: value}))


def test_terms_with_which_a_gemm_takes_no_time_are_refused(tmp_path: Path) -> None:
    terms = {"constant": -5.0, "fill_per_row": 0.0, "drain_per_row": 0.0, "drain_per_col": 0.0}
    with pytest.raises(ValueError, match="terms.gemm: a GEMM of one multiply-add would take -3 cycles"):
        Calibration.load(saved(tmp_path / "c.json", terms={"gemm": terms}))


@pytest.mark.parametrize(
    ("value", "shown"), [(-1.0, "-1.0"), (0.5, "0.5"), (1e6, "1000000.0"), (float("nan"), "nan")]
)
def test_terms_of_the_network_have_bounds(tmp_path: Path, value: float, shown: str) -> None:
    with pytest.raises(ValueError, match=f"nop: hop_cycles = {shown}: must be from 0.99 to 1024 cycles"):
        Calibration.load(saved(tmp_path / "c.json", nop={"hop_cycles": value}))


def test_terms_of_the_network_need_a_hop(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nop: hop_cycles is missing"):
        Calibration.load(saved(tmp_path / "c.json", nop={"link_cycles": 1.0}))


def test_a_term_that_is_left_out_was_not_measured(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.json", terms={"gemm": {"per_row": 1.5}})
    found = project(StepRequest("llama2-7b", PACKAGE, dies=64, calibration=Calibration.load(path)))
    assert [(entry.name, entry.value) for entry in found.measured_inputs] == [("gemm.per_row", 1.5)]
    others = {entry.name: entry for entry in found.assumed_inputs if entry.name.startswith("gemm.")}
    assert set(others) == {f"gemm.{name}" for name in GemmTerms.model_fields} - {"gemm.per_row"}
    for entry in others.values():
        assert (entry.status, entry.value) == (
            "assumed",
            getattr(GemmTerms(), entry.name.removeprefix("gemm.")),
        )
        assert entry.source.endswith("the calibration leaves it out")


def test_a_file_without_terms_measures_nothing(tmp_path: Path) -> None:
    plain = project(StepRequest("llama2-7b", PACKAGE, dies=64))
    loaded = Calibration.load(saved(tmp_path / "c.json"))
    found = project(StepRequest("llama2-7b", PACKAGE, dies=64, calibration=loaded))
    assert found.measured_inputs == []
    assert found.step_seconds == plain.step_seconds


def test_a_file_that_says_not_what_measured_it_measures_nothing(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "c.json", terms={"gemm": {"per_row": 2.0}}, nop={"hop_cycles": 3.0}, provenance={}
    )
    found = project(StepRequest("llama2-7b", PACKAGE, dies=64, calibration=Calibration.load(path)))
    assert found.measured_inputs == []
    doubted = {entry.name: entry.source for entry in found.assumed_inputs}
    for name in ("gemm.per_row", "link.router_cycles"):
        assert doubted[name] == "a calibration that does not say which version of Hecaton measured it"


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.json", provenance=HERE | {"hecaton_version": "0.0.9"})
    with pytest.raises(ValueError, match=r"c\.json: a calibration of Hecaton 0\.0\.9, not of ") as refusal:
        Calibration.load(path)
    assert "\n" not in str(refusal.value)


def test_files_hold_what_was_measured_and_are_never_such_as_would_be_refused(tmp_path: Path) -> None:
    fitted = DieTerms().model_copy(update={"gemm": GemmTerms().model_copy(update={"per_tile": 2.0})})
    made = Calibration(die=PACKAGE.die, terms=fitted, provenance=HERE)
    assert json.loads(made.to_json())["terms"] == {"gemm": {"per_tile": 2.0}}
    (tmp_path / "c.json").write_text(made.to_json(), encoding="utf-8")
    assert Calibration.load(tmp_path / "c.json") == made
    wrong = DieTerms().model_copy(update={"gemm": GemmTerms().model_copy(update={"per_row": -0.25})})
    with pytest.raises(ValueError, match=r"^the runs fit no hardware: terms\.gemm\.per_row = -0\.25: "):
        made.model_copy(update={"terms": wrong}).to_json()


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ('"per_tile": 2.0', '"per_tile": 1.5'),
        ('"per_tile": 2.0', '"per_tile": 2.0, "per_row": 1.0'),
        ('"hop_cycles": 3.0', '"hop_cycles": 2.0'),
        ('"simulator": "icarus"', '"simulator": "verilator"'),
        ('"warm_up": 0.5', '"warm_up": 0.25'),
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, written: str, edited: str) -> None:
    """Whatever was measured, and how: the digest of the file is not that of its numbers any more."""
    made = Calibration(
        die=PACKAGE.die,
        terms=DieTerms(gemm=GemmTerms(per_tile=2.0)),
        nop=NopTerms(hop_cycles=3.0),
        provenance=HERE,
        extra={"warm_up": 0.5},
    )
    path, text = tmp_path / "c.json", made.to_json()
    assert written in text
    path.write_text(text.replace(written, edited))
    with pytest.raises(
        ValueError, match=r"c\.json: not a calibration: it was edited: .* has the digest "
    ) as refusal:
        Calibration.load(path)
    assert made.digests["measured"] in str(refusal.value)


def test_a_file_without_digests_loads_and_reformatting_is_no_edit(tmp_path: Path) -> None:
    made = Calibration(die=PACKAGE.die, terms=DieTerms(gemm=GemmTerms(per_tile=2.0)), provenance=HERE)
    content = json.loads(made.to_json())
    path = tmp_path / "c.json"
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert Calibration.load(path) == made
    del content["digests"]
    path.write_text(json.dumps(content))
    assert Calibration.load(path) == made


def test_a_goodput_that_frames_cannot_carry_is_refused() -> None:
    link = LinkGoodput(
        goodput=1.0,
        lanes=PACKAGE.link.lanes,
        lane_rate=PACKAGE.link.lane_rate,
        clock_hz=PACKAGE.die.clock_hz,
        flit_bits=PACKAGE.nop.flit_bits,
    )
    with pytest.raises(ValueError, match=r"link\.goodput = 1\.0: frames of this link carry 0\.9\d* at most"):
        Calibration(die=PACKAGE.die, link=link, provenance=HERE).applied(PACKAGE)
