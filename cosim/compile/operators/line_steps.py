"""Collectives as steps of a die: the commands of a line, with the words that they read and write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chiplet.graph.sharding import Along
from chiplet.machine.chunks import chunk_words
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, SystemSpec
from cosim.compile.ordering.die_steps import DieStep, Touch, Unit
from cosim.program.command import Command
from cosim.program.line_commands import AXES, PACKAGE_ORIGIN, LineCollective, line_commands
from rtl.interface.isa import Opcode, Side

__all__ = ["DieCollective", "collective_steps"]

_WAITS, _POSTS = ("word_wait",), ("word_post",)


@dataclass(frozen=True, kw_only=True)
class DieCollective:
    """A collective as a die takes part in it.

    Attributes
    ----------
    work, axis, place, first
        The collective, the axis of its line, the die's place on it, and the row or column of the line's first die.
    own
        First word of the die's own chunk if that lies elsewhere, as a gathered one does.
    group
        Number of the collective among those of the die.
    label
        The operator.
    """

    work: LineCollective
    axis: Along
    place: int
    first: int
    own: int | None
    group: int
    label: str


def collective_steps(collective: DieCollective, system: SystemSpec) -> Iterator[DieStep]:
    """The steps of the die, those of send units first.

    Raises
    ------
    ValueError
        If a chunk that lies elsewhere would have to be sent with others behind it.
    """
    axis = AXES[collective.axis]
    commands = line_commands(
        collective.work, axis, collective.place, origin=PACKAGE_ORIGIN + collective.first
    ).commands
    names = _local_names(commands)
    for command in commands:
        fields = {
            name: value
            for name, value in command.fields.items()
            if name not in ("wait_0", "ahead", *_WAITS, *_POSTS)
        }
        own = collective.own
        if own is not None and command.opcode == Opcode.SEND:
            if fields["own"] != 1 or not (fields.get("forward") or fields["chunks"] == 1):
                raise ValueError(
                    f"{collective.label}: sends chunks of a ring of three dies or more out of the scratchpad: "
                    "nop.collective must be chain"
                )
            fields["base"] = own
        local = {name: names[command.fields[name]] for name in (*_WAITS, *_POSTS) if command.fields.get(name)}
        yield DieStep(
            command.opcode,
            fields,
            tuple(_touches(command.opcode, fields, system)),
            collective.label,
            collective.group,
            local,
        )


def _unit(command: Command) -> Unit:
    return Unit(command.opcode, Side(command.fields["side"]))


def _local_names(commands: Sequence[Command]) -> dict[int, str]:
    """Names of the semaphores by which the units of a line order words: by who posts and who waits."""
    users: dict[int, list[str]] = defaultdict(list)
    for names in (_POSTS, _WAITS):
        for command in commands:
            for name in names:
                number = command.fields.get(name, 0)
                if number:
                    unit = _unit(command)
                    users[number].append(
                        f"{unit.opcode.name} {unit.side.name if unit.side is not None else ''}"
                    )
    return {number: " to ".join(dict.fromkeys(units)) for number, units in users.items()}


def _touches(opcode: Opcode, fields: dict[str, int], system: SystemSpec) -> Iterator[Touch]:
    words = chunk_words(fields["flits"], system.nop, system.memory)
    for number in range(fields["chunks"]):
        wrap = fields["wrap"] if fields.get("lap") and number >= fields["lap"] else 0
        first = (fields["base"] + number * fields["pitch"] + wrap) % (1 << BUFFER_ADDRESS_BITS)
        if opcode == Opcode.SEND:
            if number < fields["own"] or not fields.get("forward"):
                yield Touch("scratchpad", first, words)
            continue
        adds, forwarded = fields.get("add", 0), number < fields.get("forwarded", 0)
        if adds:
            yield Touch("scratchpad", first, words)
        if fields.get("keep", 0) if forwarded else not fields.get("hand", 0):
            yield Touch("scratchpad", first, words, writes=True)
