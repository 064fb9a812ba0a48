"""Traces: spans are what the signals say, cut where commands begin, inside each other and never across."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cosim.observe.intervals import Change
from cosim.observe.trace import die_events, trace_json
from cosim.observe.units import FETCH, OBSERVED_UNITS, RUNNING, counter_signal, observed_signals
from cosim.program.command import Command
from rtl.interface.isa import Opcode

Events = list[dict[str, Any]]


def spans(events: Events, track: str, kind: str) -> list[tuple[str, int, int]]:
    """Name, begin and end of the spans of one category on one track."""
    (tid,) = (e["tid"] for e in events if e["name"] == "thread_name" and e["args"]["name"] == track)
    return [
        (e["name"], e["ts"], e["ts"] + e["dur"])
        for e in events
        if e["ph"] == "X" and e["tid"] == tid and e["cat"] == kind
    ]


def run(signals: dict[str, str], commands: list[Command], *, words: int = 1, first: int = 0) -> Events:
    """Events of signals that are drawn as one character a cycle; those not drawn stay low."""
    changes: list[Change] = [(0, name, 0) for name in observed_signals(engine=False)]
    for name, drawn in signals.items():
        changes += [(first + cycle, name, int(mark == "#")) for cycle, mark in enumerate(drawn)]
        changes.append((first + len(drawn), name, 0))
    return die_events(sorted(changes, key=lambda change: change[0]), commands, command_words=words)


LOAD, STORE = OBSERVED_UNITS[2], OBSERVED_UNITS[-1]
COMMANDS = [
    Command(Opcode.LOAD, {"rows": 2, "words": 1, "wait_0": 5}),
    Command(Opcode.STORE, {"rows": 2, "words": 1}),
    Command(Opcode.LOAD, {"rows": 2, "words": 1}),
]


def test_commands_and_what_is_done_for_them() -> None:
    taken = {f"{LOAD.commands}__valid": "..###.....", f"{LOAD.commands}__ready": "..#.#....."}
    events = run(
        {
            RUNNING: "..########",
            **taken,
            LOAD.busy: "...#####..",
            counter_signal("load_stall_semaphore"): "...##.....",
            counter_signal("load_stall_request"): "......#...",
        },
        COMMANDS,
    )
    assert spans(events, "load unit", "command") == [("LOAD 0", 1, 3), ("LOAD 2", 3, 6)]
    assert spans(events, "load unit", "busy") == [("busy", 1, 3), ("busy", 3, 6)]
    assert spans(events, "load unit", "stall") == [
        ("stalled: semaphore", 1, 3),
        ("stalled: memory request", 4, 5),
    ]
    (first, second) = (e for e in events if e.get("cat") == "command")
    assert first["args"].items() >= {"index": 0, "rows": 2, "wait_0": 5}.items()
    assert second["args"].items() >= {"index": 2, "post_0": 0}.items()


def test_reads_of_the_program() -> None:
    events = run(
        {RUNNING: "#######", f"{FETCH}__valid": ".####.##", f"{FETCH}__ready": "##.######"},
        COMMANDS,
        words=2,
        first=5,
    )
    assert spans(events, "command processor", "fetch") == [("fetch LOAD 0", 1, 4), ("fetch STORE 1", 4, 7)]
    assert spans(events, "command processor", "stall") == [("stalled: memory request", 2, 3)]


def test_a_program_that_never_ran() -> None:
    events = run({}, COMMANDS)
    assert {e["ph"] for e in events} == {"M"}
    assert [e["args"]["name"] for e in events if e["name"] == "thread_name"] == [
        "command processor",
        *(unit.name for unit in OBSERVED_UNITS),
    ]


def test_json() -> None:
    document = json.loads(trace_json(run({}, []), title="one"))
    assert document["otherData"]["title"] == "one"
    assert "1 us shown is 1 clock cycle" in document["otherData"]["time"]
    assert document["traceEvents"][0] == {
        "ph": "M",
        "pid": 0,
        "name": "process_name",
        "args": {"name": "die"},
    }


MARKS = st.text("#.", min_size=12, max_size=12)


@given(
    st.fixed_dictionaries(
        {name: MARKS for name in observed_signals(engine=False) if name.startswith(STORE.path)}
    ),
    MARKS,
    MARKS,
    st.integers(0, 30),
)
def test_no_cycle_is_lost_or_told_twice(taken: dict[str, str], busy: str, stall: str, first: int) -> None:
    signals = {
        RUNNING: "#" * 12,
        STORE.busy: busy,
        counter_signal("store_stall_request"): stall,
        **taken,
    }
    commands = [Command(Opcode.STORE, {"rows": 1, "words": 1})] * 12
    events = run(signals, commands, first=first)
    for kind, drawn in (("busy", busy), ("stall", stall)):
        cycles = [c for _, start, stop in spans(events, "store unit", kind) for c in range(start, stop)]
        assert cycles == [cycle for cycle, mark in enumerate(drawn) if mark == "#"]
    own = spans(events, "store unit", "command")
    assert all(before[2] <= after[1] for before, after in pairwise(own))
