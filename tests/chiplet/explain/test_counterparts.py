"""The ledger: every input of a projection has its counterpart in the hardware, and every row an input."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chiplet.explain.counterparts import COUNTERPARTS, counterpart_of, ledger_rows
from chiplet.machine.config import load_system
from chiplet.machine.configuration_keys import known_keys, section_names, values_by_name
from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.projection.results import Projection
from hecaton.cli import app
from tests.chiplet.machines import small_model, small_package

NO_RATES = {
    "die.dtype": "a type",
    "memory.preset": "a name",
    "package.rows": "a size of the mesh",
    "package.cols": "a size of the mesh",
    "package.io": "a choice",
    "parallel.data": "a number of packages",
    "parallel.pipeline": "a number of packages",
    "parallel.context": "a number of packages",
}
"""Keys that a projection follows and that are no rate, latency or size of a resource."""


def inputs_of(found: Projection) -> set[str]:
    return {entry.name for entry in (*found.measured_inputs, *found.assumed_inputs, *found.cost.inputs)}


def projected(system: SystemSpec) -> Projection:
    return project(StepRequest(small_model(), system, mesh=(2, 2), global_batch=4))


@pytest.mark.parametrize(
    "overrides", [(), ("die.dtype=int8",), ("parallel.data=2",), ("cost.package=fanout",)]
)
def test_every_input_has_a_row(overrides: tuple[str, ...]) -> None:
    found = projected(small_package(*overrides))
    rows = ledger_rows([*found.measured_inputs, *found.assumed_inputs, *found.cost.inputs])
    assert {row.name for row in rows} == inputs_of(found)
    assert all(row.hardware and row.bench for row in rows)


def test_every_row_names_an_existing_key() -> None:
    keys = {*known_keys(), *(f"gemm.{name}" for name in GemmTerms.model_fields)}
    sections = {f"{name}.*" for name in (*section_names(), "model")}
    assert set(COUNTERPARTS) <= keys | sections
    with pytest.raises(KeyError):
        counterpart_of("die.colour")


def changed() -> Iterator[tuple[str, SystemSpec]]:
    """The small package with one key changed, for each that can be."""
    base = small_package()
    for name, value in values_by_name(base).items():
        if isinstance(value, (bool, str)):
            continue
        for other in (value * 2, value + 1, value / 2 if isinstance(value, float) else value // 2):
            try:
                yield name, small_package(f"{name}={other}")
                break
            except ValueError:
                continue


def test_every_key_that_moves_a_projection_is_an_input() -> None:
    base = projected(small_package())
    there = inputs_of(projected(small_package("parallel.data=2"))) | inputs_of(base)
    numbers = ("step_seconds", "energy_joules", "mfu", "breakdown")
    missing = set()
    for name, system in changed():
        try:
            found = projected(system)
        except ValueError:
            continue
        moved = any(getattr(found, number) != getattr(base, number) for number in numbers)
        if moved and name not in there | set(NO_RATES):
            missing.add(name)
    assert missing == set()


def test_benches_are_commands() -> None:
    from typer.main import get_command

    names = set(get_command(app).commands)  # type: ignore[attr-defined]
    for _, bench in COUNTERPARTS.values():
        words = bench.split()
        assert not words or words[:2] == ["make", "accept"] or (words[0] == "hecaton" and words[1] in names)


def test_the_preset_small_trains_tinyllama_on_four_dies() -> None:
    found = project(StepRequest("tinyllama-1.1b", load_system(None, [], preset="small"), dies=4))
    assert all(use.needed_bytes <= use.available_bytes for use in found.memory.buffers.values())
