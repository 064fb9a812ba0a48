"""The job of a bench of a collective."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cosim.jobs.base import ProgramJob
from cosim.jobs.mesh import MeshJob

__all__ = ["CollectiveJob", "node_folder", "scratchpad_path"]


@dataclass(frozen=True, kw_only=True)
class CollectiveJob(MeshJob, ProgramJob):
    """A program for each die of a mesh. The bench reads back each die's scratchpad as 32-bit words.

    Attributes
    ----------
    banks
        Banks of the scratchpads.
    commands
        Number of commands of each die; every program begins at word 0 of the die's memory.
    words
        Words of each scratchpad that are written before the run, and read after it.
    posts, post_after
        Semaphores that the host posts on all dies in the same cycle, and cycles from the start to that cycle.
    most_cycles
        Cycles after which the bench gives up.
    link_counters
        Names of the counters of a link with adapters, in the order of their numbers.
    """

    banks: int
    commands: list[int]
    words: int
    posts: int
    post_after: int
    most_cycles: int
    link_counters: list[str] = field(default_factory=list)


def node_folder(folder: Path, node: int) -> Path:
    """Folder with the memory image of a die, see :func:`cosim.jobs.folder.save_image`."""
    return folder / f"node_{node}"


def scratchpad_path(folder: Path, node: int) -> Path:
    """File with the words that the scratchpad of a die holds at the start."""
    return folder / f"scratchpad_{node}.bin"
