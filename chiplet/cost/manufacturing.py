"""Cost and yield of dies and package, after chiplet-actuary (Feng and Ma, DAC 2022).

A die's yield is (1 + D A / c) ** -c with D defects for each area A and clustering c. A wafer of diameter d gives
pi (d/2)**2 / A' - pi d / sqrt(2 A') dies of A' = A + 2 s sqrt(A) + s**2 with scribe lanes s. Good dies are bonded
to a substrate, or first to an interposer or a fan-out, chip last; a bad bond wastes all of it. Manufacturing
only: design cost is not counted. The dies of a package may be assembled and tested on several substrates. All
quantities may be arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan, pi
from typing import Any

from chiplet.cost.area import die_area
from chiplet.machine.cost_specs import CostSpec
from chiplet.machine.specs import SystemSpec
from chiplet.vectorized.elementwise import Number, anywhere, choose, rounded_down, smaller
from nop.topology import Mesh

MM2_PER_CM2 = 100
GIB = 2**30

LEAST_YIELD = 1e-9
"""Less than one good part in a billion is none."""

LARGE_MM2, MEDIUM_MM2 = 900.0, 289.0
"""Above these areas a substrate with several parts costs 2 or 1.75 times one with a single die, else 1.5 times."""


@dataclass(frozen=True)
class CostAccount:
    """Cost of a package in dollars by part, and the quantities that it follows from.

    ``die_parts`` are mm2; ``good_die`` is the price of a working die; ``assembly_yield`` is the yield of
    bonding all parts of a full substrate, of which there are ``substrates``.
    """

    die_parts: dict[str, Number]
    die_mm2: Number
    die_yield: Number
    dies_per_wafer: Number
    good_die: Number
    substrates: Number
    assembly_yield: Number
    parts: dict[str, Number]

    @property
    def dollars(self) -> Number:
        """Cost of the package."""
        return sum(self.parts.values(), 0.0)


@dataclass(frozen=True)
class _Chip:
    """A type of die: area in mm2, and the prices of a die as cut and of a working die, $."""

    mm2: Number
    raw: Number
    good: Number


def account_cost(system: SystemSpec, mesh: Mesh) -> CostAccount:
    """Cost of one package with the dies of ``mesh``.

    Parts: ``dies``, ``bad_dies``, ``io_dies`` (bad ones included), ``package``, ``bad_packages``, ``wasted_dies``
    (good ones lost in bad assemblies) and ``dram``. Costs are NaN if a die or interposer does not fit
    a wafer, or one of a billion dies or assemblies would be good. ``cost.package`` may be an array as well.
    """
    kinds: Any = system.cost.package
    if isinstance(kinds, str):
        return _account(system, mesh)
    chosen: CostAccount | None = None
    for kind in sorted(set(kinds.flat)):
        spec = system.cost.model_copy(update={"package": str(kind)})
        account = _account(system.model_copy(update={"cost": spec}), mesh)
        if chosen is not None:
            here = kinds == kind
            account = replace(
                account,
                assembly_yield=choose(here, account.assembly_yield, chosen.assembly_yield),
                parts={
                    name: choose(here, dollars, chosen.parts[name]) for name, dollars in account.parts.items()
                },
            )
        chosen = account
    assert chosen is not None
    return chosen


def _account(system: SystemSpec, mesh: Mesh) -> CostAccount:
    """:func:`account_cost` of one kind of package."""
    spec = system.cost
    areas = die_area(system)
    area = sum(areas.values(), 0.0)
    count = dies_per_wafer(area, spec)
    works = die_yield(area, spec.defects_per_cm2, spec.cluster)
    raw = spec.wafer_dollars / count
    die = _Chip(area, raw, raw / works)
    channels = system.memory.package_channels(mesh.edge_links)
    io = _io_die(spec)
    # IO dies are spread evenly over the substrates.
    share = choose(spec.io_die_mm2 > 0, channels / mesh.nodes, 0.0)
    full = choose(spec.dies_per_substrate > 0, smaller(spec.dies_per_substrate, mesh.nodes), mesh.nodes)
    whole = rounded_down(mesh.nodes / full)
    left_over = mesh.nodes - whole * full
    parts = {name: whole * dollars for name, dollars in _substrate(spec, die, full, io, share * full).items()}
    if anywhere(left_over > 0):
        for name, dollars in _substrate(spec, die, left_over, io, share * left_over).items():
            parts[name] = parts[name] + choose(left_over > 0, dollars, 0.0)
    gib = channels * system.memory.channel_bytes / GIB
    parts["dram"] = gib * spec.dram_dollars_per_gib
    return CostAccount(
        areas,
        area,
        works,
        count,
        die.good,
        whole + (left_over > 0),
        _bonding_yield(spec, full + share * full),
        parts,
    )


def die_yield(mm2: Number, defects_per_cm2: Number, cluster: Number) -> Number:
    """Share of dies of this area without a defect; NaN for less than :data:`LEAST_YIELD`."""
    return _made((1 + defects_per_cm2 / MM2_PER_CM2 * mm2 / cluster) ** -cluster)


def _made(share: Number) -> Number:
    return choose(share >= LEAST_YIELD, share, nan)


def dies_per_wafer(mm2: Number, spec: CostSpec) -> Number:
    """Dies of this area on a wafer, not rounded; NaN for less than one."""
    cell = mm2 + 2 * spec.scribe_mm * mm2**0.5 + spec.scribe_mm**2
    usable = spec.wafer_mm - 2 * spec.edge_mm
    count = pi * (usable / 2) ** 2 / cell - pi * usable / (2 * cell) ** 0.5
    return choose(count >= 1, count, nan)


def _io_die(spec: CostSpec) -> _Chip:
    there = spec.io_die_mm2 > 0
    mm2 = choose(there, spec.io_die_mm2, 1.0)
    raw = spec.io_wafer_dollars / dies_per_wafer(mm2, spec)
    good = raw / die_yield(mm2, spec.io_defects_per_cm2, spec.cluster)
    return _Chip(spec.io_die_mm2, choose(there, raw, 0.0), choose(there, good, 0.0))


def _bonding_yield(spec: CostSpec, chips: Number) -> Number:
    """Share of substrates with all bonds good; NaN for less than :data:`LEAST_YIELD`."""
    if spec.package == "organic":
        return _made(spec.substrate_bonding_yield**chips)
    one_bond = spec.fanout_bonding_yield if spec.package == "fanout" else spec.interposer_bonding_yield
    return _made(one_bond**chips * spec.substrate_bonding_yield)


def _substrate(spec: CostSpec, die: _Chip, dies: Number, io: _Chip, io_dies: Number) -> dict[str, Number]:
    """Cost of one substrate with ``dies`` compute dies and ``io_dies`` IO dies, tested, by part."""
    area = die.mm2 * dies + io.mm2 * io_dies
    chips = dies + io_dies
    bonded = _bonding_yield(spec, chips)
    organic = spec.package == "organic"
    bump = spec.bump_dollars_per_mm2 if organic else spec.microbump_dollars_per_mm2
    parts: dict[str, Number] = {
        "dies": (die.raw + die.mm2 * bump) * dies,
        "bad_dies": (die.good - die.raw) * dies,
        "io_dies": (io.good + io.mm2 * bump) * io_dies,
    }
    good_dies = sum(parts.values(), 0.0)
    if organic:
        mm2 = area * spec.substrate_scale
        layers = choose(mm2 > LARGE_MM2, 2.0, choose(mm2 > MEDIUM_MM2, 1.75, 1.5))
        raw = mm2 * spec.substrate_dollars_per_mm2 * choose(chips > 1, layers, 1.0)
        parts["package"] = raw
        parts["bad_packages"] = raw * (1 / bonded - 1)
    else:
        if spec.package == "fanout":
            carrier, scale = spec.fanout_wafer_dollars, spec.fanout_scale
            works = die_yield(area * scale, spec.fanout_defects_per_cm2, spec.fanout_cluster)
        else:
            carrier, scale = spec.interposer_wafer_dollars, spec.interposer_scale
            works = die_yield(area * scale, spec.interposer_defects_per_cm2, spec.interposer_cluster)
        middle = carrier / dies_per_wafer(area * scale, spec) + area * scale * spec.bump_dollars_per_mm2
        below = area * scale * spec.substrate_scale * spec.substrate_dollars_per_mm2
        parts["package"] = middle + below
        parts["bad_packages"] = middle * (1 / (works * bonded) - 1) + below * (
            1 / spec.substrate_bonding_yield - 1
        )
    parts["wasted_dies"] = good_dies * (1 / bonded - 1)
    return parts
