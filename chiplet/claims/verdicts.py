"""Where a published claim is reached in the space of assumptions, which of them it needs, and what moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from chiplet.claims.assumptions import GATHER_AGAIN, OVERLAP, Assumption
from chiplet.claims.gains import Gains
from chiplet.claims.paragraphs import paragraph
from chiplet.claims.results import Aim, ClaimVerdict, Effect, Nearest, PairGain, Reach

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDING = 1e-9
"""What a factor may differ from one by rounding."""


def like_for_like(assumptions: Sequence[Assumption]) -> NDArray[np.bool_]:
    """Whether a combination is like for like: an array with an axis for each assumption.

    Both methods have the same overlap, and both gather the inputs of the backward pass again, as Hecaton does unless
    its switch is changed. Recomputation and the width of partial sums are the same for both everywhere.
    """
    alike: NDArray[np.bool_] = np.full([len(one.choices) for one in assumptions], True)
    for place, assumption in enumerate(assumptions):
        if assumption.name == OVERLAP.name:
            same = [choice.settings["ours"] == choice.settings["ring"] for choice in assumption.choices]
        elif assumption.name == GATHER_AGAIN.name:
            same = [all(choice.settings.values()) for choice in assumption.choices]
        else:
            continue
        shape = [1] * alike.ndim
        shape[place] = len(same)
        alike = alike & np.array(same).reshape(shape)
    return alike


def pair_gain(gains: Gains, row: int) -> PairGain:
    """The gains of row ``row`` of the flattened space."""
    reason = int(gains.reason.flat[row])
    if reason:
        return PairGain(
            model=gains.claim.model,
            speedup=None,
            energy_ratio=None,
            speed_reached=False,
            energy_reached=False,
            reason=gains.reasons[reason],
        )
    speedup, energy_ratio = float(gains.speedup.flat[row]), float(gains.energy_ratio.flat[row])
    return PairGain(
        model=gains.claim.model,
        speedup=speedup,
        energy_ratio=energy_ratio,
        speed_reached=speedup >= gains.claim.speedup,
        energy_reached=energy_ratio >= gains.claim.energy_ratio,
    )


def verdict(gains: Gains, sequence_length: int) -> ClaimVerdict:
    """The verdict on one published pair, whose sequences have ``sequence_length`` tokens."""
    space = _JudgedRows(gains)
    first = pair_gain(gains, 0)
    reach = [space.reach(aim) for aim in get_args(Aim)]
    effects = space.effects()
    return ClaimVerdict(
        claim=gains.claim,
        sequence_length=sequence_length,
        first=first,
        reach=reach,
        effects=effects,
        text=paragraph(gains.claim, first, reach, effects),
    )


@dataclass(frozen=True)
class _JudgedRows:
    """The rows of one claim, flattened; columns of ``places`` are the assumptions."""

    gains: Gains

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        fits: NDArray[np.bool_] = (self.gains.reason == 0).ravel()
        return fits

    @cached_property
    def alike(self) -> NDArray[np.bool_]:
        return like_for_like(self.gains.assumptions).ravel()

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """Number of the value of each assumption, a row for each row of the space."""
        shape = self.gains.speedup.shape
        return np.stack(np.unravel_index(np.arange(self.gains.speedup.size), shape), axis=1)

    @cached_property
    def logs(self) -> dict[Aim, NDArray[np.float64]]:
        """Logarithms of the ratios over the published ones; of both at once, the smaller."""
        claim = self.gains.claim
        speed = np.log(self.gains.speedup / claim.speedup).ravel()
        energy = np.log(self.gains.energy_ratio / claim.energy_ratio).ravel()
        return {"speed": speed, "energy": energy, "both": np.minimum(speed, energy)}

    def off(self, aim: Aim) -> NDArray[np.float64]:
        """How far a row is from what is published."""
        if aim == "both":
            return np.hypot(self.logs["speed"], self.logs["energy"])
        return np.abs(self.logs[aim])

    def reach(self, aim: Aim) -> Reach:
        """Where ``aim`` is reached."""
        reached = self.fits & (self.logs[aim] >= 0)  # NaN where a method does not fit
        alike = self.fits & self.alike
        return Reach(
            aim=aim,
            rows=int(self.fits.sum()),
            reached=int(reached.sum()),
            share=_share(reached, self.fits),
            like_for_like_rows=int(alike.sum()),
            like_for_like_reached=int((reached & alike).sum()),
            like_for_like_share=_share(reached & alike, alike),
            needed=self.needed(reached, self.fits),
            like_for_like_needed=self.needed(reached & alike, alike),
            nearest=self.nearest(aim, self.fits),
            like_for_like_nearest=self.nearest(aim, alike),
            fewest_changes=self.fewest(aim, reached),
            like_for_like_fewest_changes=self.fewest(aim, reached & alike),
        )

    def needed(self, reached: NDArray[np.bool_], among: NDArray[np.bool_]) -> dict[str, list[str]]:
        """Assumptions whose values are fewer in the rows ``reached`` than in those of ``among``."""
        if not reached.any():
            return {}
        needed = {}
        for number, assumption in enumerate(self.gains.assumptions):
            there, all_of = (np.unique(self.places[rows, number]).tolist() for rows in (reached, among))
            if there != all_of:
                needed[assumption.name] = [assumption.choices[place].label for place in there]
        return needed

    def nearest(self, aim: Aim, rows: NDArray[np.bool_]) -> Nearest | None:
        """The one of ``rows`` that is nearest to what is published; of equal ones, that with the fewest changes."""
        return self._best(rows, self.off(aim).round(12), self.changed)

    def fewest(self, aim: Aim, rows: NDArray[np.bool_]) -> Nearest | None:
        """The one of ``rows`` with the fewest changes; of equal ones the nearest."""
        return self._best(rows, self.changed, self.off(aim))

    @cached_property
    def changed(self) -> NDArray[np.intp]:
        """Number of assumptions that do not have their first value."""
        changed: NDArray[np.intp] = np.count_nonzero(self.places, axis=1)
        return changed

    def _best(self, rows: NDArray[np.bool_], first: NDArray[Any], second: NDArray[Any]) -> Nearest | None:
        there = np.flatnonzero(rows)
        if not len(there):
            return None
        row = int(there[np.lexsort((second[there], first[there]))[0]])
        changes = {
            assumption.name: assumption.choices[place].label
            for assumption, place in zip(self.gains.assumptions, self.places[row].tolist(), strict=True)
            if place
        }
        return Nearest(
            row=row,
            speedup=float(self.gains.speedup.flat[row]),
            energy_ratio=float(self.gains.energy_ratio.flat[row]),
            like_for_like=bool(self.alike[row]),
            changes=changes,
        )

    def effects(self) -> list[Effect]:
        """What moves the ratios, of assumptions with more than one value that fits."""
        found = []
        for number, assumption in enumerate(self.gains.assumptions):
            labels, means = [], []
            for place, choice in enumerate(assumption.choices):
                rows = self.fits & (self.places[:, number] == place)
                if rows.any():
                    labels.append(choice.label)
                    means.append([self.logs["speed"][rows].mean(), self.logs["energy"][rows].mean()])
            if len(labels) > 1:
                table = np.array(means)
                factors, largest = np.exp(np.ptp(table, axis=0)).tolist(), table.argmax(axis=0).tolist()
                found.append(
                    Effect(
                        assumption=assumption.name,
                        speed_factor=factors[0],
                        energy_factor=factors[1],
                        speed_largest=labels[largest[0]] if factors[0] > 1 + ROUNDING else None,
                        energy_largest=labels[largest[1]] if factors[1] > 1 + ROUNDING else None,
                    )
                )
        return sorted(found, key=lambda effect: -effect.speed_factor)


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 0.0
