"""``hecaton cosim traffic``: random traffic on a mesh of the generated routers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.link_options import Burst, DeadLink, Flips, Links, LinkStalls, faulty_links
from hecaton.terminal.options import (
    AsJson,
    ConfigFile,
    Overrides,
    Seed,
    Simulator,
    examples,
    integer,
    parse_mesh,
)
from hecaton.terminal.output import Output

if TYPE_CHECKING:
    from cosim.records.traffic import TrafficRecord

app = typer.Typer()

Cycles = integer(1, 1 << 24)


@app.command(
    epilog=examples(
        "hecaton cosim traffic --mesh 4x4 --rate 0.3 --cycles 5000",
        "hecaton cosim traffic --mesh 1x3 --rate 0.2 --cycles 500 -P nop.buffer_flits=2 --json",
        "hecaton cosim traffic --mesh 8x8 --sweep --sim cxxrtl -o latency.svg",
        "hecaton cosim traffic --mesh 2x2 --rate 0.5 --links --flips 1e-3 -P link.latency_seconds=5e-9",
        "hecaton cosim traffic --mesh 2x2 --rate 0.5 --links --dead-link 0:1@500",
    )
)
def traffic(
    mesh: Annotated[
        str | None,
        typer.Option("--mesh", metavar="RxC", help="Rows x columns of routers; else the package's."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="FLITS", help="Flits that a node offers in a cycle, 0 to 1."),
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Rates up to 1, instead of one.")] = False,
    step: Annotated[
        float, typer.Option("--step", metavar="FLITS", help="Distance of a sweep's rates, 0.001 to 1.")
    ] = 0.05,
    cycles: Annotated[
        int, typer.Option("--cycles", parser=Cycles, metavar="N", help="Cycles that are measured.")
    ] = 5000,
    warmup: Annotated[
        int,
        typer.Option("--warmup", parser=integer(0, 1 << 24), metavar="N", help="Cycles before these."),
    ] = 1000,
    links: Links = False,
    flips: Flips = 0.0,
    burst: Burst = 0,
    stalls: LinkStalls = 0.0,
    dead_link: DeadLink = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Plot of a sweep: latency over load."),
    ] = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    config: ConfigFile = None,
    override: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Send single flits from every die to dies drawn at random (uniform, itself included), and measure latency and
    throughput; then wait until the network is empty, and count what is lost.

    The configuration starts from the preset bench. Rates, offered load and throughput are flits/node/cycle, latencies
    cycles. Every flit carries a check. Exit code 1 if a flit is lost, wrong, or comes out at a wrong die, or if a link
    is dead. With --flips or --stalls and one rate, the same traffic runs once more without faults for comparison.

    JSON keys: mesh, cycles, warmup, seed, sim, simulator_version, hecaton_version, verilog_sha256, nop,
    zero_load_latency, and rate, offered, throughput, latency_mean (with the time in the source's queue),
    network_latency_mean (without), generated, received, lost, misrouted, wrong, wall_seconds; with --sweep these in
    points (a list), saturation_throughput (at the highest load) and saturation_rate (highest rate with less than three
    times the latency at zero load). With --links also link (phit_bits, flight_cycles, timeout_cycles, flips, burst,
    stalls, stall_cycles, death), and in each point links (frame_bits, frame_cycles, latency_cycles, dead_cycles; flits
    sent, received and replayed; crc_errors, flips, stalls; deaths: source, target and the cycle in which the link was
    found dead); with faults throughput_without_faults and throughput_cost, the share that is lost.
    """
    from chiplet.machine.config import load_system
    from cosim.records.traffic import traffic_request
    from cosim.run.traffic import prepare, saturation_rate, sweep_rates
    from hecaton.plots.figure import check_plot

    with Output(as_json) as out:
        if sweep == (rate is not None):
            raise ValueError("give either --rate FLITS or --sweep")
        if output is not None:
            if not sweep:
                raise ValueError(f"-o {output}: only --sweep has a plot")
            check_plot(output)
        system = load_system(config, override or [], preset="bench")
        rows, cols = parse_mesh(mesh) or (system.package.rows, system.package.cols)
        faulty = faulty_links(system, links, flips, burst, stalls, dead_link)
        requests = [
            traffic_request(
                rows=rows,
                cols=cols,
                nop=system.nop,
                links=faulty,
                rate=each,
                cycles=cycles,
                warmup=warmup,
                seed=seed,
                sim=sim,
            )
            for each in (sweep_rates(step) if rate is None else [rate])
        ]
        if faulty is not None and (flips or stalls) and faulty.death is None and not sweep:
            ideal = faulty.model_copy(update={"flips": 0.0, "stalls": 0.0})
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
            "cycles": cycles,
            "warmup": warmup,
            "seed": seed,
            "sim": sim,
            "simulator_version": first.simulator_version,
            "hecaton_version": first.hecaton_version,
            "verilog_sha256": first.verilog_sha256,
            "nop": system.nop.model_dump(),
            "zero_load_latency": first.zero_load_latency,
        }
        if faulty is not None:
            data["link"] = faulty.model_dump()
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
        if output is not None:
            from hecaton.plots.traffic import plot_latency

            plot_latency(records, output)
        out.result(data, _view(data, points))
        _check(records)


def _check(records: Sequence[TrafficRecord]) -> None:
    """Raise CheckFailed for dead links, and for flits that are lost or not what and where they should be."""
    for record in records:
        asked = None if record.request.links is None else record.request.links.death
        deaths = () if record.links is None else record.links.deaths
        if asked is not None:
            link, bound = f"link {asked.source}:{asked.target}", record.links and record.links.dead_cycles
            found = [
                death for death in deaths if (death.source, death.target) == (asked.source, asked.target)
            ]
            if not found:
                raise CheckFailed(
                    f"{link} died in cycle {asked.cycle}, and was not found dead in {bound} cycles"
                )
            raise CheckFailed(
                f"{link} is dead: node {asked.target} found so {found[0].cycle - asked.cycle} cycles after cycle "
                f"{asked.cycle}, within the bound of {bound}"
            )
        if deaths:
            first = deaths[0]
            raise CheckFailed(
                f"link {first.source}:{first.target} is dead: node {first.target} found so in cycle {first.cycle}"
            )
    wrong = sum(record.lost + record.misrouted + record.wrong for record in records)
    if wrong:
        raise CheckFailed(f"{wrong} flits are lost, wrong, or came out at a wrong die")
    if not all(record.same for record in records):
        raise CheckFailed("the flits received are not those sent: some are doubled, and as many lost")


def _point(record: TrafficRecord) -> dict[str, Any]:
    names = ("offered", "throughput", "latency_mean", "network_latency_mean", "generated", "received", "lost")
    return {
        "rate": record.request.rate,
        **{name: getattr(record, name) for name in (*names, "misrouted", "wrong", "wall_seconds")},
        **({} if record.links is None else {"links": record.links.model_dump()}),
    }


def _view(data: dict[str, Any], points: list[dict[str, Any]]) -> Any:
    from rich.console import Group

    from hecaton.terminal.tables import columns

    names = [
        "rate",
        "offered",
        "throughput",
        "latency_mean",
        "network_latency_mean",
        "received",
        "lost",
        "wrong",
    ]
    title = f"{data['mesh']}, {data['cycles']} cycles, seed {data['seed']}, {data['sim']}: "
    title += f"latency at zero load {data['zero_load_latency']:.4g} cycles"
    shown = points if "points" in data else points[:1]
    parts: list[Any] = [columns(shown, names, title=title)]
    if "link" in data:
        counted = ["sent", "replayed", "crc_errors", "flips", "stalls"]
        title = "Links: frames of {frame_bits} bits in {frame_cycles} cycles, latency {latency_cycles} cycles"
        rows = [{"rate": point["rate"], **point["links"]} for point in shown]
        parts.append(columns(rows, ["rate", *counted], title=title.format(**rows[0])))
    if "throughput_cost" in data:
        parts.append(
            f"Throughput without faults {data['throughput_without_faults']:.4g} flits/node/cycle: they cost "
            f"{100 * data['throughput_cost']:.3g}%."
        )
    if "points" in data:
        parts.append(
            f"Throughput at full load {data['saturation_throughput']:.4g} flits/node/cycle; latency stays below three "
            f"times that at zero load up to rate {data['saturation_rate']}."
        )
    return Group(*parts)
