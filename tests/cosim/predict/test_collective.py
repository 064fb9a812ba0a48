"""Predicted cycles of collectives on meshes, against cycles of the generated dies and against lower bounds."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.config import load_system
from chiplet.machine.specs import NopSpec
from cosim.predict.collective import floor_collective, predict_collective
from cosim.program.line_commands import LineCollective
from cosim.records.collective import CollectiveRequest, collective_request
from cosim.records.links import FaultyLinks
from nop.collectives import Algorithm, LineOp


def on_a_row(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, **fields: Any
) -> tuple[CollectiveRequest, LineCollective]:
    request = collective_request(
        op=op, rows=1, cols=nodes, axis="row", algorithm=algorithm, flits=flits, **fields
    )
    return request, LineCollective(op, algorithm, nodes, flits, 0, -(-flits // 4))


def on_framed_links(
    settings: list[str], op: LineOp, algorithm: Algorithm, nodes: int, flits: int
) -> tuple[CollectiveRequest, LineCollective]:
    """With links that have adapters, and the ``settings`` of the machine."""
    system = load_system(None, settings, preset="bench")
    links = FaultyLinks.of(system)
    return on_a_row(op, algorithm, nodes, flits, die=system.die, nop=system.nop, links=links)


# hecaton cosim collective --op OP --algorithm ALGORITHM --mesh 1xNODES --flits FLITS
@pytest.mark.parametrize(
    ("op", "algorithm", "nodes", "flits", "cycles"),
    [
        ("all-gather", "chain", 5, 1, 4),
        ("all-gather", "ring", 8, 64, 449),
        ("reduce-scatter", "chain", 3, 64, 129),
        ("reduce-scatter", "ring", 5, 12, 49),
        ("all-reduce", "chain", 3, 4, 16),
    ],
)
def test_a_row_takes_the_measured_cycles(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, cycles: int
) -> None:
    request, work = on_a_row(op, algorithm, nodes, flits)
    assert predict_collective(request, {"row": work}) == cycles
    assert floor_collective(request, {"row": work}) <= cycles


@pytest.mark.parametrize(
    ("op", "algorithm", "flits", "cycles"),
    [
        ("all-gather", "chain", 16, 63),
        ("reduce-scatter", "chain", 16, 64),
        ("all-reduce", "chain", 16, 98),
        ("all-gather", "ring", 16, 64),
        ("all-reduce", "ring", 5, 41),
        ("reduce-scatter", "ring", 40, 160),
    ],
)
def test_buffers_of_one_flit_take_a_flit_in_every_second_cycle(
    op: LineOp, algorithm: Algorithm, flits: int, cycles: int
) -> None:
    """Measured on 1x3 dies with -P nop.buffer_flits=1."""
    request, work = on_a_row(op, algorithm, 3, flits, nop=NopSpec(buffer_flits=1))
    assert predict_collective(request, {"row": work}) == cycles


@pytest.mark.parametrize(
    ("op", "algorithm", "nodes", "flits", "cycles"),
    [
        ("all-gather", "chain", 2, 45, 60),
        # The flits of a short frame at the end come out behind those of the frame before it.
        ("all-gather", "chain", 2, 48, 63),
        ("all-gather", "chain", 2, 64, 81),
        ("all-gather", "ring", 3, 64, 164),
        ("reduce-scatter", "chain", 3, 23, 62),
        ("reduce-scatter", "ring", 3, 47, 126),
        ("all-reduce", "chain", 3, 5, 59),
        ("all-reduce", "ring", 3, 23, 126),
    ],
)
def test_frames_of_nine_flits_in_ten_cycles(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, cycles: int
) -> None:
    """Measured with --links -P nop.flit_bits=256 -P link.lanes=16 -P die.dtype=int8."""
    settings = ["nop.flit_bits=256", "link.lanes=16", "die.dtype=int8"]
    request, work = on_framed_links(settings, op, algorithm, nodes, flits)
    assert predict_collective(request, {"row": work}) == cycles


@pytest.mark.parametrize(
    ("op", "algorithm", "nodes", "flits", "cycles"),
    [
        ("all-gather", "chain", 2, 33, 76),
        ("all-gather", "chain", 3, 17, 78),
        ("all-gather", "chain", 3, 150, 610),
        ("reduce-scatter", "ring", 3, 10, 54),
        ("all-reduce", "chain", 4, 20, 181),
        ("all-reduce", "ring", 3, 64, 527),
    ],
)
def test_adapters_take_flits_while_the_buffer_behind_them_holds_one(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, cycles: int
) -> None:
    """Measured with --links -P nop.buffer_flits=1 -P nop.flit_bits=32 -P link.lanes=5 -P die.dtype=int8: frames are
    full, and flits come out in every second cycle.
    """
    settings = ["nop.buffer_flits=1", "nop.flit_bits=32", "link.lanes=5", "die.dtype=int8"]
    request, work = on_framed_links(settings, op, algorithm, nodes, flits)
    assert predict_collective(request, {"row": work}) == cycles


@pytest.mark.parametrize("op", ["all-gather", "reduce-scatter"])
def test_equal_lines_of_two_axes_take_the_cycles_of_one(op: LineOp) -> None:
    request, work = on_a_row(op, "chain", 4, 16)
    alone = predict_collective(request, {"row": work})
    assert predict_collective(request, {"row": work, "column": work}) == alone


def test_a_line_of_one_die_takes_no_cycles() -> None:
    request, work = on_a_row("all-reduce", "ring", 1, 16)
    assert predict_collective(request, {"row": work}) == floor_collective(request, {"row": work}) == 0
