"""Verdicts are counts over the rows, and their paragraphs say these."""

from __future__ import annotations

from dataclasses import replace
from math import exp, hypot, log

import numpy as np
import pytest

from chiplet.claims.assumptions import ASSUMPTIONS
from chiplet.claims.gains import Gains
from chiplet.claims.results import PairGain
from chiplet.claims.verdicts import like_for_like, pair_gain, verdict
from chiplet.studies.published import CLAIMS

SHAPE = [len(one.choices) for one in ASSUMPTIONS]
SIZE = int(np.prod(SHAPE))


def made_up(seed: int, level: float = 0.0) -> Gains:
    """Gains around those of the claim, ``level`` away by logarithm; a tenth does not fit."""
    rng = np.random.default_rng(seed)
    claim = CLAIMS[seed % 2]
    unfit = rng.random(SHAPE) < 0.1
    unfit.flat[0] = False
    speed, energy = (np.exp(level + rng.normal(size=SHAPE)) for _ in range(2))
    return Gains(
        claim,
        ASSUMPTIONS,
        np.where(unfit, np.nan, claim.speedup * speed),
        np.where(unfit, np.nan, claim.energy_ratio * energy),
        unfit.astype(np.int64),
        ("", "too small"),
    )


@pytest.mark.parametrize(("seed", "level"), [(0, 0.0), (1, -2.0)])
def test_shares_and_nearest_rows_are_counted_over_the_rows(seed: int, level: float) -> None:
    found = made_up(seed, level)
    claim, alike = found.claim, like_for_like(ASSUMPTIONS).ravel()
    pairs = [pair_gain(found, row) for row in range(SIZE)]
    fitting = [row for row, pair in enumerate(pairs) if pair.reason is None]

    def reaches(pair: PairGain, aim: str) -> bool:
        return {"speed": pair.speed_reached, "energy": pair.energy_reached}.get(
            aim, pair.speed_reached and pair.energy_reached
        )

    def off(row: int) -> float:
        pair = pairs[row]
        assert pair.speedup is not None
        assert pair.energy_ratio is not None
        return hypot(log(pair.speedup / claim.speedup), log(pair.energy_ratio / claim.energy_ratio))

    result = verdict(found, 4096)
    assert result.first == pairs[0]
    for reach in result.reach:
        reached = [row for row in fitting if reaches(pairs[row], reach.aim)]
        assert (reach.rows, reach.reached) == (len(fitting), len(reached))
        assert reach.share == pytest.approx(len(reached) / len(fitting))
        assert reach.like_for_like_rows == sum(alike[fitting])
        assert reach.like_for_like_reached == sum(alike[reached])
        assert f"{reach.reached:,} of {reach.rows:,} combinations" in result.text
        if reach.fewest_changes is not None:
            places = np.array(np.unravel_index(reached, SHAPE))
            assert len(reach.fewest_changes.changes) == np.count_nonzero(places, axis=0).min()
    nearest = result.reach[2].nearest
    assert nearest is not None
    assert off(nearest.row) == pytest.approx(min(map(off, fitting)))
    assert nearest.like_for_like == alike[nearest.row]


def test_what_all_rows_that_reach_it_share_is_needed() -> None:
    found = made_up(0)
    low = found.speedup.copy()
    low[...] = 1.0
    low[2, :, :, :, :, 1] = 100.0  # only Hecaton overlapped, advanced package
    reach, *_ = verdict(replace(found, speedup=np.where(found.reason > 0, np.nan, low)), 4096).reach
    assert reach.needed == {"overlap": ["only Hecaton"], "package": ["advanced"]}
    assert (reach.like_for_like_reached, reach.like_for_like_needed) == (0, {})
    assert reach.fewest_changes is not None
    assert reach.like_for_like_fewest_changes is None
    assert reach.fewest_changes.changes.items() >= {"overlap": "only Hecaton", "package": "advanced"}.items()


def test_effects_are_factors_of_means() -> None:
    found = made_up(0)
    shape = [1] * len(SHAPE)
    shape[0] = 3
    speed = np.broadcast_to(np.exp([0.0, 1.0, 3.0]).reshape(shape), SHAPE)
    result = verdict(replace(found, speedup=np.where(found.reason > 0, np.nan, speed)), 4096)
    first, *others = result.effects
    assert (first.assumption, first.speed_largest) == ("overlap", "only Hecaton")
    assert first.speed_factor == pytest.approx(exp(3.0))
    assert all(1 <= effect.speed_factor < 1.05 for effect in others)
    assert [effect.assumption for effect in result.effects] != [one.name for one in ASSUMPTIONS]


def test_a_space_where_nothing_fits_has_a_verdict() -> None:
    found = made_up(0)
    nan = np.full(SHAPE, np.nan)
    result = verdict(
        replace(found, speedup=nan, energy_ratio=nan, reason=np.ones(SHAPE, dtype=np.int64)), 4096
    )
    assert result.first.reason == "too small"
    assert result.effects == []
    assert [reach.rows for reach in result.reach] == [0, 0, 0]
    assert result.text.count("no combination fits") == 3
