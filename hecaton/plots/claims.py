"""Plot of the published claims over the space of assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hecaton.plots.figure import COLOURS, PAGE, saved_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chiplet.claims.results import ClaimRow, ClaimStudy, ClaimVerdict, Effect

LIKE_COLOUR, UNLIKE_COLOUR, CLAIM_COLOUR = COLOURS["array"], COLOURS["memory_nop"], COLOURS["nop"]


def plot_claims(study: ClaimStudy, path: Path) -> None:
    """Draw every row of ``study`` by its ratios beside the published ones, into ``path`` (png, pdf or svg).

    Each published pair has two panels: the rows, and how much each assumption moves their ratios.
    """
    with saved_figure(path, PAGE, 0.5 + 2.5 * len(study.summary)) as figure:
        panels = figure.subplots(len(study.summary), 2, squeeze=False, width_ratios=(5, 4))
        for number, (verdict, (left, right)) in enumerate(zip(study.summary, panels, strict=True)):
            _map(left, study.rows, number, verdict)
            _effects(right, verdict.effects)
        figure.suptitle(
            f"Hecaton over Megatron tensor parallelism on a flat ring, {len(study.rows):,} combinations of assumptions"
        )


def _map(axes: Axes, rows: Sequence[ClaimRow], number: int, verdict: ClaimVerdict) -> None:
    """The rows by speed and energy ratio, those that are like for like on top."""
    claim = verdict.claim
    style: dict[str, Any] = {"s": 3, "linewidths": 0, "rasterized": True}
    for alike, colour, label in ((False, UNLIKE_COLOUR, "unlike"), (True, LIKE_COLOUR, "like for like")):
        pairs = [row.pairs[number] for row in rows if row.like_for_like == alike]
        shown = [
            (pair.speedup, pair.energy_ratio)
            for pair in pairs
            if pair.speedup is not None and pair.energy_ratio is not None
        ]
        if shown:
            speed, energy = zip(*shown, strict=True)
            axes.scatter(speed, energy, color=colour, label=f"{label}: {len(shown):,}", **style)
    axes.scatter(
        [claim.speedup],
        [claim.energy_ratio],
        marker="*",
        s=60,
        color=CLAIM_COLOUR,
        edgecolors="white",
        zorder=5,
        label="published",
    )
    axes.axvline(claim.speedup, color=CLAIM_COLOUR, linewidth=0.8)
    axes.axhline(claim.energy_ratio, color=CLAIM_COLOUR, linewidth=0.8)
    for axis in ("x", "y"):
        getattr(axes, f"set_{axis}scale")("log", base=2)
        getattr(axes, f"{axis}axis").set_major_formatter("{x:g}")
    axes.set_xlabel("speed ratio (times the flat ring)")
    axes.set_ylabel("energy ratio (flat ring over ours)")
    axes.set_title(f"{claim.model}, {claim.dies_label}")
    axes.legend(loc="upper left", markerscale=2)


def _effects(axes: Axes, effects: Sequence[Effect]) -> None:
    """How much each assumption moves speed and energy ratio, the most first."""
    places = range(len(effects))
    for shift, factors, colour, label in (
        (-0.2, [effect.speed_factor for effect in effects], COLOURS["vector"], "speed ratio"),
        (0.2, [effect.energy_factor for effect in effects], COLOURS["dram"], "energy ratio"),
    ):
        widths = [factor - 1 for factor in factors]
        axes.barh([place + shift for place in places], widths, left=1, height=0.38, color=colour, label=label)
    axes.set_yticks(list(places), [effect.assumption for effect in effects])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("moves it by a factor of, on average")
    if effects:
        axes.legend(loc="center right")
