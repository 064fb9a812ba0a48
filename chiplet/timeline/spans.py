"""Spans and levels of a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

STEP, LAYERS, MINI_BATCHES, OPERATIONS = "step", "layers", "mini-batches", "operations"
"""Tracks of what runs, from the whole to its parts."""

ARRAY, VECTOR, DRAM = "array", "vector unit", "DRAM"
"""Tracks of what is busy, besides the links of each axis (:func:`link_track`)."""

UPDATE_VECTOR, UPDATE_DRAM = "vector unit, optimizer", "DRAM, optimizer"
"""Tracks of what the update of the weights takes of both, beside the backward pass."""

BESIDE = "beside a busier axis"
"""Kind of the spans of links while another axis has more to do in the same operation. Without them, the spans of all
links add up to ``nop_busy`` of the projection."""

AXES = {
    "row": "links of rows",
    "column": "links of columns",
    "ring": "links of the ring",
    "torus": "links of the torus",
}
"""Tracks of the links, by the axis of a collective."""


def link_track(axis: str) -> str:
    """The track of the links that collectives along ``axis`` use."""
    return AXES.get(axis, f"links, {axis}")


@dataclass(frozen=True)
class Span:
    """Something that takes ``seconds`` from ``start`` on, in seconds since the step began.

    ``process`` groups tracks: 0 is the package, the others are stages of a pipeline. ``kind`` says what the time counts
    as. ``count`` is the number of equal things that it stands for: more than one are drawn in one piece.
    """

    track: str
    name: str
    start: float
    seconds: float
    kind: str = ""
    count: int = 1
    process: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """When it ends, s."""
        return self.start + self.seconds

    def moved(self, seconds: float) -> Span:
        """The same, ``seconds`` later."""
        return replace(self, start=self.start + seconds)


@dataclass(frozen=True)
class MemoryLevel:
    """What ``memory`` holds from ``start`` on, in bytes."""

    memory: str
    start: float
    held: float


@dataclass(frozen=True)
class Timeline:
    """The spans and levels of a step that ends at ``seconds``; ``processes`` names the groups of tracks."""

    seconds: float
    spans: tuple[Span, ...]
    levels: tuple[MemoryLevel, ...]
    processes: Mapping[int, str]
    detail: tuple[tuple[float, float], tuple[float, float]]
    """Begin and end of the layer that is drawn in detail, forward and backward."""

    def on(self, track: str) -> Iterator[Span]:
        """The spans of the package on ``track``."""
        return (span for span in self.spans if span.track == track and not span.process)

    def busy(self) -> dict[str, float]:
        """Seconds of the package's parts by the names of :class:`chiplet.projection.results.Breakdown`."""
        links = [track for track in self.tracks() if track.startswith("links")]
        return {
            "compute": total(self.on(ARRAY)),
            "vector_busy": total((*self.on(VECTOR), *self.on(UPDATE_VECTOR))),
            "nop_busy": total(span for track in links for span in self.on(track) if span.kind != BESIDE),
            "dram_busy": total((*self.on(DRAM), *self.on(UPDATE_DRAM))),
            **{
                name: total(span for span in self.on(STEP) if span.kind == name)
                for name in ("forward", "backward", "optimizer_step", "pipeline_bubble", "fabric_exposed")
            },
        }

    def tracks(self) -> list[str]:
        """The tracks of the package, what runs first and then what is busy."""
        found = dict.fromkeys(span.track for span in self.spans if not span.process)
        order = [STEP, LAYERS, MINI_BATCHES, OPERATIONS, ARRAY, VECTOR, UPDATE_VECTOR]
        links = sorted(track for track in found if track.startswith("links"))
        return [track for track in (*order, *links, DRAM, UPDATE_DRAM) if track in found]


def total(spans: Iterable[Span]) -> float:
    """Seconds of all ``spans``."""
    return sum(span.seconds for span in spans)
