"""Traces: the activity of each unit of a die over time, as events for Perfetto (ui.perfetto.dev) or chrome://tracing.

A cycle is shown as a microsecond, because the format has no other unit. The format is the JSON of the "Trace Event
Format": complete events (``X``) on a track (``tid``) for each unit, a process (``pid``) for each die.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cosim.observe.intervals import Change, Interval, both, high, without
from cosim.observe.units import FETCH, OBSERVED_UNITS, RUNNING, Unit
from cosim.program.command import Command
from rtl.interface.isa import Side

__all__ = ["die_events", "trace_json"]

END_OF_TIME = 1 << 62
"""A cycle after every run."""

PROCESSOR = "command processor"


def _cycles(intervals: Iterable[Interval]) -> list[int]:
    return [cycle for start, stop in intervals for cycle in range(start, stop)]


def _cut(intervals: Iterable[Interval], edges: Sequence[int]) -> list[Interval]:
    """The same cycles, split at the edges."""
    ends = [(edge, END_OF_TIME) for edge in edges]
    windows = [(0, edges[0]), *pairwise(edges), ends[-1]] if edges else [(0, END_OF_TIME)]
    return both(list(intervals), [window for window in windows if window[0] < window[1]])


@dataclass(frozen=True)
class _Track:
    """Makes the events of one unit."""

    pid: int
    tid: int
    name: str

    def head(self) -> list[dict[str, Any]]:
        def about(what: str, **arguments: Any) -> dict[str, Any]:
            return {"ph": "M", "pid": self.pid, "tid": self.tid, "name": what, "args": arguments}

        return [about("thread_name", name=self.name), about("thread_sort_index", sort_index=self.tid)]

    def span(self, category: str, name: str, interval: Interval, **arguments: Any) -> dict[str, Any]:
        start, stop = interval
        return {
            "ph": "X",
            "pid": self.pid,
            "tid": self.tid,
            "name": name,
            "cat": category,
            "ts": start,
            "dur": stop - start,
            "args": arguments,
        }


def die_events(
    changes: Sequence[Change],
    commands: Sequence[Command],
    *,
    command_words: int,
    units: Sequence[Unit] = OBSERVED_UNITS,
    pid: int = 0,
    die: str = "die",
) -> list[dict[str, Any]]:
    """Return the trace events of one die.

    A unit's track has a span for each command: from the cycle in which the unit gets it to the last cycle in which it
    works for it, or to the next command. Inside it are the spans of category ``busy`` and ``stall``. Their cycles are
    those that the counters of the same name count. The command processor's track shows the reads of the program.

    Parameters
    ----------
    changes
        Of the signals of :func:`cosim.observe.units.observed_signals`. Cycle 0 need not be the first cycle of the run.
    commands
        The program, in order.
    command_words
        Memory words of a command.
    units
        Units of the die.
    pid, die
        Number and name of the die.
    """
    # Cycle 0 of the trace is the first cycle that the counters count.
    last = max((cycle for cycle, _, _ in changes), default=0) + 1
    runs = high((change for change in changes if change[1] == RUNNING), last)[RUNNING]
    begin, end = (runs[0][0], runs[-1][1]) if runs else (0, 0)
    signals = {
        signal: [(start - begin, stop - begin) for start, stop in both(intervals, runs)]
        for signal, intervals in high(changes, last).items()
    }
    end -= begin
    numbered = [(index, command) for index, command in enumerate(commands)]

    processor = _Track(pid, 0, PROCESSOR)
    events = [{"ph": "M", "pid": pid, "name": "process_name", "args": {"name": die}}, *processor.head()]
    events += _fetches(processor, signals, numbered, command_words, end)
    for tid, unit in enumerate(units, start=1):
        track = _Track(pid, tid, unit.name)
        own_commands = [
            (index, command)
            for index, command in numbered
            if unit.carries_out(command.opcode, command.all_fields)
        ]
        events += track.head() + _spans(track, unit, signals, own_commands)
    return events


def _fetches(
    track: _Track,
    signals: Mapping[str, list[Interval]],
    commands: Sequence[tuple[int, Command]],
    command_words: int,
    end: int,
) -> list[dict[str, Any]]:
    """A span for the reads of each command, and one for each wait of a read."""
    asked, ready = signals[f"{FETCH}__valid"], signals[f"{FETCH}__ready"]
    reads = _cycles(both(asked, ready))
    events = []
    for index, command in commands:
        words = reads[index * command_words : (index + 1) * command_words]
        if len(words) == command_words:
            events.append(
                track.span("fetch", f"fetch {_name(index, command)}", (words[0], words[-1] + 1), index=index)
            )
    stalls = without(asked, ready, end)
    return events + [track.span("stall", "stalled: memory request", stall) for stall in stalls]


def _spans(
    track: _Track,
    unit: Unit,
    signals: Mapping[str, list[Interval]],
    commands: Sequence[tuple[int, Command]],
) -> list[dict[str, Any]]:
    # A unit starts on a command in the cycle after it takes it.
    taken = _cycles(both(signals[f"{unit.commands}__valid"], signals[f"{unit.commands}__ready"]))
    starts = [cycle + 1 for cycle in taken]
    activities = [
        ("busy", "busy", unit.busy),
        *(("stall", f"stalled: {why}", signal) for why, signal in unit.stalls.items()),
    ]
    pieces = [
        track.span(category, name, piece)
        for category, name, signal in activities
        for piece in _cut(signals[signal], starts)
    ]
    ends = sorted((piece["ts"], piece["ts"] + piece["dur"]) for piece in pieces)
    spans = []
    position = 0
    for (index, command), start, following in zip(commands, starts, [*starts[1:], END_OF_TIME], strict=False):
        stop = start + 1
        while position < len(ends) and ends[position][0] < following:
            stop = max(stop, ends[position][1])
            position += 1
        spans.append(
            track.span("command", _name(index, command), (start, stop), index=index, **_arguments(command))
        )
    return spans + pieces


def _name(index: int, command: Command) -> str:
    return f"{command.opcode.name} {index}"


def _arguments(command: Command) -> dict[str, Any]:
    """The fields of a command, with names instead of numbers where there are names."""
    fields: dict[str, Any] = dict(command.all_fields)
    if "side" in fields:
        fields["side"] = Side(fields["side"]).name.lower()
    return fields


def trace_json(events: Sequence[Mapping[str, Any]], **about: Any) -> str:
    """Return the trace as JSON; ``about`` is metadata for the reader."""
    return json.dumps(
        {
            "traceEvents": list(events),
            "displayTimeUnit": "ms",
            "otherData": {"time": "1 us shown is 1 clock cycle; 0 is the start of the program", **about},
        }
    )
