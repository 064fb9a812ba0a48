"""What Hecaton gains over the flat ring under every combination of the assumptions: arrays with an axis for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.claims.assumptions import (
    ARRAY_SIZE,
    DIRECTION,
    DRAM,
    GATHER_AGAIN,
    LANE_RATE,
    LATENCY,
    LINK_ENERGY,
    LOGIC_ENERGY,
    OVERLAP,
    PACKAGE_TYPE,
    RECOMPUTE,
    STATIC,
    SUMS,
    Assumption,
    Choice,
    link_settings,
)
from chiplet.machine.config import read_preset
from chiplet.machine.configuration_keys import show_value, values_by_name
from chiplet.machine.specs import SystemSpec
from chiplet.studies.published import PublishedClaim
from chiplet.sweep.axes import Sweep
from chiplet.sweep.evaluate import Points, SweepTask
from chiplet.sweep.space import Space, make_sweep
from nop.topology import most_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINK_ASSUMPTIONS = (PACKAGE_TYPE.name, LANE_RATE.name, LINK_ENERGY.name)
"""Assumptions that decide the keys of links together."""

TOGETHER = (ARRAY_SIZE.name, DRAM.name, LATENCY.name, STATIC.name, LOGIC_ENERGY.name)
"""Assumptions each of which decides keys of its own."""

TASK_POINTS = 2048
"""Points of a task: progress is shown after each."""


@dataclass(frozen=True)
class Gains:
    """Speed and energy of Hecaton over the flat ring for one claim.

    ``speedup`` and ``energy_ratio`` have an axis for each of the ``assumptions``; they are NaN where a method does not
    fit, and ``reason`` is then an index into ``reasons``, of which the first is empty.
    """

    claim: PublishedClaim
    assumptions: tuple[Assumption, ...]
    speedup: NDArray[np.float64]
    energy_ratio: NDArray[np.float64]
    reason: NDArray[np.int64]
    reasons: tuple[str, ...]


def check_base(system: SystemSpec, assumptions: Sequence[Assumption]) -> None:
    """Raise ``ValueError``, in one line, if ``system`` sets a key that the assumptions set, to other than the preset's
    value, which would be replaced without a word, or has several packages.
    """
    if system.parallel.packages > 1:
        raise ValueError(f"{system.parallel.packages} packages: the claims are about one")
    preset = {
        f"{section}.{key}": value
        for section, keys in read_preset("package").values.items()
        for key, value in keys.items()
    }
    values = values_by_name(system)
    for assumption in assumptions:
        for key in _keys_of(assumption):
            if key in preset and values[key] != preset[key]:
                labels = ", ".join(choice.label for choice in assumption.choices)
                raise ValueError(
                    f"{key} = {show_value(values[key])}: the assumption {assumption.name!r} sets it; it can be held at "
                    f"one of {labels}"
                )


def _keys_of(assumption: Assumption) -> Iterator[str]:
    if assumption.name in LINK_ASSUMPTIONS:
        yield from ("link.lanes", "link.lane_rate", "link.pj_per_bit", "nop.flit_bits")
    elif assumption.name in TOGETHER:
        yield from assumption.choices[0].settings


def claim_sweep(
    claim: PublishedClaim,
    assumptions: Sequence[Assumption],
    system: SystemSpec,
    *,
    global_batch: int | None = None,
    sequence_length: int | None = None,
) -> Sweep:
    """Both methods under all ``assumptions`` for the model and the dies of ``claim``, on the most square mesh.

    Raises ``ValueError``, in one line, for a batch or length that is not possible.
    """
    by_name = {assumption.name: assumption.choices for assumption in assumptions}
    links = [link_settings(*choices) for choices in product(*(by_name[name] for name in LINK_ASSUMPTIONS))]

    def values(assumption: Assumption, key: str) -> tuple[Any, ...]:
        return tuple(choice.settings[key] for choice in by_name[assumption.name])

    space = Space(
        model=claim.model,
        method=("hecaton", "flat-ring"),
        mesh=str(most_square(claim.dies)),
        global_batch=global_batch,
        sequence_length=sequence_length,
        switches={
            # Both, whatever is assumed: each method takes its own.
            "overlap": (True, False),
            **{
                key.removeprefix("switches."): values(assumption, key)
                for assumption in (DIRECTION, GATHER_AGAIN, RECOMPUTE, SUMS)
                for key in assumption.choices[0].settings
            },
        },
        together=(_columns(links), *(_columns([one.settings for one in by_name[name]]) for name in TOGETHER)),
    )
    return make_sweep(space, system, source=f"claims for {claim.model}")


def _columns(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(values[key] for values in settings) for key in settings[0]}


def tasks_of(sweep: Sweep) -> list[SweepTask]:
    """The points of ``sweep`` in tasks of whole groups."""
    total = sweep.groups * sweep.group_points
    size = max(1, TASK_POINTS // sweep.group_points) * sweep.group_points
    return [SweepTask(sweep, first, min(first + size, total)) for first in range(0, total, size)]


def gains(
    claim: PublishedClaim, assumptions: Sequence[Assumption], sweep: Sweep, parts: Sequence[Points]
) -> Gains:
    """The gains for ``claim`` out of the evaluated ``parts`` of its ``sweep``."""
    total = sweep.groups * sweep.group_points
    seconds, joules = np.full(total, np.nan), np.full(total, np.nan)
    reason = np.zeros(total, dtype=np.int64)
    codes: dict[str, int] = {"": 0}
    for part in parts:
        seconds[part.index] = part.results["step_seconds"]
        joules[part.index] = part.results["energy_joules"]
        local = np.array([codes.setdefault(text, len(codes)) for text in part.reasons])
        reason[part.index] = local[part.reason]
    pair = _Pair(sweep, tuple(assumptions))
    ours, ring = pair.both(seconds)
    our_joules, ring_joules = pair.both(joules)
    our_reason, ring_reason = pair.both(reason)
    return Gains(
        claim,
        tuple(assumptions),
        ring / ours,
        ring_joules / our_joules,
        np.where(our_reason > 0, our_reason, ring_reason),
        tuple(codes),
    )


@dataclass(frozen=True)
class _Pair:
    """How the points of a sweep lie: an axis for the method, and one for each assumption."""

    sweep: Sweep
    assumptions: tuple[Assumption, ...]

    def both(self, points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Values of Hecaton and of the flat ring under every combination of the assumptions."""
        axes = (*self.sweep.outer, *self.sweep.inner)
        places = {name: number for number, axis in enumerate(axes) for name in axis.names}
        table = points.reshape([len(axis.values) for axis in axes])
        by_name = {one.name: one for one in self.assumptions}
        others = [one for one in self.assumptions if one.name not in LINK_ASSUMPTIONS]
        order = [places["method"], places["link.lanes"], *(places[_first_key(one)] for one in others)]
        rest = [number for number in range(table.ndim) if number not in order]  # axes of one value
        table = table.transpose([*order, *rest])
        # The axis of links becomes one for each of their assumptions; overlap has both values, whatever is assumed.
        links = [len(by_name[name].choices) for name in LINK_ASSUMPTIONS]
        table = table.reshape([2, *links, *table.shape[2 : len(order)]])
        now = [*LINK_ASSUMPTIONS, *(one.name for one in others)]
        table = table.transpose([0, *(1 + now.index(one.name) for one in self.assumptions)])
        names = list(by_name)
        overlap, choices = names.index(OVERLAP.name), by_name[OVERLAP.name].choices
        ours = table[0]
        for name in (DIRECTION.name, GATHER_AGAIN.name):
            # Hecaton has no switches of the ring: its values stand under the first of theirs.
            place = names.index(name)
            ours = np.repeat(ours.take([0], axis=place), ours.shape[place], axis=place)
        return _overlapped(ours, choices, "ours", overlap), _overlapped(table[1], choices, "ring", overlap)


def _first_key(assumption: Assumption) -> str:
    """A key of the sweep's axis that an assumption has to itself."""
    return (
        "switches.overlap" if assumption.name == OVERLAP.name else next(iter(assumption.choices[0].settings))
    )


def _overlapped(table: NDArray[Any], choices: Sequence[Choice], whose: str, place: int) -> NDArray[Any]:
    """One value for each choice of overlap, out of those with and without."""
    return table.take([0 if choice.settings[whose] else 1 for choice in choices], axis=place)
