"""Sweeps: the numbers of single projections, points that do not fit, constraints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.machine.calibration import Calibration, LinkGoodput
from chiplet.machine.configuration_keys import values_by_name
from chiplet.machine.specs import LINK_TOO_SLOW, SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.machine.terms import DieTerms, GemmTerms
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.sweep.axes import CONTINUOUS, JOB_KEYS, has_switch, mesh_of
from chiplet.sweep.columns import COLUMNS, of_projection
from chiplet.sweep.evaluate import Points, SweepTask, evaluate, inner_values, point_request
from chiplet.sweep.space import Space, make_sweep
from nop.terms import NopTerms
from tests.chiplet.machine.synthesized.reports import report
from tests.chiplet.machines import PACKAGE, package, small_model, small_package

SPEEDS = {
    "die.clock_hz": (0.5e9, 2e9),
    "link.lane_rate": (1e9, 64e9),
    "link.latency_seconds": (0.0, 1e-6),
    "link.pj_per_bit": (0.1, 2.0),
    "memory.channel_bytes_per_second": (1e9, 1e12),
    "memory.efficiency": (0.3, 1.0),
    "memory.pj_per_bit": (1.0, 12.0),
    "energy.static_watts": (0.0, 5.0),
    "area.overhead": (0.0, 0.5),
    "cost.wafer_dollars": (2000.0, 20000.0),
    "cost.defects_per_cm2": (0.0, 0.5),
    "cost.dram_dollars_per_gib": (0.0, 10.0),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model as a ``config.json``."""
    small = small_model(hidden=192, head_dim=24, ffn=520)
    path = tmp_path_factory.mktemp("model") / "small.json"
    values = {
        "model_type": "llama",
        "hidden_size": small.hidden,
        "num_attention_heads": small.heads,
        "num_key_value_heads": small.kv_heads,
        "head_dim": small.head_dim,
        "intermediate_size": small.ffn,
        "num_hidden_layers": small.layers,
        "vocab_size": small.vocab,
        "max_position_embeddings": 64,
    }
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


def run(
    base: SystemSpec,
    calibration: Calibration | None = None,
    silicon: tuple[SiliconReport, ...] = (),
    **space: Any,
) -> tuple[Any, Points]:
    sweep = make_sweep(Space.model_validate(space), base, source="space")
    return sweep, evaluate(SweepTask(sweep, 0, sweep.groups * sweep.group_points, calibration, silicon))


def single(
    sweep: Any,
    point: int,
    base: SystemSpec,
    calibration: Calibration | None = None,
    silicon: tuple[SiliconReport, ...] = (),
) -> dict[str, float]:
    """The same columns by a projection of this point alone."""
    chosen = sweep.group(point // sweep.group_points)
    inner = inner_values(sweep, np.array([point % sweep.group_points]))
    chosen |= {name: values.tolist()[0] for name, values in inner.items()}
    values = base.model_dump()
    for name, value in chosen.items():
        section, dot, key = name.partition(".")
        if dot and section != "switches":
            values[section][key] = value
    job = {name: chosen[name] for name in JOB_KEYS if chosen[name] is not None}
    job["mesh"] = mesh_of(job["mesh"])
    switches = {
        name.rpartition(".")[2]: value
        for name, value in chosen.items()
        if name.startswith("switches.") and has_switch(chosen["method"], name)
    }
    return of_projection(
        project(
            StepRequest(
                system=SystemSpec.model_validate(values),
                switches=switches,
                calibration=calibration,
                silicon=silicon,
                **job,
            )
        )
    )


def agree(
    sweep: Any,
    found: Points,
    base: SystemSpec,
    rows: Iterable[int],
    calibration: Calibration | None = None,
    silicon: tuple[SiliconReport, ...] = (),
) -> int:
    """Hold rows against single projections, messages included; how many of them fit."""
    fitting = 0
    for row in rows:
        reason, point = found.reasons[found.reason[row]], int(found.index[row])
        if reason:
            with pytest.raises(ValueError, match=re.escape(reason)):
                single(sweep, point, base, calibration, silicon)
            assert all(np.isnan(found.results[name][row]) for name in COLUMNS)
            continue
        fitting += 1
        expected = single(sweep, point, base, calibration, silicon)
        for name in COLUMNS:
            assert found.results[name][row] == pytest.approx(expected[name], rel=1e-12, abs=0), name
    return fitting


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_sweep_has_the_numbers_of_single_projections(data: st.DataObject, model: str) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(SPEEDS)), min_size=1, max_size=3, unique=True))
    vary = {
        key: tuple(data.draw(st.lists(st.floats(*SPEEDS[key]), min_size=1, max_size=3, unique=True)))
        for key in keys
    }
    base = small_package("cost.package=" + data.draw(st.sampled_from(["organic", "fanout", "interposer"])))
    rows, cols = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    sweep, found = run(
        base,
        model=model,
        method=data.draw(st.sampled_from(sorted(METHODS))),
        mesh=f"{rows}x{cols}",
        global_batch=data.draw(st.integers(1, 40)),
        switches={"overlap": data.draw(st.booleans())},
        vary={**vary, "link.lanes": (8, 64)},
    )
    assert found.reasons == ("",)
    for row in data.draw(st.lists(st.sampled_from(range(len(found.index))), min_size=1, max_size=4)):
        expected = single(sweep, int(found.index[row]), base)
        for name in COLUMNS:
            assert found.results[name][row] == pytest.approx(expected[name], rel=1e-12, abs=0), name


VALUES = values_by_name(small_package())


@pytest.mark.parametrize("key", [key for key in CONTINUOUS if type(VALUES[key]) in (int, float)])
def test_every_number_that_no_schedule_depends_on_varies_with_the_numbers_of_single_projections(
    key: str, model: str
) -> None:
    value = VALUES[key]
    other = 2 * value + 1 if isinstance(value, int) else value / 2 or 0.5
    vary: dict[str, Any] = {"link.lanes": (8, 64), key: (value, other)}
    base = small_package("cost.dram_dollars_per_gib=0.5")
    silicon = (report(base),) if key.startswith("silicon.") and key.endswith("_factor") else ()
    sweep, found = run(base, silicon=silicon, model=model, mesh="2x3", global_batch=7, vary=vary)
    assert agree(sweep, found, base, range(len(found.index)), None, silicon) == len(found.index)


SIZES: dict[str, tuple[float, ...]] = {
    "die.rows": (1, 3, 4, 8, 16, 31),
    "die.cols": (1, 5, 8, 16),
    "die.stages": (1, 2, 4),
    "die.weight_bytes": (3_000, 30_000, 300_000, 3_000_000),
    "die.scratchpad_bytes": (5_000, 40_000, 1_000_000, 20_000_000),
    "die.accumulator_bytes": (4_000, 50_000, 2_000_000),
    "memory.channels": (1, 2, 7),
    "memory.channels_per_edge_die": (0.0, 0.3, 2.0),
    "memory.channel_bytes": (2_000_000, 50_000_000, 10**12),
    "cost.dies_per_substrate": (0, 1, 3, 16),
    "nop.flit_bits": (32, 64),
    "link.lanes": (8, 64),
}


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_schedules_follow_from_varies_with_the_numbers_of_single_projections(
    data: st.DataObject, model: str
) -> None:
    keys = data.draw(st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=4, unique=True))
    some = st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True).map(tuple)
    side = st.integers(1, 9)
    base = small_package("die.dtype=" + data.draw(st.sampled_from(["bf16", "int8"])))
    sweep, found = run(
        base,
        model=model,
        method=tuple(METHODS),
        mesh=tuple({f"{data.draw(side)}x{data.draw(side)}" for _ in range(3)}),
        global_batch=data.draw(some),
        sequence_length=data.draw(some),
        mini_batch=data.draw(st.sampled_from([None, 1, (2, 5)])),
        optimizer=data.draw(st.sampled_from(["sgd", "adam"])),
        switches={
            "overlap": (True, False),
            "recompute": data.draw(st.sampled_from(["none", "selective", "full"])),
            "optimus.broadcast": ("tree", "pipelined"),
        },
        vary={key: SIZES[key] for key in keys},
    )
    count = len(found.index)
    rows = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=30))
    agree(sweep, found, base, rows)


def test_slices_parts_and_refusals_of_many_sizes() -> None:
    sweep, found = run(
        PACKAGE,
        model=("llama2-7b", "tinyllama-1.1b", "gpt3-175b"),
        method=tuple(METHODS),
        dies=(1, 2, 7, 12, 64, 100),
        global_batch=(1, 33),
        sequence_length=(1000, 3000),
        vary={
            "die.rows": (24, 128),
            "die.weight_bytes": (300_000, 2_000_000, 16_777_216),
            "die.scratchpad_bytes": (1_000_000, 33_554_432),
            "memory.channel_bytes": (3_000_000_000, 300_000_000_000),
        },
    )
    rng = np.random.default_rng(3)
    assert agree(sweep, found, PACKAGE, rng.choice(len(found.index), 300, replace=False).tolist()) > 40
    reasons = " ".join(found.reasons)
    for lacking in ("DRAM", "scratchpad", "learned positions"):
        assert lacking in reasons


def test_schedules_sizes_and_methods_vary_as_well() -> None:
    sweep, found = run(
        PACKAGE,
        model=("tinyllama-1.1b", "llama2-7b"),
        method=tuple(METHODS),
        dies=(16, 30),
        vary={
            "die.rows": (32, 64),
            "die.weight_bytes": (4_194_304, 16_777_216),
            "memory.channels_per_edge_die": (0.5, 2.0),
            "link.lane_rate": (8e9, 32e9),
        },
    )
    assert len(found.index) == sweep.groups * sweep.group_points == 2 * 4 * 2 * 8 * 2
    rng = np.random.default_rng(0)
    for row in rng.choice(np.flatnonzero(found.reason == 0), 40, replace=False):
        expected = single(sweep, int(found.index[row]), PACKAGE)
        for name in COLUMNS:
            assert found.results[name][row] == pytest.approx(expected[name], rel=1e-12, abs=0), name


def test_a_point_that_does_not_fit_is_a_row_with_the_reason() -> None:
    _, found = run(
        PACKAGE,
        model=("llama2-7b", "llama3.1-405b"),
        dies=4,
        vary={"die.rows": (64, 512), "link.lanes": (16, 32)},
    )
    assert len(found.index) == 8
    reasons = [found.reasons[code] for code in found.reason]
    with pytest.raises(ValueError, match=" does not fit: ") as refusal:
        project(StepRequest("llama3.1-405b", PACKAGE, dies=4))
    assert reasons[4:6] == [str(refusal.value)] * 2
    assert np.isnan(found.results["step_seconds"][4:6]).all()
    assert not reasons[0]
    assert found.results["step_seconds"][0] > 0
    _, impossible = run(
        package("die.weight_bytes=32768"), model="llama2-7b", dies=16, vary={"die.rows": (64, 512)}
    )
    assert impossible.reasons[impossible.reason[1]].startswith(
        "weight_bytes = 32768 is smaller than one rows"
    )


def test_a_calibration_counts_for_its_die_alone() -> None:
    calibration = Calibration(die=PACKAGE.die, terms=DieTerms(gemm=GemmTerms(per_tile=64.0)))
    sweep, found = run(PACKAGE, calibration, model="llama2-7b", dies=64, vary={"die.rows": (32, 64)})
    assert found.reasons[found.reason[0]].startswith(
        "the calibration was made for a die with die.rows = 64, not 32"
    )
    expected = single(sweep, 1, PACKAGE, calibration)
    assert found.results["step_seconds"][1] == expected["step_seconds"]


@pytest.mark.parametrize("key", ["link.lanes", "link.router_cycles", "parallel.data"])
def test_measured_cycles_of_a_hop_count_unless_the_sweep_asks_for_others(key: str) -> None:
    calibration = Calibration(die=PACKAGE.die, nop=NopTerms(hop_cycles=300.0))
    values = {"link.lanes": (8, 64), "link.router_cycles": (1.0, 7.0), "parallel.data": (1, 2)}
    asked = calibration.model_copy(update={"nop": None}) if key == "link.router_cycles" else calibration
    sweep, found = run(PACKAGE, calibration, model="tinyllama-1.1b", dies=(6, 16), vary={key: values[key]})
    assert found.reasons == ("",)
    for row in range(4):
        expected = single(sweep, row, PACKAGE, asked)
        assert {name: found.results[name][row] for name in COLUMNS} == pytest.approx(expected, rel=1e-12)


def test_constraints_leave_points_out_or_say_what_they_fall_short_of() -> None:
    _, found = run(
        PACKAGE,
        model="tinyllama-1.1b",
        dies=(16, 64),
        vary={"die.rows": (32, 64), "link.lanes": (16, 32, 48)},
        constraints=("dies * die.rows <= 2048", "link.lanes != 48", "energy_joules <= 1"),
    )
    assert found.excluded == 12 - 6
    assert {found.reasons[code] for code in found.reason} == {"falls short of energy_joules <= 1"}
    assert (found.results["energy_joules"] > 1).all()


def test_links_of_less_than_a_bit_a_cycle_are_points_with_a_reason() -> None:
    vary: dict[str, Any] = {"link.lanes": (1, 16), "link.lane_rate": (1e8, 4e9), "die.clock_hz": (1e9, 2e9)}
    sweep, found = run(PACKAGE, model="tinyllama-1.1b", dies=16, vary=vary)
    slow = [lanes * rate < clock for lanes in (1, 16) for rate in (1e8, 4e9) for clock in (1e9, 2e9)]
    assert slow == [True, True, False, False, False, True, False, False]
    assert [found.reasons[code] == LINK_TOO_SLOW for code in found.reason] == slow
    assert np.isnan(found.results["step_seconds"]).tolist() == slow
    with pytest.raises(ValueError, match=f"^{LINK_TOO_SLOW}$"):
        point_request(sweep, 0)


def test_a_switch_counts_once_for_methods_without_it() -> None:
    _, found = run(
        PACKAGE,
        model="tinyllama-1.1b",
        dies=16,
        method=("hecaton", "flat-ring"),
        switches={"collective": ("ring", "chain")},
    )
    assert (len(found.index), found.excluded) == (3, 1)


def test_a_memory_preset_brings_its_values() -> None:
    names = ("ddr5-6400", "hbm3")
    _, found = run(PACKAGE, model="tinyllama-1.1b", dies=16, vary={"memory.preset": names})
    for row, name in enumerate(names):
        expected = of_projection(
            project(StepRequest("tinyllama-1.1b", package(f"memory.preset={name}"), dies=16))
        )
        assert {column: found.results[column][row] for column in COLUMNS} == pytest.approx(
            expected, rel=1e-12
        )


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_several_packages_have_the_numbers_of_single_projections(data: st.DataObject, model: str) -> None:
    base = small_package(
        f"memory.channel_bytes={data.draw(st.sampled_from([40_000, 300_000, 10**9]))}",
        f"fabric.ports={data.draw(st.integers(1, 8))}",
    )
    sweep, found = run(
        base,
        model=model,
        method=data.draw(st.sampled_from(sorted(METHODS))),
        mesh=("1x1", "2x3", "4x2"),
        global_batch=tuple(data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=2, unique=True))),
        sequence_length=data.draw(st.integers(1, 40)),
        mini_batch=data.draw(st.sampled_from([None, 1, 3])),
        vary={
            "parallel.data": (1, 2, 3),
            "parallel.pipeline": (1, 2),
            "parallel.context": data.draw(st.sampled_from([1, (1, 2), (1, 4)])),
            "parallel.exchange": data.draw(st.sampled_from(["ring", "all-gather"])),
            "parallel.interleave": data.draw(st.sampled_from([1, (1, 2)])),
            "parallel.micro_batch": data.draw(st.sampled_from([0, 2])),
            "parallel.shard_optimizer": data.draw(st.booleans()),
            "parallel.overlap": data.draw(st.booleans()),
            "die.rows": (4, 8),
            "link.lane_rate": (1e9, 32e9),
            "fabric.port_bytes_per_second": (1e6, 1e9, 50e9),
        },
    )
    count = len(found.index)
    agree(sweep, found, base, data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=25)))


def test_a_pipeline_of_a_large_model_with_many_links_and_replicas() -> None:
    base = package("parallel.pipeline=4", "memory.preset=hbm3")
    sweep, found = run(
        base,
        model="llama2-70b",
        method=("hecaton", "flat-ring"),
        dies=(256, 300),
        global_batch=(500, 512),
        vary={"parallel.data": (1, 3), "parallel.interleave": (1, 2), "link.lanes": (4, 16, 64)},
    )
    assert agree(sweep, found, base, range(len(found.index))) > 20


def test_parts_of_a_sweep_are_the_whole() -> None:
    sweep, whole = run(
        PACKAGE, model="tinyllama-1.1b", dies=(4, 16), vary={"link.lanes": (8, 16, 32), "die.rows": (32, 64)}
    )
    parts = [evaluate(SweepTask(sweep, first, min(first + 5, 12))) for first in range(0, 12, 5)]
    assert np.concatenate([part.index for part in parts]).tolist() == whole.index.tolist()
    for name in COLUMNS:
        joined = np.concatenate([part.results[name] for part in parts])
        assert joined.tolist() == pytest.approx(whole.results[name].tolist(), rel=1e-12, nan_ok=True)


@given(key=st.sampled_from([key for key in CONTINUOUS if not key.startswith(("area.", "cost."))]))
@settings(max_examples=12, deadline=None)
def test_what_counts_as_continuous_changes_no_schedule(key: str) -> None:
    """Twice or half of it leaves the memory of a projection as it is, but for the token tiles."""
    section, name = key.split(".")
    value = getattr(getattr(PACKAGE, section), name)
    other = PACKAGE.model_copy(
        update={section: getattr(PACKAGE, section).model_copy(update={name: value * 2 or 1})}
    )
    silicon = (report(),) if section == "silicon" else ()
    first, second = (
        project(StepRequest("llama2-7b", system, dies=16, silicon=silicon)).memory
        for system in (PACKAGE, other)
    )
    assert first.model_copy(update={"token_tiles": {}}) == second.model_copy(update={"token_tiles": {}})


def test_path_is_a_model_too(model: str) -> None:
    assert Path(model).suffix == ".json"
    _, found = run(small_package(), model=model, mesh="2x2", global_batch=3)
    assert found.reasons == ("",)


def test_lanes_vary(model: str) -> None:
    meshes, lanes = ("1x1", "1x2", "2x2", "2x3", "3x3"), (8, 4, 2)
    sweep, found = run(PACKAGE, model=model, mesh=meshes, sequence_length=32, vary={"vector.lanes": lanes})
    assert len(found.index) == len(meshes) * len(lanes)
    assert agree(sweep, found, PACKAGE, range(len(found.index))) > len(meshes)


def test_machines_whose_sections_do_not_agree_are_refused_as_alone() -> None:
    sweep, found = run(
        PACKAGE,
        model="tinyllama-1.1b",
        mesh="2x2",
        vary={
            "memory.word_bytes": (4, 64, 256),
            "vector.function_lanes": (1, 32),
            "die.scratchpad_bytes": (2**22, 2**27),
            "link.lanes": (32, 64),
        },
    )
    assert agree(sweep, found, PACKAGE, range(len(found.index))) < len(found.index)
    reasons = " ".join(found.reasons)
    assert "vector.function_lanes = 32" in reasons
    assert "die.scratchpad_bytes = 134217728" in reasons


@pytest.mark.parametrize("given", ["base", "space"])
def test_a_clock_that_follows_the_stages_does_so_in_each_machine(given: str) -> None:
    vary: dict[str, Any] = {"die.stages": (1, 2, 4), "link.lanes": (32, 64)}
    base = package("die.clock_hz=stages")
    if given == "space":
        vary["die.clock_hz"] = "stages"
    space = Space.model_validate({"model": "tinyllama-1.1b", "mesh": "2x2", "vary": vary})
    start = base if given == "base" else PACKAGE
    sweep = make_sweep(space, start, source="space", clock_follows_stages=given == "base")
    found = evaluate(SweepTask(sweep, 0, 6))
    for row, stages in enumerate((1, 1, 2, 2, 4, 4)):
        system = package("die.clock_hz=stages", f"die.stages={stages}", f"link.lanes={(32, 64)[row % 2]}")
        alone = project(StepRequest("tinyllama-1.1b", system, mesh=(2, 2)))
        assert found.results["step_seconds"][row] == pytest.approx(alone.step_seconds, rel=1e-12)


def test_a_clock_that_follows_the_stages_beside_others_is_refused_by_name() -> None:
    space = {"model": "tinyllama-1.1b", "vary": {"die.clock_hz": ("stages", 1e9)}}
    with pytest.raises(ValueError, match=r'^space: die.clock_hz: "stages" must be its only value'):
        make_sweep(Space.model_validate(space), PACKAGE, source="space")


ENERGIES = {
    name: {"value": value, "source": "a test"}
    for name, value in (("mac_pj", 0.4), ("flit_hop_pj", 60.0), ("link_frame_pj", 9.0))
}
REPORTS = tuple(
    report(
        package(f"die.stages={stages}"), period_ps=2000.0 / stages, energies=ENERGIES if stages > 1 else {}
    )
    for stages in (1, 2, 4)
)
"""Silicon reports of dies that differ in their stages."""


def test_a_sweep_with_silicon_reports_has_the_numbers_of_single_projections() -> None:
    sweep, found = run(
        PACKAGE,
        silicon=REPORTS,
        model="tinyllama-1.1b",
        mesh=("2x2", "2x4"),
        vary={
            "die.stages": (1, 3, 4),
            "die.rows": (32, 64),
            "die.cols": (48,),
            "link.pj_per_bit": (0.5, 0.6),
            "silicon.period_factor": (1.0, 1.3),
            "silicon.energy_factor": (0.7,),
            "silicon.area_factor": (0.5, 1.0),
        },
    )
    assert agree(sweep, found, PACKAGE, range(0, len(found.index), 5), None, REPORTS) > 10
    (reason,) = found.reasons[1:]
    assert reason.startswith("the silicon report was made for a die with die.stages = 1 or 2 or 4, not 3: ")
    refused = found.reason != 0
    assert refused.sum() == len(found.index) // 3


def test_a_calibration_beside_silicon_reports_has_the_goodput_of_its_clock_alone() -> None:
    at_report = package("die.clock_hz=1e9")
    link = LinkGoodput(
        goodput=0.45,
        lanes=at_report.link.lanes,
        lane_rate=at_report.link.lane_rate,
        clock_hz=1e12 / 2000.0,
        flit_bits=at_report.nop.flit_bits,
    )
    calibration = Calibration(die=PACKAGE.die, nop=NopTerms(hop_cycles=3.0), link=link)
    sweep, found = run(
        PACKAGE,
        calibration,
        REPORTS,
        model="tinyllama-1.1b",
        mesh="2x2",
        vary={"link.pj_per_bit": (0.5, 0.6)},
    )
    assert agree(sweep, found, PACKAGE, range(2), calibration, REPORTS) == 2
    other = calibration.model_copy(update={"link": link.model_copy(update={"clock_hz": 1e9})})
    _, without = run(PACKAGE, other, REPORTS, model="tinyllama-1.1b", mesh="2x2")
    assert without.results["energy_joules"][0] != found.results["energy_joules"][0]


@pytest.mark.parametrize(
    ("key", "factor"),
    [("die.clock_hz", "period"), ("silicon.pe_um2", "area"), ("energy.mac_pj", "energy")],
)
def test_what_a_silicon_report_gives_is_not_varied(key: str, factor: str) -> None:
    message = f"^{key} is varied, and the silicon report gives it: vary silicon.{factor}_factor instead$"
    with pytest.raises(ValueError, match=message):
        run(PACKAGE, silicon=REPORTS, model="tinyllama-1.1b", mesh="2x2", vary={key: (1e5, 2e5)})


@pytest.mark.parametrize("key", ["silicon.period_factor", "silicon.energy_factor"])
def test_factors_of_silicon_reports_need_one(key: str) -> None:
    with pytest.raises(ValueError, match=f"^{key} is varied: it has no effect without a silicon report$"):
        run(PACKAGE, model="tinyllama-1.1b", mesh="2x2", vary={key: (1.0, 2.0)})
