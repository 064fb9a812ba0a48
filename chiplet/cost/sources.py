"""Where each input of area and cost comes from: measured on the generated hardware, published, or assumed."""

from __future__ import annotations

from chiplet.cost.area import counted_by, die_transistors, router_transistors, sram_bits, synthesized_um2
from chiplet.machine.sources import Input, Status, silicon_status
from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import AREA_KEYS, SiliconReport

ACTUARY = "chiplet-actuary (Feng and Ma, DAC 2022)"
WAFERS = {16988.0: "5 nm", 9346.0: "7 nm", 5992.0: "10 nm", 3984.0: "14 nm", 2891.0: "28 nm"}
DEFECTS = {0.11: "5 nm", 0.09: "7 nm", 0.08: "10 and 14 nm", 0.07: "28 nm"}

PUBLISHED_COST_SOURCES: dict[str, dict[float, str]] = {
    "area.transistors_per_mm2": {91.2e6: "TSMC N7, high density: WikiChip"},
    "area.bitcell_um2": {0.027: "N7: WikiChip, 256 Mb test chip"},
    "area.phy_bytes_per_second_per_mm2": {
        125.0e9: "UCIe 1.0, standard package at 32 GT/s",
        1.35e12: "UCIe 1.0, advanced package at 32 GT/s",
    },
    "cost.wafer_dollars": {price: f"{node}: {ACTUARY}" for price, node in WAFERS.items()},
    "cost.io_wafer_dollars": {price: f"{node}: {ACTUARY}" for price, node in WAFERS.items()},
    "cost.defects_per_cm2": {density: f"{node}: {ACTUARY}" for density, node in DEFECTS.items()},
    "cost.io_defects_per_cm2": {density: f"{node}: {ACTUARY}" for density, node in DEFECTS.items()},
    **{
        f"cost.{key}": {value: ACTUARY}
        for key, value in (
            ("cluster", 10.0),
            ("wafer_mm", 300.0),
            ("edge_mm", 5.0),
            ("scribe_mm", 0.2),
            ("substrate_dollars_per_mm2", 0.005),
            ("substrate_scale", 4.0),
            ("substrate_bonding_yield", 0.99),
            ("bump_dollars_per_mm2", 0.005),
            ("microbump_dollars_per_mm2", 0.01),
            ("fanout_wafer_dollars", 1200.0),
            ("fanout_defects_per_cm2", 0.05),
            ("fanout_cluster", 3.0),
            ("fanout_scale", 1.2),
            ("fanout_bonding_yield", 0.98),
            ("interposer_wafer_dollars", 1937.0),
            ("interposer_defects_per_cm2", 0.06),
            ("interposer_cluster", 6.0),
            ("interposer_scale", 1.1),
            ("interposer_bonding_yield", 0.95),
        )
    },
}
"""Published values of specification keys, each with its source."""

COST_UNITS: dict[str, str] = {
    "area.transistors_per_mm2": "1/mm2",
    "area.utilization": "",
    "area.bitcell_um2": "um2",
    "area.sram_efficiency": "",
    "area.vector_transistors": "transistors",
    "area.phy_bytes_per_second_per_mm2": "bytes/s/mm2",
    "area.overhead": "",
    "cost.wafer_dollars": "$",
    "cost.defects_per_cm2": "1/cm2",
    "cost.cluster": "",
    "cost.wafer_mm": "mm",
    "cost.edge_mm": "mm",
    "cost.scribe_mm": "mm",
    "cost.dies_per_substrate": "dies",
    "cost.substrate_dollars_per_mm2": "$/mm2",
    "cost.substrate_scale": "",
    "cost.substrate_bonding_yield": "",
    "cost.bump_dollars_per_mm2": "$/mm2",
    "cost.microbump_dollars_per_mm2": "$/mm2",
    "cost.fanout_wafer_dollars": "$",
    "cost.fanout_defects_per_cm2": "1/cm2",
    "cost.fanout_cluster": "",
    "cost.fanout_scale": "",
    "cost.fanout_bonding_yield": "",
    "cost.interposer_wafer_dollars": "$",
    "cost.interposer_defects_per_cm2": "1/cm2",
    "cost.interposer_cluster": "",
    "cost.interposer_scale": "",
    "cost.interposer_bonding_yield": "",
    "cost.io_die_mm2": "mm2",
    "cost.io_wafer_dollars": "$",
    "cost.io_defects_per_cm2": "1/cm2",
    "cost.dram_dollars_per_gib": "$/GiB",
}
"""The keys that area and cost depend on, with their units."""

UNUSED: dict[str, tuple[str, ...]] = {
    "organic": ("cost.fanout", "cost.interposer", "cost.microbump"),
    "fanout": ("cost.interposer",),
    "interposer": ("cost.fanout",),
}
"""Prefixes of the keys that do not matter for a type of package."""


def cost_inputs(system: SystemSpec, report: SiliconReport | None = None) -> list[Input]:
    """The inputs of area and cost that matter for this machine; those that ``report`` measured are in ``system``."""
    die = system.die
    source = f"generated hardware, fitted over sizes: {counted_by()}"
    counted = [
        ("area.die_transistors", die_transistors(die), "transistors"),
        ("area.router_transistors", router_transistors(system.nop.flit_bits), "transistors"),
        ("area.sram_bits", float(sram_bits(die)), "bits"),
    ]
    unused = UNUSED[system.cost.package]
    inputs = []
    if synthesized_um2(system) > 0:
        counted, unused = counted[1:], (*unused, "area.vector_transistors")
        inputs = _synthesized(system, report)
        if report is not None:
            source += ": the silicon report leaves it out"
    inputs += [
        Input(name=name, value=value, unit=unit, status="measured", source=source)
        for name, value, unit in counted
    ]
    for name, unit in COST_UNITS.items():
        if not name.startswith(unused):
            section, key = name.split(".")
            value = float(getattr(getattr(system, section), key))
            published = PUBLISHED_COST_SOURCES.get(name, {}).get(value)
            status: Status = "assumed" if published is None else "published"
            inputs.append(
                Input(name=name, value=value, unit=unit, status=status, source=published or "configuration")
            )
    return inputs


def _synthesized(system: SystemSpec, report: SiliconReport | None) -> list[Input]:
    """Areas of the section silicon, which ``report`` measured or the configuration gives, and their factor."""
    spec = system.silicon
    inputs = [
        Input(
            name=f"silicon.{key}",
            value=getattr(spec, key),
            unit="um2",
            status=silicon_status(report),
            source="configuration" if report is None else report.source,
        )
        for key in AREA_KEYS
    ]
    factor = Input(
        name="silicon.area_factor", value=spec.area_factor, unit="", status="assumed", source="configuration"
    )
    return [*inputs, factor]
