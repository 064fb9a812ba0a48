"""Random collectives on a few models: bits, cycles beside the floor, cycles beside the prediction.

``python -m benchmarks.accept.collectives --models N`` runs those of the first N models only. It prints a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from chiplet.machine.config import load_system
from chiplet.machine.link_frame import link_frame
from chiplet.machine.specs import SystemSpec
from cosim.records.collective import CollectiveRecord, CollectiveRequest, collective_request
from cosim.records.links import FaultyLinks
from cosim.run.collective import run_collective
from cosim.run.package_collective import run_package_collective
from nop.collectives import ALGORITHMS, OPS

__all__ = ["MODELS", "Model", "collectives", "main", "requests_of"]

RUNS_OF_A_MODEL = 15
MOST_FLITS = 200


@dataclass(frozen=True)
class Model:
    """What a simulator's model is built for: a mesh or a package of int8 dies.

    Attributes
    ----------
    rows, cols
        Dies.
    flit_bits, buffer_flits
        Of the routers.
    package
        Whether it is a package, or the bench of collectives.
    lanes
        Lanes of links with adapters, or None for wires; a package always has adapters.
    """

    rows: int
    cols: int
    flit_bits: int
    buffer_flits: int
    package: bool = False
    lanes: int | None = None

    @property
    def at_full_rate(self) -> bool:
        """Whether links take a flit in every cycle, which the floor is about."""
        wires = self.lanes is None and not self.package
        return self.buffer_flits > 1 and (wires or link_frame(self.system).flits_per_cycle == 1)

    @property
    def system(self) -> SystemSpec:
        """The machine."""
        settings = [
            "die.dtype=int8",
            f"nop.flit_bits={self.flit_bits}",
            f"nop.buffer_flits={self.buffer_flits}",
            *([] if self.lanes is None else [f"link.lanes={self.lanes}"]),
        ]
        return load_system(None, settings, preset="bench")


MODELS = (
    Model(1, 3, 64, 2),
    Model(1, 4, 32, 4),
    Model(2, 2, 128, 8),
    Model(5, 1, 256, 3),
    Model(2, 3, 64, 4, package=True),
    Model(3, 2, 512, 2),
    Model(1, 8, 64, 6),
    Model(1, 3, 1024, 4),
    Model(2, 2, 256, 2, package=True),
    Model(3, 3, 32, 5),
    Model(1, 5, 128, 7),
    Model(1, 2, 512, 8, package=True),
    Model(7, 1, 32, 2),
    Model(2, 4, 256, 4),
    Model(3, 1, 128, 3, package=True),
    Model(1, 6, 512, 4),
    Model(2, 2, 1024, 3),
    Model(4, 1, 32, 8, package=True),
    Model(3, 2, 128, 2),
    Model(1, 3, 1024, 5, package=True, lanes=80),
    # Buffers of one flit, and links on which a flit waits for a frame: right and predicted, but beyond the floor.
    Model(1, 3, 64, 1),
    Model(2, 2, 256, 1, package=True),
    Model(1, 3, 32, 1, lanes=5),
    Model(1, 5, 128, 7, lanes=4),
    Model(1, 3, 256, 4, lanes=16),
    Model(2, 3, 64, 2, lanes=2, package=True),
)


def requests_of(model: Model, *, seed: int) -> Iterator[CollectiveRequest]:
    """Random collectives on a model; the same for the same seed."""
    random = Random(f"{seed} {model}")
    system = model.system
    links = None if model.lanes is None and not model.package else FaultyLinks.of(system)
    axes = [axis for axis, nodes in (("row", model.cols), ("column", model.rows)) if nodes > 1]
    room = 8 * system.die.scratchpad_bytes // (model.flit_bits * (model.rows + model.cols))
    for _ in range(RUNS_OF_A_MODEL):
        yield collective_request(
            op=random.choice(OPS),
            rows=model.rows,
            cols=model.cols,
            axis=random.choice([*axes, "both"]),
            algorithm=random.choice(ALGORITHMS),
            # As many short chunks as long ones.
            flits=min(room // 2, round(MOST_FLITS ** random.random())),
            die=system.die,
            nop=system.nop,
            memory=system.memory,
            links=links,
            seed=random.randrange(1 << 16),
            sim="cxxrtl",
        )


def _row(model: Model, record: CollectiveRecord) -> dict[str, Any]:
    cycles, floor, predicted = record.cycles, record.floor_cycles, record.predicted_cycles
    return {
        "op": record.op,
        "algorithm": record.algorithm,
        "mesh": record.mesh,
        "package": model.package,
        "axis": record.axis,
        "flits": record.flits,
        "flit_bits": model.flit_bits,
        "buffer_flits": model.buffer_flits,
        "lanes": model.lanes,
        "seed": record.seed,
        "mismatches": record.mismatches,
        "cycles": cycles,
        "floor_cycles": floor,
        "predicted_cycles": predicted,
        "near_floor": floor <= cycles <= max(floor + 4, 1.05 * floor),
        "predicted": abs(predicted - cycles) <= max(4, 0.03 * cycles),
    }


def collectives(models: Sequence[Model] = MODELS, *, seed: int = 0) -> dict[str, Any]:
    """Run the collectives of ``models``; those that are not at full rate are counted apart."""
    rows, fast = [], []
    for model in models:
        for request in requests_of(model, seed=seed):
            record = (
                run_package_collective(request, model.system) if model.package else run_collective(request)
            )
            row = _row(model, record)
            rows.append(row)
            fast += [row] * model.at_full_rate
            print(json.dumps(row), file=sys.stderr, flush=True)
    return {
        "runs": len(fast),
        "slow_runs": len(rows) - len(fast),
        "mismatches": sum(row["mismatches"] for row in rows),
        "beyond_floor": sum(not row["near_floor"] for row in fast),
        "below_floor": sum(row["cycles"] < row["floor_cycles"] for row in rows),
        "not_predicted": sum(not row["predicted"] for row in rows),
        "rows": [
            row
            for row in rows
            if row["mismatches"] or not row["predicted"] or (row in fast and not row["near_floor"])
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the collectives, print what they have shown, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accept.collectives", description=__doc__)
    parser.add_argument(
        "--models", type=int, default=len(MODELS), help="models, the first ones (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    print(json.dumps(collectives(MODELS[: chosen.models], seed=chosen.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
