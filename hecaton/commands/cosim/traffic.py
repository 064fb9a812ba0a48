"""``hecaton cosim traffic``: traffic on a mesh of the generated routers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.link_options import LinkOptions
from hecaton.terminal.options import AsJson, MachineOptions, MeshSize, PlotFile, Seed
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Simulator
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer_option, parse_mesh
from nop.traffic_defaults import CYCLES, HOTSPOT, PACKET_FLITS, PATTERN, WARMUP

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.traffic import TrafficRecord
    from hecaton.terminal.json_keys import JsonObject

RATE_STEP = 0.05
"""Step between the rates of a sweep."""

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import (
        CostOfFaults,
        CountedLinks,
        TracedTraffic,
        TrafficCounts,
        TrafficLink,
        TrafficOffer,
        TrafficRate,
        TrafficSetting,
        TrafficSweep,
    )
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject(
        (TrafficSetting,),
        {
            "--rate or --sweep": (TrafficOffer,),
            "--rate": (TrafficRate, TrafficCounts),
            "--sweep": (TrafficSweep,),
            "--packets": (TracedTraffic, TrafficCounts),
            "--links": (TrafficLink,),
            "--links, without --sweep": (CountedLinks,),
            "--flips or --stalls, without --sweep": (CostOfFaults,),
        },
    )


@subcommand(
    app,
    examples=(
        "hecaton cosim traffic --mesh 4x4 --rate 0.3 --cycles 5000",
        "hecaton cosim traffic --mesh 4x4 --rate 1 --pattern transpose --packet-flits 8 --sim cxxrtl",
        "hecaton cosim traffic --mesh 1x8 --rate 1 --pattern hotspot --hotspot 7 --json",
        "hecaton cosim traffic --mesh 2x2 --packets packets.csv",
        "hecaton cosim traffic --mesh 1x3 --rate 0.2 --cycles 500 -P nop.buffer_flits=2 --json",
        "hecaton cosim traffic --mesh 8x8 --sweep --sim cxxrtl --plot latency.svg",
        "hecaton cosim traffic --mesh 2x2 --rate 0.5 --links --flips 1e-3 -P link.latency_seconds=5e-9",
        "hecaton cosim traffic --mesh 2x2 --rate 0.5 --links --dead-link 0:1@500",
    ),
    json_object=_json_object,
)
def traffic(
    *,
    faults: LinkOptions,
    mesh: MeshSize = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="FLITS", help="Flits that a node generates per cycle, 0 to 1."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="uniform|transpose|bit-complement|tornado|neighbour|hotspot",
            help=f"Where packets go; {PATTERN} if not given. On R x C dies the die at row r and column c, counted from "
            "0, sends: uniform, to a random die; transpose, to die c R + r, by rows; bit-complement, to row R-1-r and "
            "column C-1-c; tornado, to row r + ceil(R/2) - 1 mod R and column c + ceil(C/2) - 1 mod C; neighbour, to "
            "row r + 1 mod R and column c + 1 mod C; hotspot, to one die.",
        ),
    ] = None,
    packet_flits: Annotated[
        int | None,
        integer_option(
            "--packet-flits", f"Flits of each packet; {PACKET_FLITS} if not given.", high=(1 << 16) - 1
        ),
    ] = None,
    hotspot: Annotated[
        int | None,
        integer_option(
            "--hotspot",
            f"Die that all send to with the pattern hotspot, numbered row by row; {HOTSPOT} if not given.",
            low=0,
            metavar="DIE",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--packets",
            metavar="FILE.csv",
            help="Packets to send instead: a CSV file with the header source,target,cycle,flits.",
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Measure rates up to 1 instead of a single one.")
    ] = False,
    step: Annotated[
        float | None,
        typer.Option(
            "--step",
            metavar="FLITS",
            help=f"Step between the rates of a sweep, 0.001 to 1; {RATE_STEP} if not given.",
        ),
    ] = None,
    cycles: Annotated[
        int | None,
        integer_option("--cycles", f"Cycles that are measured; {CYCLES} if not given.", high=1 << 24),
    ] = None,
    warmup: Annotated[
        int | None,
        integer_option(
            "--warmup", f"Cycles before the measured ones; {WARMUP} if not given.", low=0, high=1 << 24
        ),
    ] = None,
    plot: PlotFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The same as --plot.", hidden=True)
    ] = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Send packets from every die by a pattern, or those of a file, and measure latency and throughput; then wait until
    the network is empty, and count what is lost.

    Without --config the machine starts from the preset bench. Rates, offered load and throughput are in
    flits/node/cycle, latencies, of whole packets, in cycles. Every flit carries a check. Exit code 1 if a flit is
    lost, wrong, out of order, or delivered to a wrong die, or if a link is dead. With --flips or --stalls and no
    sweep, the same traffic runs once more without faults, for comparison. A pattern by which every die would send
    to itself on the mesh is refused.
    """
    from cosim.records.traffic import traffic_request
    from cosim.records.traffic_packets import read_packets
    from cosim.run.traffic import prepare, saturation_rate, sweep_rates
    from hecaton.plots.figure import check_plot

    with Output(as_json) as out:
        if sweep + (rate is not None) + (trace is not None) != 1:
            raise ValueError("give one of --rate FLITS, --sweep and --packets FILE.csv")
        if trace is not None:
            settings = {"pattern": pattern, "packet-flits": packet_flits, "cycles": cycles, "warmup": warmup}
            for name, value in settings.items():
                if value is not None:
                    raise ValueError(
                        f"--{name} {value}: not with --packets, which says what is sent and when"
                    )
        pattern = PATTERN if pattern is None else pattern
        packet_flits = PACKET_FLITS if packet_flits is None else packet_flits
        cycles = CYCLES if cycles is None else cycles
        warmup = WARMUP if warmup is None else warmup
        if hotspot is not None and pattern != "hotspot":
            raise ValueError(f"--hotspot {hotspot}: needs --pattern hotspot")
        if step is not None and not sweep:
            raise ValueError(f"--step {step}: needs --sweep")
        image = output if plot is None else plot
        if image is not None:
            if not sweep:
                raise ValueError(f"{'-o' if plot is None else '--plot'} {image}: only --sweep has a plot")
            check_plot(image)
        system = machine.load(out, "bench")
        rows, cols = parse_mesh(mesh) or (system.package.rows, system.package.cols)
        links = faults.chosen(system)
        packets = None if trace is None else read_packets(trace, rows * cols)
        rates = [rate or 0.0] if not sweep else sweep_rates(RATE_STEP if step is None else step)
        requests = [
            traffic_request(
                rows=rows,
                cols=cols,
                nop=system.nop,
                links=links,
                pattern=pattern,
                packet_flits=packet_flits,
                hotspot=HOTSPOT if hotspot is None else hotspot,
                trace=packets,
                rate=offered,
                cycles=cycles,
                warmup=warmup,
                seed=seed,
                sim=sim,
            )
            for offered in rates
        ]
        if links is not None and (links.flips or links.stalls) and not links.deaths and not sweep:
            ideal = links.model_copy(update={"flips": 0.0, "stalls": 0.0})
            requests.append(requests[0].model_copy(update={"links": ideal}))
        runs = [prepare(request) for request in requests]
        out.note(f"simulating {rows}x{cols} routers with {sim} ...")
        records = []
        with out.progress("loads", len(runs)) as advance:
            for run in runs:
                records.append(run.run())
                advance()
        first = records[0]
        data: dict[str, Any] = {
            "mesh": f"{rows}x{cols}",
            "seed": seed,
            "sim": sim,
            "simulator_version": first.simulator_version,
            "hecaton_version": first.hecaton_version,
            "verilog_sha256": first.verilog_sha256,
            "nop": system.nop.model_dump(),
            "zero_load_latency": first.zero_load_latency,
        }
        if trace is not None:
            data["trace"] = str(trace)
            data["finished"] = first.finished
        else:
            data |= {"cycles": cycles, "warmup": warmup, "pattern": pattern, "packet_flits": packet_flits}
        if links is not None:
            data["link"] = links.model_dump()
        points = [_point(record) for record in records]
        if sweep:
            data["saturation_throughput"] = records[-1].throughput
            data["saturation_rate"] = saturation_rate(records)
            data["points"] = points
        else:
            data |= points[0]
            if len(records) > 1:
                data["throughput_without_faults"] = without = records[1].throughput
                data["throughput_cost"] = 1 - first.throughput / without if without else 0.0
        if image is not None:
            from hecaton.plots.traffic import plot_latency

            plot_latency(records, image)
        out.result(data, _tables(data, points))
        _check(records)


def _check(records: Sequence[TrafficRecord]) -> None:
    """Raise CheckFailed for dead links, and for flits that are lost, wrong, misrouted or doubled."""
    from cosim.records.links import deaths_in_words

    for record in records:
        if record.links is None or record.request.links is None:
            continue
        dead = deaths_in_words(record.request.links.deaths, record.links)
        if dead:
            raise CheckFailed(dead)
    wrong = sum(record.lost + record.misrouted + record.wrong for record in records)
    if wrong:
        raise CheckFailed(f"{wrong} flits are lost, wrong, out of order, or came out at a wrong die")
    if not all(record.same for record in records):
        raise CheckFailed("the flits received are not those sent: some are doubled, and as many lost")


def _point(record: TrafficRecord) -> dict[str, Any]:
    names = ("offered", "throughput", "latency_mean", "network_latency_mean", "generated", "received", "lost")
    return {
        **({} if record.request.trace is not None else {"rate": record.request.rate}),
        **{name: getattr(record, name) for name in (*names, "misrouted", "wrong", "wall_seconds")},
        "per_source": [source.model_dump() for source in record.per_source],
        **({} if record.links is None else {"links": record.links.model_dump()}),
    }


def _fairness(sources: list[dict[str, Any]]) -> str:
    """How even the throughput of the sources is."""
    shares = [source["throughput"] for source in sources]
    mean = sum(shares) / len(shares)
    if not mean:
        return "No flit was received in the measured cycles."
    return (
        f"Throughput of the sources: {min(shares):.4g} to {max(shares):.4g} flits/cycle, the least is "
        f"{min(shares) / mean:.3g} of the mean."
    )


def _tables(data: dict[str, Any], points: list[dict[str, Any]]) -> RenderableType:
    from rich.console import Group

    from hecaton.terminal.tables import columns

    names = [
        *([] if "trace" in data else ["rate"]),
        "offered",
        "throughput",
        "latency_mean",
        "network_latency_mean",
        "received",
        "lost",
        "wrong",
    ]
    what = (
        f"packets of {data['trace']}"
        if "trace" in data
        else f"{data['pattern']}, packets of {data['packet_flits']} flits, {data['cycles']} cycles"
    )
    title = f"{data['mesh']}, {what}, seed {data['seed']}, {data['sim']}: "
    title += f"latency at zero load {data['zero_load_latency']:.4g} cycles"
    shown = points if "points" in data else points[:1]
    parts: list[RenderableType] = [columns(shown, names, title=title)]
    if "link" in data:
        counted = ["sent", "replayed", "crc_errors", "flips", "stalls"]
        title = "Links: frames of {frame_bits} bits in {frame_cycles} cycles, latency {latency_cycles} cycles"
        rows = [{**point, **point["links"]} for point in shown]
        rate = [] if "trace" in data else ["rate"]
        parts.append(columns(rows, [*rate, *counted], title=title.format(**rows[0])))
    if "throughput_cost" in data:
        parts.append(
            f"Throughput without faults {data['throughput_without_faults']:.4g} flits/node/cycle: they cost "
            f"{100 * data['throughput_cost']:.3g}%."
        )
    if "points" not in data:
        parts.append(_fairness(points[0]["per_source"]))
    if "points" in data:
        parts.append(
            f"Throughput at full load {data['saturation_throughput']:.4g} flits/node/cycle; latency stays below three "
            f"times that at zero load up to rate {data['saturation_rate']}."
        )
    return Group(*parts)
