"""Plot of traffic on the network-on-package: latency over load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hecaton.plots.figure import COLOURS, OPEN_MARK, PAGE, saved_figure

if TYPE_CHECKING:
    from cosim.records.traffic import TrafficRecord

LATENCY_SHOWN = 12
"""Highest latency of the plot, over that at zero load. Above saturation it depends on the length of the run."""


def plot_latency(records: Sequence[TrafficRecord], path: Path) -> None:
    """Draw latency and throughput over the offered load of ``records``, all of one mesh, into ``path``."""
    ordered = sorted(
        (record for record in records if record.latency_mean is not None), key=lambda record: record.offered
    )
    offered = [record.offered for record in ordered]
    with saved_figure(path, PAGE, 2.5) as figure:
        left, right = figure.subplots(1, 2)
        for label, name, colour, mark in (
            ("from generation", "latency_mean", "nop", "o-"),
            ("in the network", "network_latency_mean", "array", "s--"),
        ):
            values = [getattr(record, name) for record in ordered]
            left.plot(offered, values, mark, label=label, color=COLOURS[colour], **OPEN_MARK)
        if ordered:
            zero_load = ordered[0].zero_load_latency
            left.axhline(zero_load, color=COLOURS["static"], linestyle=":", label="at zero load")
            left.set_ylim(0, LATENCY_SHOWN * zero_load)
        left.set_xlabel("offered load (flits/node/cycle)")
        left.set_ylabel("mean latency (cycles)")
        left.legend()
        throughput = [record.throughput for record in ordered]
        right.plot(offered, throughput, marker="o", color=COLOURS["nop"], label="delivered", **OPEN_MARK)
        right.plot(offered, offered, color=COLOURS["static"], linestyle=":", label="offered load")
        right.set_xlabel("offered load (flits/node/cycle)")
        right.set_ylabel("throughput (flits/node/cycle)")
        right.set_ylim(bottom=0)
        right.legend()
        if records:
            request = records[0].request
            figure.suptitle(
                f"Uniform random traffic on {request.rows}x{request.cols} routers, "
                f"{request.nop.buffer_flits} flits a buffer"
            )
