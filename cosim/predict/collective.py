"""Predicted cycles of a collective on a mesh: :mod:`nop.line_model` for each line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chiplet.machine.chunks import flits_per_word
from chiplet.machine.queue_depths import QUEUED_FLITS
from chiplet.machine.specs import DieSpec
from cosim.program.line_commands import LineCollective
from cosim.records.collective import CollectiveRequest
from nop.framed_link import Frames
from nop.line_model import predict_line
from nop.lower_bound import line_floor
from nop.terms import NopTerms

__all__ = ["design_terms", "floor_collective", "predict_collective"]


def design_terms(die: DieSpec) -> NopTerms:
    """The terms of the network that follow from the design of ``die``."""
    return NopTerms(add_cycles=die.stages)


def floor_collective(request: CollectiveRequest, lines: Mapping[str, LineCollective]) -> int:
    """Lower bound on the cycles of a collective on the lines of each axis, see :func:`nop.lower_bound.line_floor`."""
    frame, hop = 1, 1
    if request.links is not None:
        frames = request.links.mesh_links(request.nop).shape.frame
        # At most as many cycles as any flit takes: those of a frame arrive one a cycle.
        frame = frames.longest_cycles // frames.flits
        hop += request.links.hop_cycles(request.nop)
    return max(
        line_floor(
            work.op,
            work.nodes,
            work.algorithm,
            work.flits,
            hop_cycles=hop,
            add_cycles=request.die.stages,
            link_cycles=frame,
        )
        for work in lines.values()
    )


def predict_collective(
    request: CollectiveRequest, lines: Mapping[str, LineCollective], terms: NopTerms | None = None
) -> float:
    """Cycles of a collective, counted as in its record.

    Random stalls of the memories and faults of links are not predicted. Lines of the two axes do not wait for each
    other, and all commands have been handed out when the gates open.

    Parameters
    ----------
    lines
        The line of each axis.
    terms
        Terms of the network; those of the design unless given.
    """
    terms = terms or design_terms(request.die)
    frames = None
    if request.links is not None:
        # A chunk fills frames, and its first flit arrives with the last one of the first frame.
        adapters = request.links.hop_cycles(request.nop, max(work.flits for work in lines.values()))
        frame = request.links.mesh_links(request.nop).shape.frame
        frames = Frames(
            tuple(frame.frame_cycles(flits) for flits in range(frame.flits + 1)), frame.slot_cycles
        )
        terms = replace(
            terms, hop_cycles=terms.hop_cycles + adapters, bypass_cycles=terms.bypass_cycles + adapters
        )
    # A full buffer takes no flit in the cycle in which one leaves.
    buffered = 2 if request.nop.buffer_flits == 1 else 1
    terms = replace(terms, link_cycles=max(terms.link_cycles, buffered))
    per_word = flits_per_word(request.nop, request.memory)
    return max(
        predict_line(
            work.op,
            work.nodes,
            work.algorithm,
            work.flits,
            per_word,
            terms,
            queued_flits=QUEUED_FLITS,
            frames=frames,
        )
        for work in lines.values()
    )
