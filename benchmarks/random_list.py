"""Regression list of random GEMMs on random dies, for the predicted cycles of whatever is legal.

Dies have arrays of 1 to 8 rows and columns, buffers and scratchpads from the least size on, any queue, word and number
of reads in flight; runs have sizes of 1 to 100, all forms, any latency and interval of the memory. The same seed makes
the same list.

    python -m benchmarks.random_list [--seed N] [--dies N] [--runs N] [-o FILE]
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chiplet.layout.block_sizes import tile_cycles
from chiplet.machine.configuration_keys import to_toml_value
from chiplet.machine.specs import DieSpec, Dtype, MemorySpec, NopSpec, scratchpad_banks
from cosim.program.gemm import GemmProgram, schedule_gemm
from cosim.program.shape import FORMS, Shape

__all__ = ["main", "random_list"]

SEED = 20
DIES = 20
RUNS = 500
MOST_CYCLES = 10_000
"""Cycles of a run if its units worked one after the other, so that the list ends in minutes."""

HEADER = """\
# {runs} random GEMMs on {dies} random dies, made by
#
#     python -m benchmarks.random_list --seed {seed} --dies {dies} --runs {runs}
#
#     hecaton cosim regress benchmarks/regressions/random.toml --sim cxxrtl

bounds = {{ prediction_error = 0.01, prediction_cycles = 4 }}
"""


def random_list(*, seed: int, dies: int, runs: int) -> str:
    """Return the regression list as TOML: ``runs`` runs, as evenly as possible on ``dies`` dies."""
    rng = random.Random(seed)
    parts = [HEADER.format(seed=seed, dies=dies, runs=runs)]
    for number in range(dies):
        die, memory = _random_machine(rng)
        count = runs * (number + 1) // dies - runs * number // dies
        parts.append("\n[[lists]]\n")
        parts.extend(f"configuration.{key} = {to_toml_value(value)}\n" for key, value in _keys(die, memory))
        parts.append("runs = [\n")
        for _ in range(count):
            run = ", ".join(f"{key} = {to_toml_value(value)}" for key, value in _random_run(rng, die, memory))
            parts.append(f"  {{ {run} }},\n")
        parts.append("]\n")
    return "".join(parts)


def _keys(die: DieSpec, memory: MemorySpec) -> Iterator[tuple[str, Any]]:
    """Configuration keys of a machine."""
    for section, spec in (("die", die), ("memory", memory)):
        for name in sorted(spec.model_fields_set):
            yield f"{section}.{name}", getattr(spec, name)


def _log_uniform(rng: random.Random, least: int, most: int) -> int:
    """A random integer whose logarithm is spread evenly."""
    return min(most, int(math.exp(rng.uniform(math.log(least), math.log(most + 1)))))


def _size(rng: random.Random) -> int:
    """A size of a GEMM: small ones as often as large ones."""
    return rng.randint(1, 100) if rng.random() < 0.5 else _log_uniform(rng, 1, 100)


def _random_machine(rng: random.Random) -> tuple[DieSpec, MemorySpec]:
    rows, cols = rng.randint(1, 8), rng.randint(1, 8)
    if rng.random() < 0.2:
        rows, cols = rng.choice(((1, cols), (rows, 1)))
    dtype: Dtype = "bf16" if rng.random() < 0.5 else "int8"
    element = 2 if dtype == "bf16" else 1
    memory = MemorySpec(
        word_bytes=rng.choice((8, 16, 16, 32, 32, 32, 64, 64)), outstanding=_log_uniform(rng, 1, 40)
    )

    def buffer(least: int) -> int:
        # Half of the buffers are so small that a GEMM is cut into many blocks.
        return round(least * _log_uniform(rng, 10, 200 if rng.random() < 0.5 else 10_000) / 10)

    die = DieSpec(
        rows=rows,
        cols=cols,
        dtype=dtype,
        weight_bytes=buffer(rows * cols * element),
        activation_bytes=buffer(rows * rows * element),
        accumulator_bytes=buffer(2 * cols * 4),
        scratchpad_bytes=buffer(max(64, scratchpad_banks(memory, NopSpec()) * memory.word_bytes)),
        stages=rng.randint(1, 4),
        queue_depth=rng.choice((2, 3, 4, 4, 6, 8)),
    )
    return die, memory


def _random_run(rng: random.Random, die: DieSpec, memory: MemorySpec) -> list[tuple[str, Any]]:
    """A run that is legal on the die and takes no more than a few thousand cycles."""
    while True:
        m, k, n = (_size(rng) for _ in range(3))
        form = rng.choice(FORMS)
        interval = rng.choice((1, 1, 1, 2, 3, 4))
        latency = _log_uniform(rng, 2, 60)
        placed = memory.model_copy(update={"latency_cycles": latency})
        try:
            program = schedule_gemm(die, placed, Shape(m=m, k=k, n=n, form=form))
        except ValueError:
            continue  # the buffers are too small for it
        if _serial_cycles(program, die, memory, interval) <= MOST_CYCLES:
            return [
                ("shape", f"{m}x{k}x{n}"),
                ("form", form),
                ("latency_cycles", latency),
                ("interval", interval),
                ("seed", rng.randrange(1000)),
            ]


def _serial_cycles(program: GemmProgram, die: DieSpec, memory: MemorySpec, interval: int) -> int:
    """About the cycles of a program whose units work one after the other."""
    cycles = 0
    for command in program.commands:
        fields = command.all_fields
        cycles += interval * (memory.command_words + fields.get("rows", 0) * fields.get("words", 0))
        cycles += fields.get("k_tiles", 0) * fields.get("panels", 0) * tile_cycles(die, fields.get("m", 0))
    return cycles


def main(arguments: Sequence[str]) -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_list")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--dies", type=int, default=DIES)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("-o", "--output", type=Path, help="instead of standard output")
    options = parser.parse_args(arguments)
    text = random_list(seed=options.seed, dies=options.dies, runs=options.runs)
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
