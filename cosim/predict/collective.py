"""Predicted cycles of a collective on a mesh: :mod:`nop.line_model` for each line, and when its commands arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chiplet.machine.queue_depths import COMMANDS_AHEAD, QUEUED_FLITS
from chiplet.machine.specs import DieSpec, MemorySpec, flits_per_word
from chiplet.machine.terms import DieTerms
from cosim.program.collective import gate_command
from cosim.program.line_commands import AXES, LineCollective, line_commands
from cosim.records.collective import CollectiveRequest
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
        frame = request.links.mesh_links(request.nop).shape.frame_cycles
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
    other, except that commands are handed out one after the other.

    Parameters
    ----------
    lines
        The line of each axis.
    terms
        Terms of the network; those of the design unless given.
    """
    terms = terms or design_terms(request.die)
    if request.links is not None:
        adapters = request.links.hop_cycles(request.nop)
        terms = replace(
            terms,
            hop_cycles=terms.hop_cycles + adapters,
            bypass_cycles=terms.bypass_cycles + adapters,
            link_cycles=max(terms.link_cycles, request.links.mesh_links(request.nop).shape.frame_cycles),
        )
    per_word = flits_per_word(request.nop, request.memory)
    first, later = 0, {}
    for axis, work in lines.items():
        parts_of_dies = [line_commands(work, AXES[axis], place).parts for place in range(work.nodes)]
        first += max(len(parts[0]) for parts in parts_of_dies)
        later[axis] = max(sum(map(len, parts[1:])) for parts in parts_of_dies)
    handed = _handed(request.memory, gate_command([first]), sum(later.values()), -terms.pass_cycles - 1)
    cycles, before = 0.0, 0
    for axis, work in lines.items():
        start = before

        def at(_place: int, number: int, start: int = start) -> float:
            return handed[start + number]

        cycles = max(
            cycles,
            predict_line(
                work.op,
                work.nodes,
                work.algorithm,
                work.flits,
                per_word,
                terms,
                handed=at,
                queued_flits=QUEUED_FLITS,
            ),
        )
        before += later[axis]
    return cycles


def _handed(memory: MemorySpec, first: int, later: int, opened: float) -> list[float]:
    """When the commands behind the one that opens the gates are handed out, if that one is handed out at ``opened``.

    ``first`` commands come before it, ``later`` behind it. The command processor asks for as many as it has room for.
    """
    words = memory.command_words
    delay = DieTerms().fetch + memory.latency_cycles
    asked, out = 0.0, list[float]()
    for number in range(first + 1 + later):
        room = out[number - COMMANDS_AHEAD] + 1 if number >= COMMANDS_AHEAD else 0.0
        asked = max(asked, room) + words
        before = out[-1] + 1 if out else 0.0
        out.append(max(asked - 1 + delay, before))
    return [time - out[first] + opened for time in out[first + 1 :]]
