"""The quickest steps of many machines at once are those of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.specs import SystemSpec
from chiplet.machine.terms import GemmTerms
from chiplet.methods.registry import METHODS, make_switches, method_type
from chiplet.schedule.schedule import step_work
from chiplet.step.account import StepAccount
from chiplet.step.jobs import Jobs, ways_to_run
from chiplet.step.overlap import Machine
from chiplet.step.quickest import quickest_step
from chiplet.step.quickest_steps import quickest_steps
from chiplet.sweep.machines import varied
from chiplet.vectorized.meshes import Meshes
from nop.topology import Mesh
from tests.chiplet.machines import MIXED, small_model, small_package

MACHINE = st.fixed_dictionaries(
    {
        "mesh": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        "global_batch": st.integers(1, 40),
        "die.rows": st.sampled_from([1, 3, 8, 16]),
        "die.weight_bytes": st.sampled_from([2_000, 20_000, 200_000, 8_000_000]),
        "die.scratchpad_bytes": st.sampled_from([4_000, 40_000, 400_000, 8_000_000]),
        "die.accumulator_bytes": st.sampled_from([3_000, 60_000, 8_000_000]),
        "memory.channel_bytes": st.sampled_from([500_000, 4_000_000, 10**12]),
    }
)


def column(machines: list[dict[str, Any]], name: str) -> Any:
    return np.array([float(machine[name]) for machine in machines])[:, None]


def numbers(account: StepAccount, row: int) -> list[float]:
    """What a step takes, by pass, and what it counts."""
    values: list[Any] = [account.seconds, account.layer_elements, *account.events.numbers]
    for one_pass in account.passes:
        values += [
            one_pass.seconds,
            one_pass.waiting,
            *one_pass.on_package.numbers,
            *one_pass.traffic.numbers,
        ]
    return [float(value[row, 0] if isinstance(value, np.ndarray) else value) for value in values]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(METHODS)),
    machines=st.lists(MACHINE, min_size=1, max_size=6),
    recompute=st.sampled_from(["none", "selective", "full"]),
    mini_batch=st.sampled_from([None, 1, 3]),
    length=st.integers(1, 64),
    changes=st.sampled_from([{"kv_heads": 1}] * 7 + MIXED),
)
def test_steps_of_many_machines_are_those_of_each(
    name: str,
    machines: list[dict[str, Any]],
    recompute: str,
    mini_batch: int | None,
    length: int,
    changes: dict[str, Any],
) -> None:
    model, base = small_model(**changes), small_package()
    switches = make_switches(name, {"recompute": recompute})
    rows, cols = (
        np.array([float(machine["mesh"][side]) for machine in machines])[:, None] for side in (0, 1)
    )
    keys = [key for key in machines[0] if "." in key]
    jobs = Jobs(
        len(machines),
        method_type(name)(model, Meshes(rows, cols), switches, 2),
        varied(base, {key: column(machines, key) for key in keys}),
        GemmTerms(),
        column(machines, "global_batch"),
        length,
        mini_batch,
        "adam",
    )
    ways, refused = ways_to_run(jobs)
    found: dict[int, tuple[StepAccount, int]] = {}
    if len(ways.rows):
        account = quickest_steps(ways)
        found = {row: (account, place) for place, row in enumerate(ways.rows.tolist())}
    assert sorted([*found, *refused]) == list(range(len(machines)))
    for row, machine in enumerate(machines):
        system: SystemSpec = varied(base, {key: machine[key] for key in keys})
        method = method_type(name)(model, Mesh(*machine["mesh"]), switches, 2)

        def single(method: Any = method, system: Any = system, machine: Any = machine) -> StepAccount:
            work = step_work(
                method,
                system,
                global_batch=machine["global_batch"],
                length=length,
                optimizer="adam",
                mini_batch=mini_batch,
            )
            return quickest_step(method, Machine(system, GemmTerms()), work, "adam").account

        if row in refused:
            with pytest.raises(ValueError, match="does not fit") as refusal:
                single()
            assert str(refusal.value) == refused[row]
        else:
            account, place = found[row]
            assert numbers(account, place) == pytest.approx(numbers(single(), 0), rel=1e-12)
