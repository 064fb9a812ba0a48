"""Training steps beside what the project promises: bits on meshes and machines, flits, words, what is hidden."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.accept.hecaton_commands import ProbeError
from benchmarks.accept.training_runs import Training
from chiplet.graph.operators import Gather, Move, Purpose, Reduce, Scatter
from chiplet.graph.received_elements import flits_in_step
from chiplet.graph.training.sizes import ModelSizes
from cosim.compile.compiled_step import CompiledStep, DieProgram
from rtl.interface.isa import Opcode
from rtl.interface.register_map import SIDES
from rtl.processes.temporary import temporary_folder

__all__ = ["moved", "train_faults", "train_flits", "train_overlap", "train_steps"]

UNEVEN = ModelSizes(hidden=19, heads=6, kv_heads=2, head_dim=4, ffn=22, layers=2, vocab=29)
"""Two layers; heads are not columns; four columns share two key/value heads; no mesh divides hidden and vocab."""
SMALL = ModelSizes(hidden=16, heads=4, kv_heads=2, head_dim=4, ffn=24, layers=1, vocab=16)
FULL = ModelSizes(hidden=32, heads=4, kv_heads=2, head_dim=8, ffn=64, layers=1, vocab=32)
"""Fills arrays of 4x4 on 2x2 dies."""

MESHES: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (1, 1, ()),
    (1, 2, ()),
    (2, 1, ()),
    (2, 2, ()),
    (2, 4, ()),
    (3, 2, ("die.rows=3", "die.cols=5")),
    (4, 4, ()),
)

FAULTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "wires": (("--direct",), ()),
    "links": ((), ()),
    "flips": (("--flips", "1e-3"), ()),
    "link stalls": (("--stalls", "0.01"), ()),
    "flips and stalls": (("--flips", "1e-3", "--stalls", "0.01", "--stall", "0.3"), ()),
    "memory stalls": (("--direct", "--stall", "0.5", "--interval", "3"), ()),
    "2 stages": (("--direct",), ("die.stages=2",)),
    "3 stages": (("--direct",), ("die.stages=3",)),
    "4 stages": (("--direct",), ("die.stages=4",)),
    "queue of 2": (("--direct",), ("die.queue_depth=2",)),
}
"""Options and keys of the machine; all of them leave the same bits."""


def _said(row: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def train_steps() -> dict[str, Any]:
    """One step of a model that nothing divides, on seven meshes."""
    rows = []
    for rows_of_dies, cols, keys in MESHES:
        training = Training(model=UNEVEN, rows=rows_of_dies, cols=cols, length=5, batch=5, tiles=2, keys=keys)
        found = training.run("--direct")
        rows.append(
            _said(
                {
                    "mesh": training.mesh,
                    "array": f"{found['rows']}x{found['cols']}",
                    **{name: found[name] for name in ("cycles", "words", "mismatches", "wall_seconds")},
                }
            )
        )
    return {"meshes": len(rows), "rows": rows}


def train_faults() -> dict[str, Any]:
    """One step on machines with faults and other sizes: digests of its weights, gradients and loss."""
    rows = []
    with temporary_folder() as folder:
        for name, (words, keys) in FAULTS.items():
            training = Training(model=SMALL, rows=2, cols=2, length=4, batch=4, keys=keys)
            dump = folder / "step.safetensors"
            found = training.run(*words, "--dump", str(dump), "--learning-rate", "0.1")
            faults = found["link_faults"] or {}
            rows.append(
                _said(
                    {
                        "machine": name,
                        "cycles": found["cycles"],
                        "mismatches": found["mismatches"],
                        "flips": faults.get("flips", 0),
                        "replayed": faults.get("replayed", 0),
                        "sha256": _digest(dump),
                    }
                )
            )
    return {"rows": rows, "different": len({row["sha256"] for row in rows}) - 1}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train_overlap() -> dict[str, Any]:
    """A model that fills the arrays, with one token tile and with four: use of the array, and what links expose."""
    rows = []
    for tiles in (1, 4):
        found = Training(model=FULL, rows=2, cols=2, length=16, batch=8, tiles=tiles).run("--direct")
        rows.append(
            _said(
                {
                    "tiles": tiles,
                    "cycles": found["cycles"],
                    "mismatches": found["mismatches"],
                    "array_share": found["units"]["array"]["measured"] / found["cycles"],
                    "nop_busy_cycles": found["nop_busy_cycles"],
                    "nop_exposed_cycles": found["nop_exposed_cycles"],
                }
            )
        )
    return {"rows": rows}


# ---- what crosses links and ports ----


def train_flits() -> dict[str, Any]:
    """Flits and words of memory of a step, with and without replicas and padding, counted in three places."""
    steps = (
        Training(model=FULL, rows=2, cols=2, length=16, batch=8, tiles=4),
        Training(model=UNEVEN, rows=2, cols=4, length=5, batch=5, tiles=2, optimizer="adam"),
    )
    return {"rows": [row for training in steps for row in _flits(training)]}


def _flits(training: Training) -> Iterator[dict[str, Any]]:
    compiled, found = training.compiled(), training.run("--direct")
    system = compiled.system
    graph = flits_in_step(
        compiled.graph,
        compiled.sizes.tile_shapes,
        word_bytes=system.memory.word_bytes,
        flit_bits=system.nop.flit_bits,
    )
    received = moved(compiled)
    for purpose, (flits, padding) in graph.items():
        yield _counted(training, f"flits, {purpose}", flits, received[purpose], extra=padding)
    total = sum(counts.flits for counts in graph.values())
    padding = sum(counts.padding for counts in graph.values())
    for way in ("sent", "received"):
        counted = sum(die[f"flits_{way}_{side}"] for die in found["counters"] for side in SIDES)
        yield _counted(training, f"flits {way}", total, counted, extra=padding)
    program = sum(len(die.commands) for die in compiled.dies) * system.memory.command_words
    reads, writes = (
        sum(words) for words in zip(*(_words(compiled, die) for die in compiled.dies), strict=True)
    )
    relays = sum(_relay_words(die) for die in compiled.dies)
    yield _counted(training, "words read", reads + program, found["axi_reads"], extra=relays)
    yield _counted(training, "words written", writes, found["axi_writes"])


def _counted(training: Training, what: str, graph: int, counted: int, *, extra: int = 0) -> dict[str, Any]:
    """A row: what the graph moves, what is there beside it (padding, or words of relays), and what was counted."""
    row = {"mesh": training.mesh, "what": what, "graph": graph, "extra": extra, "counted": counted}
    return _said({**row, "difference": counted - graph - extra})


def _relay_words(die: DieProgram) -> int:
    """Words that a die loads for the relays of its semaphores: commands that no step of the compiler has."""
    return sum(
        command.fields["rows"] * command.fields["words"]
        for command, step in zip(die.commands, die.step_numbers(), strict=True)
        if step is None and command.opcode == Opcode.LOAD
    )


def moved(compiled: CompiledStep) -> Counter[Purpose]:
    """Flits that the programs of all dies receive, by purpose.

    Raises ProbeError if an operator has other collectives than those of the graph.
    """
    operators = {
        operator.name: operator for section in compiled.graph.sections for operator in section.operators
    }
    flits: Counter[Purpose] = Counter()
    for die in compiled.dies:
        steps = [step for step in die.steps if step.opcode == Opcode.RECEIVE]
        for label, of_label in groupby(steps, key=lambda step: step.label):
            operator = operators[label.partition(" ")[0]]
            collectives = [list(group) for _, group in groupby(of_label, key=lambda step: step.group)]
            if isinstance(operator, Reduce):
                purposes: list[Purpose] = [operator.purpose] * len(collectives)
            else:
                assert isinstance(operator, (Gather, Scatter))
                purposes = [carried.purpose for carried in operator.carries]
            if len(purposes) != len(collectives):
                raise ProbeError(f"{label}: {len(collectives)} collectives instead of {len(purposes)}")
            for purpose, collective in zip(purposes, collectives, strict=True):
                flits[purpose] += sum(step.fields["chunks"] * step.fields["flits"] for step in collective)
    return flits


def _words(compiled: CompiledStep, die: DieProgram) -> tuple[int, int]:
    """Words that a die's step reads from memory and writes: each tensor of the graph's moves and each constant once."""
    graph = compiled.graph
    keys: dict[str, set[tuple[str, int | None, int | None]]] = {"load": set(), "store": set()}
    for operator, layer, tile in graph.order(compiled.sizes.tiles):
        if isinstance(operator, Move):
            keys[operator.direction] |= {
                (name, graph.layer_of(name, layer), tile if graph.tensors[name].life == "tile" else None)
                for name in operator.tensors
            }
    loads, stores = (sum(len(die.memory[key].words) for key in keys[way]) for way in ("load", "store"))
    return loads + len(die.constants), stores
