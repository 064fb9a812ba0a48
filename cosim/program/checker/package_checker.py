"""Checks the programs of all dies of a package or a mesh together: each by itself, and what they send each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cosim.program.checker.access_order import AccessOrder
from cosim.program.checker.command_steps import CommandSteps
from cosim.program.checker.die_checker import (
    ORDERED_COMMANDS,
    CheckedDie,
    access_order,
    command_words,
    meet,
    refuse,
)
from cosim.program.checker.package_run import DieUnit, Grid, PackageRun
from cosim.program.checker.queue_run import QueuedProgram
from cosim.program.command import Command
from rtl.interface.isa import Opcode

__all__ = ["check_package", "memory_violations", "package_violations"]


def package_violations(
    grid: Grid,
    checked: Sequence[CheckedDie],
    programs: Sequence[Sequence[Command]],
    *,
    ordered: int | None = None,
) -> list[str]:
    """What the programs of all dies break, one line for each violation.

    Parameters
    ----------
    grid
        Where the dies are.
    checked, programs
        The dies, and their programs.
    ordered
        Commands of each die, the first ones, whose accesses are checked; None for all.
    """
    queues = [die.program(program) for die, program in zip(checked, programs, strict=True)]
    lines = [
        f"die {number}: {line}"
        for number, (die, program) in enumerate(zip(checked, queues, strict=True))
        for line in [*die.command_violations(program), *_targets(grid, number, program)]
    ]
    if lines:
        return lines
    sure = []
    for number, (die, program) in enumerate(zip(checked, queues, strict=True)):
        posts, more = die.sure_posts(program)
        sure.append(posts)
        lines += [f"die {number}: {line}" for line in more]
    host_posts = checked[0].host_posts
    short = ordered is None or all(len(program) <= ordered for program in programs)
    firsts = (
        queues
        if short
        else [die.program(program[:ordered]) for die, program in zip(checked, programs, strict=True)]
    )
    run, lines_of_order = _ordered(grid, checked, firsts, sure, follow=False)
    if not short:
        run = PackageRun(grid, queues, host_posts=host_posts)
        run.run()
    lines += run.violations
    if not run.over:
        return lines + [
            f"die {number}: the program blocks: {line}"
            for number, die in enumerate(run.dies)
            for line in die.blocked()
        ]
    lines += _shared_links(grid, queues, run, host_posts)
    if lines_of_order:
        # Dies may be in order by what they send each other, which takes longer to follow.
        _, lines_of_order = _ordered(grid, checked, firsts, sure, follow=True)
    return lines + lines_of_order


def _ordered(
    grid: Grid,
    checked: Sequence[CheckedDie],
    programs: Sequence[QueuedProgram],
    sure: Sequence[Mapping[int, Mapping[str, Sequence[int]]]],
    *,
    follow: bool,
) -> tuple[PackageRun, list[str]]:
    """Run all programs, and check the order of accesses; ``follow`` as in :class:`PackageRun`."""
    width = sum(len(program.queues) for program in programs) if follow else 0
    observers: list[AccessOrder] = []
    offset = 0
    for number, (die, program) in enumerate(zip(checked, programs, strict=True)):
        observers.append(access_order(die, program, sure[number], offset=offset, width=width))
        offset += len(program.queues) if follow else 0
    run = PackageRun(grid, programs, observers=observers, host_posts=checked[0].host_posts, follow=follow)
    run.run()
    lines = [f"die {number}: {line}" for number, order in enumerate(observers) for line in order.violations]
    return run, lines


def _targets(grid: Grid, die: int, program: QueuedProgram) -> list[str]:
    """SENDs that reach no die."""
    return [
        f"{command.name}: target is {command.fields['target']}: there is no such die on this side"
        for unit, queue in program.queues.items()
        if unit.startswith("send_")
        for command in queue
        if command.opcode == Opcode.SEND and not grid.reached(die, command)
    ]


def _links(grid: Grid, die: int, side: int, last: int) -> set[tuple[int, int]]:
    """Links from one die to another: the die before each, and the side."""
    distance = abs(grid.coordinate(last, side) - grid.coordinate(die, side))
    step = (last - die) // max(1, distance)
    return {(die + number * step, side) for number in range(distance)}


def _ways(grid: Grid, die: int, queue: Sequence[CommandSteps]) -> set[tuple[int, int]]:
    """Links that the chunks of a send unit pass."""
    return set().union(
        *(_links(grid, die, command.fields["side"], grid.reached(die, command)[-1][0]) for command in queue)
    )


def _shared_links(
    grid: Grid, programs: Sequence[QueuedProgram], nominal: PackageRun, posts: Sequence[int]
) -> list[str]:
    """Chunks of different dies that meet on a link in an order that depends on time, where it matters.

    One of them is held back. If another one, that comes behind it where both arrive, can be sent, it may come first. If
    one that is sent finds no receive unit ready, it may stand in the way of the first one.
    """
    units = [
        (die, unit)
        for die, program in enumerate(programs)
        for unit in program.queues
        if unit.startswith("send_")
    ]
    links = {(die, unit): _ways(grid, die, programs[die].queues[unit]) for die, unit in units}
    lines: dict[str, None] = {}
    for late in units:
        others = [unit for unit in units if unit != late and links[unit] & links[late]]
        if others:
            _hold_back(grid, programs, nominal, posts, late, others, lines)
    return list(lines)


def _hold_back(
    grid: Grid,
    programs: Sequence[QueuedProgram],
    nominal: PackageRun,
    posts: Sequence[int],
    late: DieUnit,
    others: Sequence[DieUnit],
    lines: dict[str, None],
) -> None:
    """Hold back each chunk of the send unit ``late``, and see what ``others`` can do."""
    run = PackageRun(grid, programs, host_posts=posts, held={late: 0})
    die, unit = late
    for command in programs[die].queues[unit]:
        for chunk in range(command.fields["chunks"]):
            run.dies[die].held[unit] = command.first + chunk * command.chunk_steps
            run.run()
            way = _ways(grid, die, [command])
            for other in others:
                stopped = run.stopped(other)
                if stopped is not None and way & _links(grid, other[0], command.fields["side"], stopped[2]):
                    text = (
                        f"chunk {stopped[1]} may stop on a link that chunk {chunk} of die {die} needs first"
                    )
                    lines[f"die {other[0]}: {stopped[0].name}: {text}, {command.name}"] = None
            _early(nominal, run, late, others, lines)


def _early(
    nominal: PackageRun, run: PackageRun, late: DieUnit, others: Sequence[DieUnit], lines: dict[str, None]
) -> None:
    """Receive units where chunks have come that belong behind one that is held back."""
    for receiver, expected in nominal.arrivals.items():
        came = run.arrivals[receiver]
        mine = [number for sender, number in expected if sender == late]
        missing = mine[sum(sender == late for sender, _ in came) :]
        if not missing:
            continue
        for other in others:
            count = sum(sender == other for sender, _ in came)
            belongs = [number for sender, number in expected if sender == other]
            if count and belongs[count - 1] > missing[0]:
                unit = receiver[1].replace("_", " ")
                text = f"a chunk of die {other[0]} may come before one of die {late[0]} that is taken first"
                lines[f"die {receiver[0]}: {unit} unit: {text}"] = None


def memory_violations(
    io_dies: Sequence[str], programs: Sequence[Sequence[Command]], program_words: Sequence[range]
) -> list[str]:
    """Words of a memory that one die writes and another one uses, one line for each pair of dies.

    Parameters
    ----------
    io_dies
        The IO die behind which each die's memory lies.
    programs, program_words
        The dies' programs, and where they lie.
    """
    lines = []
    for number, program in enumerate(programs):
        written = [command_words(command) for command in program if command.opcode == Opcode.STORE]
        if not written:
            continue
        own = range(min(words.start for words in written), max(words.stop for words in written))
        for other, (io_die, uses, lies) in enumerate(zip(io_dies, programs, program_words, strict=True)):
            if other == number or io_die != io_dies[number]:
                continue
            used = [lies, *(command_words(c) for c in uses if c.opcode in (Opcode.LOAD, Opcode.STORE))]
            near = [words for words in used if meet(words, own)]
            both = next((a for a in near for b in written if meet(a, b)), None)
            if both is not None:
                text = f"words {both.start} to {both.stop - 1} of the memory behind {io_die}"
                lines.append(f"die {number}: writes {text}, which die {other} uses")
    return lines


def check_package(grid: Grid, checked: Sequence[CheckedDie], programs: Sequence[Sequence[Command]]) -> None:
    """Check the programs of all dies before they run.

    Raises
    ------
    ValueError
        If they break what a program must keep: a line with the first violation.
    """
    refuse(package_violations(grid, checked, programs, ordered=ORDERED_COMMANDS))
