"""The assumptions under which the published claims are evaluated, and the values that each of them takes.

The first value of an assumption is that of the preset ``package`` and of the methods' like for like comparison. Every
value has its source, or says that it is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chiplet.machine.config import read_memory_preset, read_preset
from chiplet.machine.sources import JOUPPI, UCIE

OUR_CHOICE = "our choice"
"""Source of a value that nobody published for this purpose."""

SENSITIVITY = (
    "UCIe specification notes: at 0.7 V 0.5 to 1.25 pJ/b on standard, 0.5 to 0.6 on advanced packages"
)


@dataclass(frozen=True)
class Choice:
    """A value of an assumption: what it is called, where it comes from, and what it sets: configuration keys, or
    switches as a design space names them.
    """

    label: str
    source: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Assumption:
    """Something that moves the ratios, and that the publication does not tell us."""

    name: str
    meaning: str
    choices: tuple[Choice, ...]


OVERLAP = Assumption(
    "overlap",
    "communication and vector work behind the GEMMs",
    (
        Choice("both", OUR_CHOICE, {"ours": True, "ring": True}),
        Choice("neither", OUR_CHOICE, {"ours": False, "ring": False}),
        Choice("only Hecaton", f"{OUR_CHOICE}: not like for like", {"ours": True, "ring": False}),
    ),
)

DIRECTION = Assumption(
    "ring directions",
    "directions of the flat ring in use",
    (
        Choice("both", OUR_CHOICE, {"switches.flat-ring.direction": "both"}),
        Choice("one", f"{OUR_CHOICE}: half of the links are idle", {"switches.flat-ring.direction": "one"}),
    ),
)

GATHER_AGAIN = Assumption(
    "inputs of the backward pass",
    "what the dies of the flat ring do for the inputs of the backward pass",
    (
        Choice("gathered again", f"{OUR_CHOICE}: as Hecaton does", {"switches.flat-ring.gather_again": True}),
        Choice(
            "read again",
            f"{OUR_CHOICE}: not like for like; a copy for each die over the memory plane, which has no multicast",
            {"switches.flat-ring.gather_again": False},
        ),
    ),
)

RECOMPUTE = Assumption(
    "recompute",
    "what the backward pass recomputes, with both methods",
    (
        Choice("none", OUR_CHOICE, {"switches.recompute": "none"}),
        Choice("full", "Megatron-LM, arXiv 2205.05198", {"switches.recompute": "full"}),
    ),
)

SUMS = Assumption(
    "partial sums",
    "width of partial sums on the network, with both methods",
    (
        Choice("32-bit", OUR_CHOICE, {"switches.sums": "32-bit"}),
        Choice("operand", "as in the runs of Megatron-LM, arXiv 2205.05198", {"switches.sums": "operand"}),
    ),
)

PACKAGE_TYPE = Assumption(
    "package",
    "die-to-die links of the package",
    (
        Choice("standard", f"a UCIe x16 module a die side: {UCIE}", {"link.lanes": 16}),
        Choice(
            "advanced",
            f"a UCIe x64 module a die side: {UCIE}; the text of arXiv 2407.05784 v2 is titled wafer-scale",
            {"link.lanes": 64},
        ),
    ),
)

LANE_RATE = Assumption(
    "lane rate",
    "transfers of a lane",
    tuple(Choice(f"{rate} GT/s", f"UCIe: {UCIE}", {"link.lane_rate": rate * 1e9}) for rate in (32, 16, 8)),
)

LINK_ENERGY = Assumption(
    "link energy",
    "energy of a bit over a hop",
    (
        Choice(
            "table",
            f"0.5 pJ/b up to 16 GT/s and 0.6 above; advanced 0.25 and 0.3: {UCIE}",
            {"largest": False},
        ),
        Choice("largest", f"1.25 pJ/b, advanced 0.6: {SENSITIVITY}", {"largest": True}),
    ),
)

LATENCY = Assumption(
    "link latency",
    "adapter and PHY of a hop",
    (
        Choice("2 ns", "UCIe specification, upper bound", {"link.latency_seconds": 2e-9}),
        Choice("20 ns", OUR_CHOICE, {"link.latency_seconds": 20e-9}),
    ),
)

ARRAY_SIZE = Assumption(
    "array",
    "processing elements of a die, at 1 GHz",
    tuple(
        Choice(f"{side}x{side}", OUR_CHOICE, {"die.rows": side, "die.cols": side}) for side in (64, 32, 128)
    ),
)


def _memory(name: str, times: int = 1) -> dict[str, Any]:
    """The keys of a memory preset, with ``times`` its bandwidth."""
    values = read_memory_preset(name).values["memory"]
    rate = values["channel_bytes_per_second"] * times
    return {f"memory.{key}": value for key, value in {**values, "channel_bytes_per_second": rate}.items()}


DRAM = Assumption(
    "DRAM",
    "channels along the edge of the package",
    (
        Choice("DDR5-6400", "51.2 GB/s for each die side on the edge: JEDEC DDR5", _memory("ddr5-6400")),
        Choice("4 x DDR5-6400", f"{OUR_CHOICE}: the capacity and energy of DDR5", _memory("ddr5-6400", 4)),
        Choice("HBM3", "819 GB/s and 24 GiB for two die sides on the edge: JEDEC JESD238", _memory("hbm3")),
    ),
)

STATIC = Assumption(
    "static power",
    "of a die, idle or not",
    (
        Choice("0 W", OUR_CHOICE, {"energy.static_watts": 0.0}),
        Choice("5 W", OUR_CHOICE, {"energy.static_watts": 5.0}),
    ),
)


def _logic(factor: float) -> dict[str, float]:
    values = read_preset("package").values["energy"]
    return {f"energy.{key}": values[key] * factor for key in ("mac_pj", "vector_pj", "sram_pj_per_byte")}


LOGIC_ENERGY = Assumption(
    "arithmetic and SRAM",
    "energy of multiply-adds, vector operations and buffers",
    (
        Choice("7 nm", JOUPPI, _logic(1)),
        Choice("a quarter of 7 nm", OUR_CHOICE, _logic(0.25)),
    ),
)

ASSUMPTIONS: tuple[Assumption, ...] = (
    OVERLAP,
    DIRECTION,
    GATHER_AGAIN,
    RECOMPUTE,
    SUMS,
    PACKAGE_TYPE,
    LANE_RATE,
    LINK_ENERGY,
    LATENCY,
    ARRAY_SIZE,
    DRAM,
    STATIC,
    LOGIC_ENERGY,
)
"""All assumptions. Every value of one is combined with every value of the others."""


def link_settings(package: Choice, rate: Choice, energy: Choice) -> dict[str, Any]:
    """The configuration keys of links: a flit is as wide as what the lanes carry in a cycle of 1 GHz, at least as wide
    as that of the preset.
    """
    lanes, transfers = package.settings["link.lanes"], rate.settings["link.lane_rate"]
    standard = package.label == "standard"
    if energy.settings["largest"]:
        joules = 1.25 if standard else 0.6
    elif standard:
        joules = 0.5 if transfers <= 16e9 else 0.6
    else:
        joules = 0.25 if transfers <= 16e9 else 0.3
    return {
        "link.lanes": lanes,
        "link.lane_rate": transfers,
        "nop.flit_bits": max(512, round(lanes * transfers / 1e9)),
        "link.pj_per_bit": joules,
    }


def held(assumptions: Sequence[Assumption], values: Mapping[str, str]) -> tuple[Assumption, ...]:
    """``assumptions`` with those in ``values`` held at one value each, by its label.

    Raises ``ValueError``, in one line, for an unknown assumption or value.
    """
    names = [assumption.name for assumption in assumptions]
    for name in values:
        if name not in names:
            raise ValueError(f"unknown assumption {name[:60]!r}: must be one of {', '.join(names)}")
    kept = []
    for assumption in assumptions:
        wanted = values.get(assumption.name)
        labels = [choice.label for choice in assumption.choices]
        if wanted is not None and wanted not in labels:
            raise ValueError(f"{assumption.name} = {wanted[:60]}: must be one of {', '.join(labels)}")
        choices = tuple(one for one in assumption.choices if wanted in (None, one.label))
        kept.append(Assumption(assumption.name, assumption.meaning, choices))
    return tuple(kept)
