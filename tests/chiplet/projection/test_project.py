"""Projections: what must hold for every method and machine, and what the presets give."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.calibration import Calibration
from chiplet.machine.terms import DieTerms, GemmTerms
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.studies.compare import compare
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

NAMES = list(METHODS)
METHOD = st.sampled_from(NAMES)
SIDE = st.integers(1, 8)
MODEL = small_model(hidden=192, head_dim=24, ffn=520)


def _small(method: str, rows: int, cols: int, *overrides: str, **arguments: Any) -> Any:
    arguments = {"global_batch": 20, "sequence_length": 64} | arguments
    system = small_package(*overrides)
    return project(StepRequest(MODEL, system, mesh=(rows, cols), method=method, **arguments))


@given(
    method=METHOD,
    rows=SIDE,
    cols=SIDE,
    global_batch=st.integers(1, 70),
    length=st.integers(1, 64),
    recompute=st.sampled_from(["none", "selective", "full"]),
    overlap=st.booleans(),
    optimizer=st.sampled_from(["adam", "sgd"]),
)
def test_parts_add_up(
    method: str,
    rows: int,
    cols: int,
    global_batch: int,
    length: int,
    recompute: str,
    overlap: bool,
    optimizer: str,
) -> None:
    found = _small(
        method,
        rows,
        cols,
        switches={"recompute": recompute, "overlap": overlap},
        global_batch=global_batch,
        sequence_length=length,
        optimizer=optimizer,
    )
    parts = found.breakdown
    exposed = parts.nop_exposed + parts.vector_exposed + parts.dram_exposed
    assert parts.compute + exposed + parts.optimizer == pytest.approx(found.step_seconds)
    assert parts.forward + parts.backward + parts.optimizer_step == pytest.approx(found.step_seconds)
    assert all(part >= -1e-15 for part in parts.model_dump().values())
    assert sum(found.energy.values()) == pytest.approx(found.energy_joules)
    assert all(part >= 0 for part in found.energy.values())
    assert 0 < found.mfu <= 1
    assert found.tokens_per_second == pytest.approx(global_batch * length / found.step_seconds)
    assert (found.nop_elements_per_die_per_layer > 0) == (rows * cols > 1)


@given(
    method=METHOD,
    rows=SIDE,
    cols=SIDE,
    key=st.sampled_from(["link.lane_rate", "memory.channel_bytes_per_second"]),
    base=st.floats(1e8, 1e11),
    factor=st.floats(1.0, 1000.0),
    overlap=st.booleans(),
)
def test_more_bandwidth_never_slows_a_step(
    method: str, rows: int, cols: int, key: str, base: float, factor: float, overlap: bool
) -> None:
    switches = {"overlap": overlap}
    slow, fast = (
        _small(method, rows, cols, f"{key}={value}", switches=switches).step_seconds
        for value in (base, base * factor)
    )
    assert fast <= slow * (1 + 1e-9)


@given(
    method=METHOD,
    rows=SIDE,
    cols=SIDE,
    bits=st.integers(1, 300),
    factor=st.integers(1, 20),
    overlap=st.booleans(),
)
def test_a_multiple_of_the_clock_never_slows_a_step(
    method: str, rows: int, cols: int, bits: int, factor: int, overlap: bool
) -> None:
    """A link carries whole bits in whole cycles, so the clock has to divide what its lanes carry, and be a multiple."""
    lanes = 512e9
    slow, fast = (
        _small(
            method,
            rows,
            cols,
            "link.lanes=1",
            f"link.lane_rate={lanes}",
            f"die.clock_hz={lanes / cycle_bits}",
            switches={"overlap": overlap},
        ).step_seconds
        for cycle_bits in (bits * factor, bits)
    )
    assert fast <= slow * (1 + 1e-9)


@pytest.mark.parametrize("method", NAMES)
def test_a_latency_only_slows(method: str) -> None:
    quick = _small(method, 4, 4, "link.latency_seconds=0")
    slow = _small(method, 4, 4, "link.latency_seconds=1e-6")
    assert slow.step_seconds > quick.step_seconds
    # Larger token tiles hide latency and read weights less often; nothing else changes.
    assert slow.energy | {"sram": 0.0} == pytest.approx(quick.energy | {"sram": 0.0})


@pytest.mark.parametrize("method", NAMES)
def test_recomputation_trades_time_for_memory(method: str) -> None:
    none, selective, full = (
        _small(method, 2, 4, switches={"recompute": recompute}) for recompute in ("none", "selective", "full")
    )
    assert none.breakdown.compute < selective.breakdown.compute < full.breakdown.compute
    assert none.memory.dram.needed_bytes > selective.memory.dram.needed_bytes > full.memory.dram.needed_bytes


def test_hecaton_volume_of_a_layer_by_hand() -> None:
    """Square mesh, no grouped queries: forward, dX, X again, and the norms' sums."""
    model = small_model(kv_heads=8)
    found = project(StepRequest(model, small_package(), mesh=(4, 4), global_batch=8, sequence_length=64))
    m, h, f, R = 8 * 64, 96, 200, 4
    inputs, outputs = (h + h + h + f), (3 * h + h + 2 * f + h)
    share = m * (R - 1) / (R * R)
    norms = 2 * 2 * 2 * m * (R - 1) / R  # two norms, forward and backward, gathered and added up
    assert found.nop_elements_per_die_per_layer == pytest.approx(share * (3 * inputs + 2 * outputs) + norms)
    kept = project(
        StepRequest(
            model,
            small_package(),
            mesh=(4, 4),
            global_batch=8,
            sequence_length=64,
            switches={"gather_again": False},
        )
    )
    assert kept.nop_elements_per_die_per_layer == pytest.approx(share * 2 * (inputs + outputs) + norms)


def test_flat_ring_volume_of_a_layer_by_hand() -> None:
    model = small_model(kv_heads=8)
    found = project(
        StepRequest(
            model,
            small_package(),
            mesh=(2, 4),
            method="flat-ring",
            global_batch=8,
            sequence_length=64,
        )
    )
    assert found.nop_elements_per_die_per_layer == pytest.approx(8 * 7 / 8 * 8 * 64 * 96)


def test_one_die_has_no_communication() -> None:
    for method in NAMES:
        found = _small(method, 1, 1)
        assert found.breakdown.nop_busy == 0
        assert found.energy["nop"] == 0


def test_the_largest_case_fits_and_the_volume_shrinks_as_the_package_grows() -> None:
    found = {dies: project(StepRequest("llama3.1-405b", PACKAGE, dies=dies)) for dies in (512, 1024)}
    assert found[1024].mesh == "32x32"
    assert found[1024].nop_elements_per_die_per_layer < found[512].nop_elements_per_die_per_layer
    assert found[1024].step_seconds < found[512].step_seconds


def test_a_calibration_is_used_and_named() -> None:
    slow = Calibration(
        die=PACKAGE.die,
        terms=DieTerms(gemm=GemmTerms(per_tile=64.0)),
        provenance={"hecaton_version": "x"},
    )
    floor = project(StepRequest("llama2-7b", PACKAGE, dies=64))
    measured = project(StepRequest("llama2-7b", PACKAGE, dies=64, calibration=slow))
    assert measured.breakdown.compute > floor.breakdown.compute
    assert floor.measured_inputs == []
    assert [item.name for item in measured.measured_inputs] == ["gemm.per_tile"]
    with pytest.raises(ValueError, match=r"made for a die with die\.rows = 64, not 32"):
        project(StepRequest("llama2-7b", package("die.rows=32"), dies=64, calibration=slow))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dies": 0}, "dies = 0: must be at least 1"),
        ({"mesh": (2, 0)}, "mesh cols = 0: must be at least 1"),
        ({"mesh": (2, 2), "dies": 5}, "mesh 2x2 has 4 dies, not 5: give one of the two, or let them agree"),
        (
            {"method": "rings"},
            "unknown method 'rings': must be one of hecaton, flat-ring, torus-ring, optimus",
        ),
        (
            {"switches": {"colective": "ring"}},
            "unknown switch 'colective' of hecaton: the nearest known one is collective",
        ),
        ({"global_batch": 0}, "global_batch = 0: must be at least 1"),
        ({"sequence_length": 0}, "sequence_length = 0: must be at least 1"),
        ({"mini_batch": -1}, "mini_batch = -1: must be at least 1"),
        ({"optimizer": "lion"}, "optimizer 'lion': must be one of sgd, adam"),
        (
            {"model": "gpt3-175b", "sequence_length": 4096},
            "sequence_length = 4096: gpt3-175b has learned positions for 2048 tokens",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    values = {"model": "tinyllama-1.1b"} | arguments
    model = values.pop("model")
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        project(StepRequest(model, PACKAGE, **values))
    assert str(refusal.value) == message


def test_the_systems_own_mesh_is_the_default() -> None:
    assert (
        project(StepRequest(MODEL, package("package.rows=2", "package.cols=3"), global_batch=2)).mesh == "2x3"
    )
    assert project(StepRequest(MODEL, PACKAGE, mesh=Mesh(3, 2), global_batch=2)).mesh == "3x2"


def test_comparison_states_switches_and_stands_beside_the_published_figures() -> None:
    found = compare(StepRequest("llama3.1-405b", PACKAGE, dies=1024), {"flat-ring": {"direction": "one"}})
    by_name = {result.method: result for result in found.methods}
    assert list(by_name) == NAMES
    flat = by_name["flat-ring"]
    assert (flat.speedup, flat.energy_ratio, flat.switches["direction"]) == (1.0, 1.0, "one")
    for result in found.methods:
        assert result.speedup == pytest.approx(flat.step_seconds / result.step_seconds)
        assert result.energy_ratio == pytest.approx(flat.energy_joules / result.energy_joules)
    ours = by_name["hecaton"]
    assert ours.speedup > 1 < ours.energy_ratio
    alike = [row for row in found.baselines if row.like_for_like]
    assert found.baselines[: len(alike)] == alike
    assert [(row.switches["direction"], row.switches["overlap"]) for row in alike] == [
        ("both", True),
        ("both", False),
        ("one", True),
        ("one", False),
    ]
    assert len(found.baselines) == 12
    for row in found.baselines:
        theirs, own = row.switches, row.hecaton_switches
        same = theirs["overlap"] == own["overlap"] and theirs["gather_again"] == own["gather_again"]
        assert row.like_for_like == same == (not row.unlike)
        assert own["overlap"] or not theirs["overlap"]
        assert row.step_seconds * (1 + 1e-12) > next(
            one.step_seconds
            for one in alike
            if (one.switches["direction"], one.switches["overlap"])
            == (theirs["direction"], theirs["overlap"])
        )
    # Without overlap of its own, Hecaton gains less over the ring that has none.
    for row in (row for row in found.baselines if "overlap of communication" in row.unlike):
        fair = next(one for one in found.baselines if one.switches == row.switches and one is not row)
        assert fair.step_seconds == row.step_seconds
        assert fair.speedup < row.speedup
    assert [(claim.speedup, claim.energy_ratio, claim.status) for claim in found.published] == [
        (5.29, 3.46, "published")
    ]
    assert found.measured_inputs == []
    default = next(
        row for row in found.baselines if row.switches == flat.switches and row.hecaton_switches["overlap"]
    )
    assert default.speedup == pytest.approx(ours.speedup)
    assert default.unlike == ["how inputs of the backward pass come back"]


def test_a_comparison_leaves_out_what_does_not_fit_and_says_why() -> None:
    found = compare(StepRequest("llama2-7b", package("die.weight_bytes=20000"), dies=4))
    assert [result.method for result in found.methods] == ["hecaton", "flat-ring", "torus-ring"]
    assert [row.method for row in found.left_out] == ["optimus"]
    assert " does not fit: weight buffer needs " in found.left_out[0].reason


def test_unknown_methods_in_a_comparison_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown method 'ring'"):
        compare(StepRequest("tinyllama-1.1b", PACKAGE, dies=16), {"ring": {}})


def test_importing_the_projection_loads_no_hardware_tools() -> None:
    code = (
        "import sys, chiplet.projection.project; "
        "print(sorted({'amaranth', 'cocotb', 'matplotlib', 'rich', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
