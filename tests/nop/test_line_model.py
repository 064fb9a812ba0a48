"""Predicted cycles of collectives on a line."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.queue_depths import QUEUED_FLITS
from nop import line_model
from nop.collectives import ALGORITHMS, OPS, Algorithm, LineOp
from nop.framed_link import Frames
from nop.lower_bound import line_floor
from nop.terms import NopTerms

predict_line = partial(line_model.predict_line, queued_flits=QUEUED_FLITS)

# Cycles of the generated dies: hecaton cosim collective --op OP --algorithm ALGORITHM --mesh 1xNODES --flits FLITS
MEASURED: tuple[tuple[LineOp, Algorithm, int, int, int], ...] = (
    ("all-gather", "chain", 5, 1, 4),
    ("all-gather", "chain", 8, 64, 448),
    ("all-gather", "ring", 5, 1, 7),
    ("all-gather", "ring", 5, 4, 17),
    ("all-gather", "ring", 5, 17, 69),
    ("all-gather", "ring", 8, 64, 449),
    ("reduce-scatter", "chain", 5, 1, 7),
    ("reduce-scatter", "chain", 4, 9, 27),
    ("reduce-scatter", "chain", 3, 64, 129),
    ("reduce-scatter", "ring", 5, 1, 10),
    ("reduce-scatter", "ring", 5, 12, 49),
    ("reduce-scatter", "ring", 8, 64, 449),
    ("all-reduce", "chain", 3, 4, 16),
    ("all-reduce", "ring", 3, 16, 67),
)

# Three dies, frames of 3 cycles, 5 cycles a hop: hecaton cosim collective --mesh 1x3 --links -P link.lanes=4
MEASURED_FRAMES: tuple[tuple[LineOp, Algorithm, int, int], ...] = (
    ("all-gather", "chain", 1, 11),
    ("all-gather", "chain", 16, 98),
    ("all-reduce", "chain", 4, 44),
    ("all-reduce", "ring", 4, 56),
    ("reduce-scatter", "chain", 5, 33),
    ("reduce-scatter", "ring", 17, 110),
    ("all-gather", "ring", 17, 110),
    ("all-reduce", "ring", 20, 251),
)

LINES = {
    "op": st.sampled_from(OPS),
    "algorithm": st.sampled_from(ALGORITHMS),
    "nodes": st.integers(1, 12),
    "flits": st.integers(1, 80),
    "per_word": st.sampled_from((1, 2, 4, 8)),
}


@pytest.mark.parametrize(("op", "algorithm", "nodes", "flits", "cycles"), MEASURED)
def test_the_terms_of_the_design_meet_the_measured_cycles(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, cycles: int
) -> None:
    assert predict_line(op, nodes, algorithm, flits, 4) == cycles


@pytest.mark.parametrize(("op", "algorithm", "flits", "cycles"), MEASURED_FRAMES)
def test_flits_leave_when_a_frame_begins(op: LineOp, algorithm: Algorithm, flits: int, cycles: int) -> None:
    terms = NopTerms(hop_cycles=5, bypass_cycles=5)
    assert predict_line(op, 3, algorithm, flits, 4, terms, frames=Frames((3, 3), (0,))) == cycles


@given(**LINES)
def test_nothing_is_quicker_than_the_flits_of_the_end_die(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, per_word: int
) -> None:
    found = predict_line(op, nodes, algorithm, flits, per_word)
    assert found >= (nodes - 1) * flits
    if flits >= 8 * nodes:
        # A command or a word in the buffer costs a few cycles, whatever the length.
        assert line_floor(op, nodes, algorithm, flits) <= found + nodes
        if op != "all-reduce":
            assert found <= line_floor(op, nodes, algorithm, flits) + 20


@given(**LINES)
def test_longer_chunks_take_longer(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, per_word: int
) -> None:
    short, long = (predict_line(op, nodes, algorithm, size, per_word) for size in (flits, 2 * flits))
    assert long > short or nodes == 1


@settings(max_examples=30)
@given(**LINES)
def test_every_term_is_in_cycles(
    op: LineOp, algorithm: Algorithm, nodes: int, flits: int, per_word: int
) -> None:
    """With all terms doubled, and so all times, everything takes twice as long."""
    terms = NopTerms()
    double = replace(terms, **{term.name: 2 * getattr(terms, term.name) for term in fields(terms)})
    once = predict_line(op, nodes, algorithm, flits, per_word, terms)
    assert predict_line(op, nodes, algorithm, flits, per_word, double) == 2 * once


def test_two_adder_stages_cost_a_cycle_at_each_die_of_a_sum() -> None:
    one, two = (
        predict_line("reduce-scatter", 6, "chain", 1, 4, NopTerms(add_cycles=stages)) for stages in (1, 2)
    )
    assert two - one == 4  # four dies between the ends


@pytest.mark.parametrize("name", ["nodes", "flits", "per_word"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = {"nodes": 2, "flits": 2, "per_word": 2} | {name: 0}
    with pytest.raises(ValueError, match=f"^{name} = 0: must be at least 1$"):
        predict_line("all-gather", sizes["nodes"], "ring", sizes["flits"], sizes["per_word"])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="^collective op 'broadcast': must be one of all-gather"):
        predict_line("broadcast", 2, "ring", 1, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^collective algorithm 'star': must be one of ring, chain$"):
        predict_line("all-gather", 2, "star", 1, 1)  # type: ignore[arg-type]
