"""``hecaton claims`` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

from chiplet.claims.assumptions import ASSUMPTIONS
from tests.hecaton.command import called, documented_keys, refused

HELD = [
    word
    for one in ASSUMPTIONS
    if one.name not in ("overlap", "inputs of the backward pass", "static power")
    for word in ("--hold", f"{one.name}={one.choices[0].label}")
]


def test_claims_print_rows_and_verdicts_and_write_a_plot(tmp_path: Path) -> None:
    done = called("claims", *HELD, "--plot", "claims.svg", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("claims")
    assert len(data["rows"]) == 3 * 2 * 2
    assert [len(one["values"]) for one in data["assumptions"]] == [
        len(one.choices) if one.name in ("overlap", "inputs of the backward pass", "static power") else 1
        for one in ASSUMPTIONS
    ]
    claims = [(one["claim"]["model"], one["claim"]["dies_status"]) for one in data["summary"]]
    assert claims == [("llama3.1-405b", "inferred"), ("llama2-70b", "inferred")]
    assert {row["like_for_like"] for row in data["rows"]} == {True, False}
    assert data["reached"] == sum(row["reached"] for row in data["rows"])
    assert data["files"] == ["claims.svg"]
    text = (tmp_path / "claims.svg").read_text()
    assert ">llama2-70b, 256 dies (inferred)</text>" in text
    assert ">static power</text>" in text


def test_claims_show_the_space_and_the_verdicts() -> None:
    shown = called("claims", *HELD).stdout
    assert "Where the published figures are reached" in shown
    assert "llama3.1-405b on 1024 dies (inferred), arXiv 2407.05784 v2, abstract." in shown.replace("\n", " ")
    assert "all other assumptions, what moves the speed most" in " ".join(shown.split())


def test_refusals(tmp_path: Path) -> None:
    assert refused("claims", "--hold", "overlap=some") == (
        "overlap = some: must be one of both, neither, only Hecaton"
    )
    assert refused("claims", "--hold", "overlap") == "--hold overlap: must be NAME=VALUE"
    assert refused("claims", "-P", "link.lane_rate=4e9").startswith("link.lane_rate = 4")
    assert "cannot write the plot" in refused("claims", "--plot", "claims.xyz", cwd=tmp_path)
