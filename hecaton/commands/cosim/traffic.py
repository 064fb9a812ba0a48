"""``hecaton cosim traffic``: random traffic on a mesh of the generated routers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hecaton.terminal.errors import CheckFailed
from hecaton.terminal.link_options import LinkOptions
from hecaton.terminal.options import AsJson, MachineOptions, MeshSize, Seed
from hecaton.terminal.output import Output
from hecaton.terminal.simulation_options import Simulator
from hecaton.terminal.subcommand import subcommand
from hecaton.terminal.values import integer, parse_mesh

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.traffic import TrafficRecord
    from hecaton.terminal.json_keys import JsonObject

app = typer.Typer()


def _json_object() -> JsonObject:
    from hecaton.results.simulation_objects import (
        CostOfFaults,
        CountedLinks,
        TrafficLink,
        TrafficPoint,
        TrafficSetting,
        TrafficSweep,
    )
    from hecaton.terminal.json_keys import JsonObject

    return JsonObject(
        (TrafficSetting,),
        {
            "--rate": (TrafficPoint,),
            "--sweep": (TrafficSweep,),
            "--links": (TrafficLink,),
            "--links and --rate": (CountedLinks,),
            "--flips or --stalls and --rate": (CostOfFaults,),
        },
    )


@subcommand(
    app,
    examples=(
        "hecaton cosim traffic --mesh 4x4 --rate 0.3 --cycles 5000",
        "hecaton cosim traffic --mesh 1x3 --rate 0.2 --cycles 500 -P nop.buffer_flits=2 --json",
        "hecaton cosim traffic --mesh 8x8 --sweep --sim cxxrtl -o latency.svg",
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
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Measure rates up to 1 instead of a single one.")
    ] = False,
    step: Annotated[
        float, typer.Option("--step", metavar="FLITS", help="Step between the rates of a sweep, 0.001 to 1.")
    ] = 0.05,
    cycles: Annotated[
        int,
        typer.Option("--cycles", parser=integer(1, 1 << 24), metavar="N", help="Cycles that are measured."),
    ] = 5000,
    warmup: Annotated[
        int,
        typer.Option(
            "--warmup", parser=integer(0, 1 << 24), metavar="N", help="Cycles before the measured ones."
        ),
    ] = 1000,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Plot of a sweep: latency over load."),
    ] = None,
    seed: Seed = 0,
    sim: Simulator = "icarus",
    machine: MachineOptions,
    as_json: AsJson = False,
) -> None:
    """Send single flits from every die to dies drawn uniformly at random, itself included, and measure latency and
    throughput; then wait until the network is empty, and count what is lost.

    The configuration starts from the preset bench. Rates, offered load and throughput are in flits/node/cycle,
    latencies in cycles. Every flit carries a check. Exit code 1 if a flit is lost, wrong, or delivered to a wrong die,
    or if a link is dead. With --flips or --stalls and one rate, the same traffic runs once more without faults, for
    comparison.
    """
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
        system = machine.load("bench")
        rows, cols = parse_mesh(mesh) or (system.package.rows, system.package.cols)
        links = faults.of(system)
        requests = [
            traffic_request(
                rows=rows,
                cols=cols,
                nop=system.nop,
                links=links,
                rate=offered,
                cycles=cycles,
                warmup=warmup,
                seed=seed,
                sim=sim,
            )
            for offered in (sweep_rates(step) if rate is None else [rate])
        ]
        if links is not None and (links.flips or links.stalls) and links.death is None and not sweep:
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
        if output is not None:
            from hecaton.plots.traffic import plot_latency

            plot_latency(records, output)
        out.result(data, _tables(data, points))
        _check(records)


def _check(records: Sequence[TrafficRecord]) -> None:
    """Raise CheckFailed for dead links, and for flits that are lost, wrong, misrouted or doubled."""
    for record in records:
        asked = None if record.request.links is None else record.request.links.death
        deaths = () if record.links is None else record.links.deaths
        if asked is not None:
            link, bound = f"link {asked.source}:{asked.target}", record.links and record.links.dead_cycles
            detected = [
                death for death in deaths if (death.source, death.target) == (asked.source, asked.target)
            ]
            if not detected:
                raise CheckFailed(
                    f"{link} died in cycle {asked.cycle}, and was not found dead in {bound} cycles"
                )
            raise CheckFailed(
                f"{link} is dead: node {asked.target} detected it {detected[0].cycle - asked.cycle} cycles after cycle "
                f"{asked.cycle}, within the bound of {bound}"
            )
        if deaths:
            first = deaths[0]
            raise CheckFailed(
                f"link {first.source}:{first.target} is dead: node {first.target} detected it in cycle {first.cycle}"
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


def _tables(data: dict[str, Any], points: list[dict[str, Any]]) -> RenderableType:
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
    parts: list[RenderableType] = [columns(shown, names, title=title)]
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
