"""JSON objects of the commands that write or simulate Verilog, besides the records of runs.

These modules are imported by type checkers, and when help or documentation lists the keys.
"""

from __future__ import annotations

from typing import Any, TypedDict

from chiplet.machine.specs import DieSpec, NopSpec
from cosim.records.links import FaultyLinks, LinkTotals
from cosim.records.traffic import SourceTraffic


class SavedRecord(TypedDict):
    """What a measured run has besides its record.

    Attributes
    ----------
    record
        File of the record.
    """

    record: str


class VerilogFiles(TypedDict):
    """Emitted Verilog.

    Attributes
    ----------
    top
        Name of the top module.
    files, modules
        Verilog files, and the modules in them.
    bytes
        Of all Verilog files.
    seconds
        Time that it took to write them.
    map
        File with registers, counters, commands and signals by name.
    file_list
        File that lists the modules in the order of their use.
    lint_waivers
        Settings of Verilator: what its lint finds although it is meant, with the reasons.
    """

    top: str
    files: list[str]
    modules: list[str]
    bytes: int
    seconds: float
    map: str
    file_list: str
    lint_waivers: str


class FlowFiles(TypedDict):
    """What the flows of other people need beside the Verilog.

    Attributes
    ----------
    flow_files
        FuseSoC core, bench, constraints, registers, list of SRAMs, and their modules.
    """

    flow_files: list[str]


class CalibrationRun(TypedDict):
    """A finished calibration.

    Attributes
    ----------
    fits
        Fitted terms of the die, each with the design's value.
    holdout_max_relative_error
        Largest error of predicted cycles on held-out GEMMs.
    samples
        The measured GEMMs, each with its prediction.
    nop_fits
        Terms of the network-on-package, each with the design's value.
    nop_holdout_max_relative_error
        Largest error of predicted cycles on held-out collectives.
    nop_samples
        The measured collectives, each with its prediction.
    step_fits
        Terms of a training step, each with the design's value. Empty for dies that cannot train.
    step_holdout_max_relative_error
        Largest error of predicted cycles on held-out steps; null for dies that cannot train.
    step_samples
        The measured steps of few operators, each with its prediction.
    link_goodput
        Data bits that a link delivered over those that its lanes could carry.
    die
        The die that the terms hold for.
    provenance
        What was measured, with what.
    file
        Where the calibration is.
    """

    fits: list[dict[str, Any]]
    holdout_max_relative_error: float
    samples: list[dict[str, Any]]
    nop_fits: list[dict[str, Any]]
    nop_holdout_max_relative_error: float
    nop_samples: list[dict[str, Any]]
    step_fits: list[dict[str, Any]]
    step_holdout_max_relative_error: float | None
    step_samples: list[dict[str, Any]]
    link_goodput: float
    die: DieSpec
    provenance: dict[str, Any]
    file: str


class RegressionRow(TypedDict):
    """A run of a regression; its record is null if it failed."""

    run: str
    rows: int
    cols: int
    dtype: str
    m: int
    k: int
    n: int
    form: str
    stall: float
    seed: int
    sim: str
    cycles: int | None
    predicted_cycles: int | None
    array_cycles: int | None
    floor_cycles: int | None
    ideal_cycles: int | None
    utilization: float | None
    mismatches: int | None
    wall_seconds: float | None
    record: str | None
    verdict: str


class Regression(TypedDict):
    """A finished regression.

    Attributes
    ----------
    runs, failed, reused
        Numbers of runs: all of them, those out of bounds, those whose record was there before.
    seconds
        Time of the whole regression.
    rows
        One object for each run.
    """

    runs: int
    failed: int
    reused: int
    seconds: float
    rows: list[RegressionRow]


class TrafficSetting(TypedDict):
    """What all rates of a traffic command share.

    Attributes
    ----------
    mesh
        Rows x columns of routers.
    sim, simulator_version, hecaton_version, verilog_sha256
        What ran it, and the design that ran.
    nop
        The section nop of the configuration.
    zero_load_latency
        Mean latency in cycles of a packet alone in the network.
    """

    mesh: str
    seed: int
    sim: str
    simulator_version: str
    hecaton_version: str
    verilog_sha256: str
    nop: NopSpec
    zero_load_latency: float


class TrafficOffer(TypedDict):
    """What nodes send.

    Attributes
    ----------
    cycles, warmup
        Cycles that are measured, and cycles before them.
    pattern, packet_flits
        Where packets go, and their flits.
    """

    cycles: int
    warmup: int
    pattern: str
    packet_flits: int


class TrafficCounts(TypedDict):
    """Measured traffic.

    Attributes
    ----------
    offered, throughput
        Flits generated, and received, in the measured cycles, flits/node/cycle.
    latency_mean, network_latency_mean
        Mean cycles to the reception of a packet's tail from its generation, and from the head of the source's queue.
    generated, received, lost, misrouted, wrong
        Numbers of flits in the whole run: misrouted are received at a wrong die, wrong fail their check or are out of
        order.
    wall_seconds
        Time of the simulation, without building.
    per_source
        What each node sent: flits/cycle offered and got through, and the mean latency of its packets.
    """

    offered: float
    throughput: float
    latency_mean: float | None
    network_latency_mean: float | None
    generated: int
    received: int
    lost: int
    misrouted: int
    wrong: int
    wall_seconds: float
    per_source: list[SourceTraffic]


class TrafficRate(TypedDict):
    """The rate of measured traffic.

    Attributes
    ----------
    rate
        Mean number of flits that a node generates in a cycle.
    """

    rate: float


class TrafficPoint(TrafficRate, TrafficCounts):
    """Measured traffic at one rate."""


class TracedTraffic(TypedDict):
    """Measured traffic of a file; all its packets are measured.

    Attributes
    ----------
    trace
        The file.
    finished
        Cycle in which the last flit was received.
    """

    trace: str
    finished: int


class TrafficSweep(TypedDict):
    """Measured traffic over rates.

    Attributes
    ----------
    saturation_throughput
        Throughput at the highest rate.
    saturation_rate
        Highest rate with a latency below three times that at zero load.
    """

    saturation_throughput: float
    saturation_rate: float | None
    points: list[TrafficPoint]


class TrafficLink(TypedDict):
    """Links of measured traffic."""

    link: FaultyLinks


class CountedLinks(TypedDict):
    """Counters of links.

    Attributes
    ----------
    links
        What was counted on all links together; with --sweep in each point.
    """

    links: LinkTotals


class CostOfFaults(TypedDict):
    """Measured traffic with faults and without.

    Attributes
    ----------
    throughput_without_faults, throughput_cost
        Throughput of the same traffic without faults, and the share of it that is lost to them.
    """

    throughput_without_faults: float
    throughput_cost: float


class DemoObject(TypedDict):
    """A finished demo; keys of stages that were left out are absent.

    Attributes
    ----------
    folder
        Where the files are.
    seconds
        Time of the whole demo.
    stages
        Stages that ran, each with its time.
    left_out
        Stages that were not reached.
    mismatches
        Elements of all results that differ from the golden model.
    holdout_max_relative_error, nop_holdout_max_relative_error
        Largest error of predicted cycles on held-out GEMMs, and on held-out collectives.
    sim, simulator_version, hecaton_version, seed
        What ran it.
    presets
        The presets that the machines of co-simulation and projection start from.
    verilog
        Top module, number of modules, bytes and seconds of the Verilog.
    runs, reused
        Co-simulated GEMMs, and how many of them have a record from before.
    utilization
        Largest of the co-simulated GEMMs.
    cycles_per_second
        Rate of the simulations.
    training
        Loss of each training step, words that were compared, predicted cycles, and those of the last step; without a
        C++ compiler ``simulator`` and ``cycles`` are null.
    samples, samples_reused
        GEMMs of the calibration, and how many of them have a record from before.
    check_max_relative_error
        Largest error of predicted cycles on the co-simulated GEMMs.
    speedup, energy_ratio
        Of hecaton against the quickest flat ring that is like for like.
    step_seconds
        Of hecaton.
    scaling
        Weak scaling, one object for each model and method.
    files
        Every file, what it is, and the command that makes it again.
    """

    folder: str
    seconds: float
    stages: list[dict[str, Any]]
    left_out: list[str]
    mismatches: int
    holdout_max_relative_error: float | None
    nop_holdout_max_relative_error: float | None
    sim: str
    simulator_version: str
    hecaton_version: str
    seed: int
    presets: dict[str, str]
    verilog: dict[str, Any]
    runs: int
    reused: int
    utilization: float
    cycles_per_second: float
    training: dict[str, Any]
    samples: int
    samples_reused: int
    check_max_relative_error: float | None
    speedup: float
    energy_ratio: float
    step_seconds: float
    scaling: list[dict[str, Any]]
    files: list[dict[str, str]]
