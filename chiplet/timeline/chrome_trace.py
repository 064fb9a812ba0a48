"""A timeline in the trace event format of Chrome, which https://ui.perfetto.dev opens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf, nextafter
from typing import Any

from chiplet.timeline.spans import Span, Timeline

MICROSECONDS = 1e6
"""Microseconds of a second, the unit of ``ts`` and ``dur``."""

NANOSECONDS = 1000.0
"""Nanoseconds of a microsecond. Perfetto cuts ``ts`` and ``dur`` to whole nanoseconds, each on its own."""


def chrome_trace(timeline: Timeline, metadata: Mapping[str, Any]) -> str:
    """The trace file of ``timeline`` as JSON.

    Complete events have ``ts`` and ``dur`` in microseconds, as exact as numbers in JSON are; counters are in bytes.
    ``metadata`` is in ``otherData``.
    """
    records = [*_names(timeline), *_complete(timeline), *_counters(timeline)]
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    other = json.dumps({**metadata, "step_seconds": timeline.seconds}, ensure_ascii=False)
    return f'{{"displayTimeUnit": "ns", "otherData": {other}, "traceEvents": [\n{lines}\n]}}\n'


def _threads(timeline: Timeline) -> dict[tuple[int, str], int]:
    """Numbers of the tracks of each process."""
    numbers = {(0, track): number + 1 for number, track in enumerate(timeline.tracks())}
    for span in timeline.spans:
        numbers.setdefault((span.process, span.track), 1)
    return numbers


def _names(timeline: Timeline) -> Iterator[dict[str, Any]]:
    def named(name: str, process: int, value: str | int, thread: int = 0) -> dict[str, Any]:
        key = "sort_index" if name.endswith("sort_index") else "name"
        return {"name": name, "ph": "M", "pid": process, "tid": thread, "args": {key: value}}

    for process, name in timeline.processes.items():
        yield named("process_name", process + 1, name)
        yield named("process_sort_index", process + 1, process)
    for (process, track), thread in _threads(timeline).items():
        yield named("thread_name", process + 1, track, thread)
        yield named("thread_sort_index", process + 1, thread, thread)


def _complete(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """The spans, track by track in the order of time."""
    threads = _threads(timeline)
    by_track: dict[tuple[int, str], list[Span]] = {key: [] for key in threads}
    for span in timeline.spans:
        if span.seconds > 0:
            by_track[span.process, span.track].append(span)
    for (process, track), spans in by_track.items():
        spans.sort(key=lambda span: span.start)
        starts = [span.start * MICROSECONDS for span in spans]
        for span, start, following in zip(spans, starts, [*starts[1:], inf], strict=True):
            counted: dict[str, Any] = {"in one piece": span.count} if span.count > 1 else {}
            yield {
                "name": span.name,
                "cat": span.kind or track,
                "ph": "X",
                "ts": start,
                "dur": disjoint(start, span.seconds * MICROSECONDS, following),
                "pid": process + 1,
                "tid": threads[process, track],
                "args": {**span.details, **counted},
            }


def disjoint(start: float, duration: float, following: float) -> float:
    """``duration``, microseconds, or as little less that a reader of whole nanoseconds sees the span end before the
    one at ``following`` starts.

    Otherwise rounding could make a span longer by a nanosecond, and Perfetto leaves out spans that overlap.
    """
    if following == inf:
        return duration
    room = int(following * NANOSECONDS) - int(start * NANOSECONDS)
    if int(duration * NANOSECONDS) <= room:
        return duration
    shorter = (room + 1) / NANOSECONDS
    while int(shorter * NANOSECONDS) > room:
        shorter = nextafter(shorter, 0.0)
    return shorter


def _counters(timeline: Timeline) -> Iterator[dict[str, Any]]:
    for level in timeline.levels:
        name = f"{level.memory.replace('_', ' ')}, held"
        yield {
            "name": name,
            "ph": "C",
            "ts": level.start * MICROSECONDS,
            "pid": 1,
            "args": {"bytes": level.held},
        }
