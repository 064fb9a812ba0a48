"""The verdict on a published pair in words, made from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chiplet.claims.results import Aim, Effect, Nearest, PairGain, Reach
from chiplet.studies.published import PublishedClaim

SHOWN = 3
"""Effects that are named."""


def paragraph(
    claim: PublishedClaim, first: PairGain, reach: Sequence[Reach], effects: Sequence[Effect]
) -> str:
    """What ``reach`` and ``effects`` say, in sentences."""
    parts = [f"{claim.model} on {claim.dies_label}, {claim.source}."]
    if first.reason is None:
        parts.append(
            f"With the first value of every assumption Hecaton has {first.speedup:.2f}x the speed and "
            f"1/{first.energy_ratio:.2f} of the energy."
        )
    for one in reach:
        parts += _reached(one, _aim(claim, one.aim))
    if effects:
        by_energy = sorted(effects, key=lambda effect: -effect.energy_factor)
        speed = [f"{effect.assumption} ({effect.speed_factor:.2f}x)" for effect in effects[:SHOWN]]
        energy = [f"{effect.assumption} ({effect.energy_factor:.2f}x)" for effect in by_energy[:SHOWN]]
        parts.append(
            f"On average over all other assumptions, what moves the speed most is {_listed(speed)}; "
            f"the energy, {_listed(energy)}."
        )
    return " ".join(parts)


def _aim(claim: PublishedClaim, aim: Aim) -> str:
    speed, energy = f"{claim.speedup}x the speed", f"1/{claim.energy_ratio} of the energy"
    return {"speed": speed, "energy": energy, "both": f"{speed} and {energy} together"}[aim]


def _reached(reach: Reach, aim: str) -> list[str]:
    aim = aim[0].upper() + aim[1:]
    if not reach.rows:
        return [f"{aim}: no combination fits."]
    if not reach.reached:
        return [f"{aim}: reached by none of {reach.rows:,} combinations{_nearest(reach.nearest)}."]
    text = (
        f"{aim}: reached by {reach.reached:,} of {reach.rows:,} combinations ({_percent(reach.reached, reach.rows)}), "
        f"like for like by {reach.like_for_like_reached:,} of {reach.like_for_like_rows:,} "
        f"({_percent(reach.like_for_like_reached, reach.like_for_like_rows)})"
    )
    if not reach.like_for_like_reached:
        text += _nearest(reach.like_for_like_nearest)
    parts = [f"{text}."]
    for needed, which in ((reach.needed, "All"), (reach.like_for_like_needed, "All like for like")):
        if needed and (which == "All" or needed != reach.needed):
            parts.append(f"{which} that reach it have {_values(needed)}.")
    fewest = reach.like_for_like_fewest_changes
    if fewest is not None:
        parts.append(
            f"The fewest changes to the first values, like for like: {_changes(fewest)} "
            f"({fewest.speedup:.2f}x, 1/{fewest.energy_ratio:.2f})."
        )
    elif reach.fewest_changes is not None:
        fewest = reach.fewest_changes
        parts.append(
            f"The fewest changes to the first values, not like for like: {_changes(fewest)} "
            f"({fewest.speedup:.2f}x, 1/{fewest.energy_ratio:.2f})."
        )
    return parts


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none fit"


def _nearest(nearest: Nearest | None) -> str:
    if nearest is None:
        return ""
    return f"; nearest is {nearest.speedup:.2f}x and 1/{nearest.energy_ratio:.2f} with {_changes(nearest)}"


def _changes(nearest: Nearest) -> str:
    if not nearest.changes:
        return "the first value of every assumption"
    return _listed([f"{name} = {value}" for name, value in nearest.changes.items()])


def _values(needed: Mapping[str, Sequence[str]]) -> str:
    return _listed([f"{name} = {' or '.join(values)}" for name, values in needed.items()])


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
