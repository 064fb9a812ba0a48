"""The plot of the claims shows both pairs, and rows like for like apart from others."""

from __future__ import annotations

from pathlib import Path

import pytest

from chiplet.claims.assumptions import ASSUMPTIONS, held
from chiplet.claims.study import ClaimWork
from hecaton.plots.claims import plot_claims
from tests.chiplet.machines import PACKAGE


@pytest.mark.parametrize(
    ("dram", "rows"), [("DDR5-6400", {"like for like: 2", "unlike: 1"}), ("HBM3", set())]
)
def test_a_map_has_the_rows_that_fit(tmp_path: Path, dram: str, rows: set[str]) -> None:
    values = {one.name: one.choices[0].label for one in ASSUMPTIONS if one.name != "overlap"} | {"DRAM": dram}
    study = ClaimWork(PACKAGE, assumptions=held(ASSUMPTIONS, values)).study()
    plot_claims(study, tmp_path / "claims.svg")
    text = (tmp_path / "claims.svg").read_text()
    for label in ("like for like: 2", "unlike: 1"):
        assert (f">{label}</text>" in text) == (label in rows)
    for verdict in study.summary:
        assert f">{verdict.claim.model}, {verdict.claim.dies_label}</text>" in text
