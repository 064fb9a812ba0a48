"""Columns of many machines that take the same time on their packages: it is worked out once for all of them.

Machines that differ in prices, energies and DRAM only have the same times of array, vector unit and links.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.specs import SystemSpec
from chiplet.step.fused_blocks import BlockRuns
from chiplet.step.jobs import Jobs
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import combinations

if TYPE_CHECKING:
    from numpy.typing import NDArray

BESIDE_SECTIONS = ("energy", "area", "cost", "fabric")
BESIDE_KEYS = (
    "link.pj_per_bit",
    "memory.channel_bytes_per_second",
    "memory.efficiency",
    "memory.pj_per_bit",
)
"""Sections and keys that no time of array, vector unit and links depends on."""


@dataclass(frozen=True)
class PackageColumns:
    """The columns of some machines, as :class:`chiplet.step.jobs.Jobs` has them, by the time on the package.

    ``first`` has one column of each time, and ``place`` the one that has the time of each column; None: all differ.
    """

    first: NDArray[np.intp] | None
    place: NDArray[np.intp] | None

    @classmethod
    def of(cls, system: SystemSpec) -> PackageColumns:
        """The columns of ``system``."""
        columns = _columns(system)
        count = max((len(values) for values in columns.values()), default=1)
        telling = [
            values
            for (section, key), values in columns.items()
            if len(values) == count and section not in BESIDE_SECTIONS
            if f"{section}.{key}" not in BESIDE_KEYS
        ]
        first, place = combinations(telling or [np.zeros(count)])
        return cls(None, None) if len(first) == count else cls(first, place)

    def distinct(self, jobs: Jobs) -> Jobs:
        """The machines with one column of each time."""
        if self.first is None:
            return jobs
        update: dict[str, dict[str, Any]] = {}
        for (section, key), values in _columns(jobs.system).items():
            update.setdefault(section, {})[key] = values[self.first] if len(values) > 1 else values
        sections = {name: getattr(jobs.system, name).model_copy(update=keys) for name, keys in update.items()}
        return replace(jobs, system=jobs.system.model_copy(update=sections))

    def every(self, runs: BlockRuns) -> BlockRuns:
        """``runs`` of :meth:`distinct` machines, for all columns."""
        if self.place is None:
            return runs
        place = self.place

        def spread(value: Any) -> Any:
            if isinstance(value, Additive):
                return type(value)(*map(spread, value.numbers))
            return value[..., place] if np.ndim(value) and np.shape(value)[-1] > 1 else value

        return BlockRuns(*(spread(getattr(runs, field.name)) for field in fields(BlockRuns)))


def _columns(system: SystemSpec) -> dict[tuple[str, str], NDArray[Any]]:
    """The values of ``system`` that differ from column to column, by section and key."""
    return {
        (section, key): value
        for section in SystemSpec.model_fields
        for key, value in vars(getattr(system, section)).items()
        if isinstance(value, np.ndarray) and value.ndim == 1
    }
