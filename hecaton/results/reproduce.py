"""The command that reproduces a result, as a line for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from chiplet.machine.base import StrictModel
from chiplet.machine.config import load_system, parse_value
from chiplet.machine.configuration_keys import to_toml_value
from cosim.records.gemm import GemmRequest


def command(*words: object, into: Path | None = None) -> str:
    """Return ``hecaton`` with these words, quoted for a shell; ``into`` is the file that stdout goes to."""
    line = shlex.join(["hecaton", *map(str, words)])
    return line if into is None else f"{line} > {shlex.quote(str(into))}"


def gemm_command(request: GemmRequest, records: Path) -> str:
    """Return the command that runs ``request`` and leaves its record in ``records``."""
    words: list[object] = ["cosim", "gemm", "--m", request.m, "--k", request.k, "--n", request.n]
    for name in ("form", "stall", "interval", "operands", "seed", "sim"):
        value = getattr(request, name)
        if value != GemmRequest.model_fields[name].default:
            words += [f"--{name}", value]
    base = load_system(None, [], preset="bench")
    for assignment in (
        *_differences("die", request.die, base.die),
        *_differences("memory", request.memory, base.memory),
    ):
        words += ["-P", assignment]
    return command(*words, "--records", records)


def _differences(section: str, spec: StrictModel, base: StrictModel) -> Sequence[str]:
    """Return ``KEY=VALUE`` for every field in which ``spec`` differs from ``base``."""
    assignments = []
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if value != getattr(base, name):
            plain = isinstance(value, str) and parse_value(value) == value
            assignments.append(f"{section}.{name}={value if plain else to_toml_value(value)}")
    return assignments
