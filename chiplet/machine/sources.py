"""Where each input of a projection comes from: measured by co-simulation, published, or assumed."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.base import StrictModel
from chiplet.machine.calibration import Calibration
from chiplet.machine.link_rate import link_rate
from chiplet.machine.silicon.sram_banks import Bank, bank_remark
from chiplet.machine.silicon.stage_clock import STAGES_HZ, megahertz
from chiplet.machine.specs import (
    SUM_BYTES,
    DieSpec,
    MemorySpec,
    NopSpec,
    SystemSpec,
    function_lanes,
    scratchpad_banks,
    vector_lanes,
)
from chiplet.machine.synthesized.silicon_report import ENERGY_KEYS, SiliconReport
from chiplet.machine.terms import GemmTerms

Status = Literal["measured", "published", "assumed"]
"""How well a number is known, best first."""

UCIE = "Das Sharma, Hot Interconnects 2025 (arXiv 2510.06513), table 1"
JOUPPI = "Jouppi et al., ISCA 2021, 7 nm"

PUBLISHED_SOURCES: dict[str, dict[float, str]] = {
    "link.lanes": {16: f"UCIe standard-package module: {UCIE}", 64: f"UCIe advanced-package module: {UCIE}"},
    "link.lane_rate": {rate * 1e9: f"UCIe: {UCIE}" for rate in (4, 8, 12, 16, 24, 32)},
    "link.latency_seconds": {2.0e-9: "UCIe specification: at most 2 ns for adapter and PHY"},
    "link.pj_per_bit": {
        0.25: f"UCIe advanced package up to 16 GT/s: {UCIE}",
        0.3: f"UCIe advanced package above 16 GT/s: {UCIE}",
        0.5: f"UCIe standard package up to 16 GT/s: {UCIE}",
        0.6: f"UCIe standard package above 16 GT/s: {UCIE}",
        1.17: "NVIDIA GRS, 16 nm: Simba and GRS papers",
    },
    "memory.channel_bytes_per_second": {
        51.2e9: "DDR5-6400, 64 bits",
        25.6e9: "LPDDR5-6400, 32 bits",
        410.0e9: "HBM2e stack",
        460.0e9: "HBM2e stack",
        819.0e9: "HBM3 stack",
    },
    "memory.pj_per_bit": {
        3.9: "HBM2e: O'Connor et al., MICRO 2017",
        4.5: "LPDDR5-6400: vendor data, approximate",
        3.97: "HBM3: same calibration as O'Connor et al., MICRO 2017",
        11.8: "DDR5-6400: DRAMsim3-based studies, uncalibrated",
    },
    "fabric.port_bytes_per_second": {25.0e9: "HDR InfiniBand port", 50.0e9: "NDR InfiniBand port"},
    "fabric.pj_per_bit": {45.0: "two transceivers of 9 W at 400 Gb/s: NVIDIA MMS4X00-NS400 data sheet"},
    "energy.mac_pj": {0.59: f"bf16 multiply and fp32 add: {JOUPPI}"},
    "energy.vector_pj": {1.31: f"fp32 multiply: {JOUPPI}", 0.38: f"fp32 add: {JOUPPI}"},
    "energy.sram_pj_per_byte": {1.75: f"1 MB bank, 14 pJ per 64 bits: {JOUPPI}"},
}
"""Published values of specification keys, each with its source."""

ASSUMED_REMARKS: dict[str, dict[float, str]] = {
    "memory.efficiency": {
        1.0: "the peak of the channels, nothing lost to refresh, row misses and turnaround"
    },
    "energy.static_watts": {0.0: "leakage, clock tree and idle power are not counted"},
    "vector.lanes": {0.0: "as many as 32-bit values of a memory word"},
    "vector.function_lanes": {0.0: "as many as lanes"},
}
"""What a value that nobody published means."""

MEASURE_UNITS: dict[str, str] = {
    "die.rows": "PEs",
    "die.cols": "PEs",
    "die.stages": "cycles",
    "die.weight_bytes": "bytes",
    "die.activation_bytes": "bytes",
    "die.accumulator_bytes": "bytes",
    "die.scratchpad_bytes": "bytes",
    "die.clock_hz": "Hz",
    "link.lanes": "lanes",
    "link.lane_rate": "1/s",
    "link.latency_seconds": "s",
    "link.router_cycles": "cycles",
    "link.pj_per_bit": "pJ/bit",
    "nop.flit_bits": "bits",
    "nop.coordinate_bits": "bits",
    "memory.word_bytes": "bytes",
    "memory.latency_cycles": "cycles",
    "memory.outstanding": "reads",
    "memory.channels": "channels",
    "memory.channels_per_edge_die": "channels",
    "memory.channel_bytes_per_second": "bytes/s",
    "memory.efficiency": "share of peak bandwidth",
    "memory.channel_bytes": "bytes",
    "memory.pj_per_bit": "pJ/bit",
    "energy.mac_pj": "pJ",
    "energy.vector_pj": "pJ",
    "energy.sram_pj_per_byte": "pJ/byte",
    "energy.static_watts": "W",
}
"""The keys that a projection depends on, with their units."""

FABRIC_UNITS: dict[str, str] = {
    "fabric.ports": "ports",
    "fabric.port_bytes_per_second": "bytes/s",
    "fabric.latency_seconds": "s",
    "fabric.pj_per_bit": "pJ/bit",
}
"""Further keys that a projection of several packages depends on."""


class Input(StrictModel):
    """One input of a projection and where it comes from."""

    name: str
    value: float
    unit: str
    status: Status
    source: str


SILICON_UNITS: dict[str, str] = {"silicon.period_factor": "", "silicon.energy_factor": ""}
"""Further keys that a projection with a silicon report depends on."""


def collect_inputs(
    system: SystemSpec, calibration: Calibration | None, report: SiliconReport | None = None
) -> tuple[list[Input], list[Input]]:
    """The measured inputs, and the published and assumed ones; those that ``report`` measured are in ``system``."""
    source, measured_status = "", _status(calibration)
    if calibration is not None:
        facts = ", ".join(f"{key} {value}" for key, value in calibration.provenance.items())
        source = calibration.doubt or f"co-simulation: {facts}"
    gemm = _gemm_terms(calibration, source)
    units = MEASURE_UNITS | (FABRIC_UNITS if system.parallel.packages > 1 else {})
    if calibration is not None and calibration.nop is not None:
        name = "link.router_cycles"
        hop = Input(
            name=name,
            value=calibration.nop.hop_cycles,
            unit=units[name],
            status=measured_status,
            source=source,
        )
        gemm.append(hop)
        units = {key: unit for key, unit in units.items() if key != name}
    gemm.append(_goodput(system, calibration))
    if report is not None:
        units |= SILICON_UNITS
    others = [_specified(name, unit, system) for name, unit in units.items()]
    if report is not None:
        others = [_by_silicon(entry, system, report) for entry in others]
    lanes = {
        "vector.lanes": vector_lanes(system.vector, system.memory),
        "vector.function_lanes": function_lanes(system.vector, system.memory),
    }
    others += [
        _specified(name, "lanes", system).model_copy(update={"value": float(value)})
        for name, value in lanes.items()
    ]
    entries = [*gemm, *others]
    measured = [entry for entry in entries if entry.status == "measured"]
    return measured, [entry for entry in entries if entry.status != "measured"]


def banks_of(die: DieSpec, memory: MemorySpec, nop: NopSpec) -> dict[str, Bank]:
    """The bank of each buffer of a die, by the key that sizes the buffer; its banks are alike."""
    row = scratchpad_banks(memory, nop) * memory.word_bytes
    return {
        "die.weight_bytes": Bank(die.weight_depth, die.element_bits),
        "die.activation_bytes": Bank(die.activation_depth, die.element_bits),
        "die.accumulator_bytes": Bank(die.accumulator_depth // 2, 8 * SUM_BYTES),
        "die.scratchpad_bytes": Bank(die.scratchpad_bytes // row, 8 * memory.word_bytes),
    }


def clock_source(die: DieSpec) -> str:
    """What is known of the clock: whether the stages of the die allow it."""
    if die.dtype != "bf16":
        return "configuration: what its stages allow is measured for bf16 only"
    allowed = STAGES_HZ[die.stages]
    where = "within" if die.clock_hz <= allowed else "beyond"
    stages = "1 stage allows" if die.stages == 1 else f"{die.stages} stages allow"
    return f"configuration: {where} the {megahertz(allowed)} that {stages} in 7 nm cells without wires"


def silicon_status(report: SiliconReport | None, factor: float = 1.0) -> Status:
    """How well what ``report`` measured is known, in another technology by ``factor``."""
    return "assumed" if report is None or report.doubt or factor != 1.0 else "measured"


def _by_silicon(entry: Input, system: SystemSpec, report: SiliconReport) -> Input:
    """``entry`` as ``report`` measured it; what the report leaves out says so."""
    section, key = entry.name.split(".")
    factors, energies = system.silicon, report.energies
    update: dict[str, str] = {}
    if entry.name == "die.clock_hz":
        source = f"{report.source}: {report.times}"
        update = {"status": silicon_status(report, factors.period_factor), "source": source}
    elif section == "energy" and key in ENERGY_KEYS:
        energy = getattr(energies, key)
        update = {"source": f"{entry.source}: the silicon report leaves it out"}
        if energy is not None:
            source = f"{energy.source}, in report {report.digest}"
            update = {"status": silicon_status(report, factors.energy_factor), "source": source}
    elif entry.name == "link.pj_per_bit":
        added = [
            f"{energy.value:g} pJ a {event} ({energy.source})"
            for event, energy in (
                ("flit and hop", energies.flit_hop_pj),
                ("frame", energies.link_frame_pj),
            )
            if energy is not None
        ]
        left_out = "" if added else ": the silicon report leaves out routers and adapters"
        update = {"source": " + ".join([entry.source, *added]) + left_out}
    return entry.model_copy(update=update)


def _status(calibration: Calibration | None) -> Status:
    """How well what ``calibration`` measured is known."""
    return "assumed" if calibration is None or calibration.doubt else "measured"


def _gemm_terms(calibration: Calibration | None, source: str) -> list[Input]:
    """The terms of the array; what ``calibration`` leaves out is that of the design, and no measurement."""
    terms = GemmTerms() if calibration is None else calibration.terms.gemm
    measured = frozenset() if calibration is None else calibration.measured_gemm_terms()
    design = "follows from the design's pipeline, not measured"
    if calibration is not None:
        design += ": the calibration leaves it out"
    return [
        Input(
            name=f"gemm.{name}",
            value=getattr(terms, name),
            unit="cycles",
            status="measured" if name in measured else "assumed",
            source=source if name in terms.model_fields_set else design,
        )
        for name in GemmTerms.model_fields
    ]


def _goodput(system: SystemSpec, calibration: Calibration | None) -> Input:
    rate = link_rate(system)
    status: Status = "assumed"
    source = "follows from the frames of the generated adapter, not measured"
    if system.link.goodput > 0:
        source = "configuration"
        if calibration is not None and calibration.measures(system):
            status, source = _status(calibration), calibration.doubt or "co-simulation of two adapters"
    return Input(
        name="link.goodput",
        value=float(rate.goodput),
        unit="data bits per bit of the lanes",
        status=status,
        source=source,
    )


def _specified(name: str, unit: str, system: SystemSpec) -> Input:
    section, key = name.split(".")
    value = float(getattr(getattr(system, section), key))
    source = PUBLISHED_SOURCES.get(name, {}).get(value)
    if name == "die.clock_hz":
        return Input(name=name, value=value, unit=unit, status="assumed", source=clock_source(system.die))
    status: Status = "assumed" if source is None else "published"
    if source is None:
        remark = ASSUMED_REMARKS.get(name, {}).get(value)
        banks = banks_of(system.die, system.memory, system.nop)
        if name in banks:
            remark = bank_remark(banks[name])
        source = "configuration" if remark is None else f"configuration: {remark}"
    return Input(name=name, value=value, unit=unit, status=status, source=source)
