"""When the array reads sums of the accumulator buffer, and so which cycles it leaves to the drain unit."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PanelReads", "SumReads"]


@dataclass(frozen=True, kw_only=True)
class PanelReads:
    """Reads of column 0 for a panel: ``tiles`` times ``rows`` addresses from ``base`` on, every ``period`` cycles.

    The first tile begins in cycle ``start``; it reads no sums unless ``reads_first``.
    """

    start: int
    tiles: int
    rows: int
    period: int
    base: int
    reads_first: bool


@dataclass(frozen=True)
class SumReads:
    """Reads of an array with ``cols`` columns, panel after panel."""

    cols: int
    panels: list[PanelReads] = field(default_factory=list)

    def _reads(self, time: int, address: int) -> bool:
        """Whether column 0 of the array reads a sum of the parity of ``address`` in cycle ``time``."""
        for panel in reversed(self.panels):
            if time >= panel.start:
                tile, slot = divmod(time - panel.start, panel.period)
                reads = tile < panel.tiles and slot < panel.rows and (tile > 0 or panel.reads_first)
                return reads and (panel.base + slot - address) % 2 == 0
        return False

    def row_read(self, now: float, address: int) -> float:
        """Cycle in which the last column gives its sum of a row for which the drain unit asks ``now``."""
        first = latest = int(now)
        for column in range(self.cols):
            time = first
            while self._reads(time - column, address):
                time += 1
            latest = max(latest, time)
        # Fractions of a cycle, which fitted terms have, are kept: a fit could not see them otherwise.
        return now + latest - first
