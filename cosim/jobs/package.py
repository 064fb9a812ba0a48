"""The job of a bench of a package, and its outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cosim.jobs.base import ProgramJob
from cosim.jobs.folder import ResultWords, load_result
from cosim.jobs.mesh import LinkJob

__all__ = [
    "LinkOutcome",
    "PackageJob",
    "PackageOutcome",
    "Phase",
    "PhaseOutcome",
    "Program",
    "Region",
    "phase_folder",
]


def phase_folder(folder: Path, number: int) -> Path:
    """Where the words are that the host writes before phase ``number``, and those that it reads behind it."""
    return folder / f"phase_{number}"


@dataclass(frozen=True, kw_only=True)
class Program:
    """The program of a die: address of the first command in its memory, number of commands."""

    address: int
    commands: int


@dataclass(frozen=True, kw_only=True)
class Region:
    """Words to read back: name of the IO die in front of the memory, address of the first word, number of words."""

    io_die: str
    address: int
    words: int


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Programs that start in the same cycle, one on each die in the order of their numbers.

    The phase ends when all dies are done. Before it the host writes, by the back door, the images in the folders of the
    IO dies within :func:`phase_folder`, if there are any.

    Attributes
    ----------
    name
        What the phase does.
    programs
        The program of each die.
    most_cycles
        Cycles after which the bench gives up.
    posts, post_after
        Semaphores that the host posts on all dies in the same cycle, and cycles from the start to that cycle.
    links_die
        Whether links die in this phase, if any do: cycles count from the posts on, or from the start.
    reads
        Words to read back behind the phase.
    """

    name: str
    programs: list[Program]
    most_cycles: int
    posts: int = 0
    post_after: int = 0
    links_die: bool = False
    reads: list[Region] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PackageJob(ProgramJob):
    """Phases to run on a package, one after the other.

    The contents of the memory behind an IO die are an image in a folder with the name of the IO die, see
    :func:`cosim.jobs.folder.save_image`.

    Attributes
    ----------
    contents
        Hierarchical name of the contents of the memory behind each IO die.
    counts
        Outputs of the bench that count words read and written at the AXI port of each IO die, by what they count.
    phases
        What the dies do.
    link_job
        Faults of the links, or None if the bench has none.
    link_start
        Cycles from the end of the reset until the links run: the host starts no program before.
    """

    contents: dict[str, str]
    counts: dict[str, dict[str, str]]
    phases: list[Phase]
    link_job: LinkJob | None
    link_start: int

    @classmethod
    def decode(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a job from their JSON values."""
        phases = [
            Phase(
                **{
                    **phase,
                    "programs": [Program(**program) for program in phase["programs"]],
                    "reads": [Region(**region) for region in phase["reads"]],
                }
            )
            for phase in fields["phases"]
        ]
        return {
            **fields,
            "phases": phases,
            "link_job": LinkJob.decode(fields["link_job"]),
        }


@dataclass(frozen=True, kw_only=True)
class PhaseOutcome:
    """What the bench measured in a phase.

    Attributes
    ----------
    counters
        Every counter of each die, in the order of the dies' numbers.
    axi
        Words read and written at the AXI port of each IO die, as the job's ``counts`` name them.
    seconds, cpu_seconds
        Wall-clock time from start to done, and the simulator's processor time.
    """

    counters: list[dict[str, int]]
    axi: dict[str, dict[str, int]]
    seconds: float
    cpu_seconds: float

    @property
    def cycles(self) -> int:
        """From the common start to the end of the last program."""
        return max(counters["cycles"] for counters in self.counters)


@dataclass(frozen=True, kw_only=True)
class LinkOutcome:
    """What has become of the links.

    Attributes
    ----------
    flips, stalls
        Cycles with flipped bits, and stalls, of all links.
    late
        Of the links that have died, the first ones of the job's, the cycles from death until a die reported it; None if
        none did.
    ends
        The registers of each die's links at the end of the run, as :func:`cosim.benches.host.read_links` reads them.
    """

    flips: int = 0
    stalls: int = 0
    late: tuple[int | None, ...] = ()
    ends: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PackageOutcome:
    """What the bench measured.

    Attributes
    ----------
    phases
        In the order of the job's phases; those up to the one in which links died.
    links
        What has become of the links.
    reads
        For each phase the words that were read behind it; none if links died.
    """

    phases: list[PhaseOutcome]
    links: LinkOutcome
    reads: list[list[ResultWords]]

    def save(self, folder: Path) -> None:
        """Write what was measured, without the words, into ``folder``."""
        fields = {"phases": [asdict(phase) for phase in self.phases], "links": asdict(self.links)}
        (folder / "outcome.json").write_text(json.dumps(fields))

    @classmethod
    def load(cls, folder: Path, phases: Sequence[Phase]) -> Self:
        """Read the outcome of a job's ``phases`` from ``folder``."""
        fields: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
        ends = tuple(tuple(words) for words in fields["links"]["ends"])
        links = LinkOutcome(**{**fields["links"], "late": tuple(fields["links"]["late"]), "ends": ends})
        return cls(
            phases=[PhaseOutcome(**phase) for phase in fields["phases"]],
            links=links,
            reads=[]
            if links.late
            else [
                [load_result(phase_folder(folder, number), read) for read in range(len(phase.reads))]
                for number, phase in enumerate(phases)
            ],
        )
