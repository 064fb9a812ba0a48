"""Every term of a projection adds up, and the results are among the terms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from chiplet.explain.cost import explain_cost
from chiplet.explain.step import explain
from chiplet.machine.calibration import Calibration
from chiplet.machine.terms import DieTerms, GemmTerms
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account, project
from tests.chiplet.machine.synthesized.reports import report
from tests.chiplet.machines import PACKAGE, package, small_model, small_package


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("switches", "mesh", "overrides"),
    [
        ({}, (4, 4), ()),
        ({"overlap": False, "recompute": "full"}, (3, 2), ()),
        ({}, (1, 1), ()),
        ({}, (1, 2), ("die.weight_bytes=20000", "die.accumulator_bytes=100000")),
    ],
)
def test_terms_add_up_to_the_result(
    method: str, switches: dict[str, object], mesh: tuple[int, int], overrides: tuple[str, ...]
) -> None:
    system = small_package("energy.static_watts=0.5", *overrides)
    found = account(
        StepRequest(small_model(), system, mesh=mesh, method=method, switches=switches, global_batch=9)
    )
    terms = {term.name: term for term in explain(found)}
    assert len(terms) == len(explain(found))
    for term in terms.values():
        values = [operand.value for operand in term.operands]
        if term.how == "sum":
            assert math.fsum(values) == pytest.approx(term.value, rel=1e-9, abs=1e-18), term.name
        elif term.how == "product":
            assert math.prod(values) == pytest.approx(term.value, rel=1e-9, abs=1e-18), term.name
        for operand in term.operands:
            if operand.name in terms:
                assert (operand.value, operand.unit) == (terms[operand.name].value, terms[operand.name].unit)
    result = found.projection
    assert terms["step"].value == result.step_seconds
    assert terms["energy"].value == result.energy_joules
    assert terms["mfu"].value == result.mfu
    assert terms["tokens_per_second"].value == result.tokens_per_second
    assert terms["array time"].value == pytest.approx(result.breakdown.compute)
    assert terms["DRAM needed"].value == result.memory.dram.needed_bytes
    assert terms["nop_elements_per_die_per_layer"].value == result.nop_elements_per_die_per_layer


def test_a_term_is_known_as_well_as_its_weakest_operand() -> None:
    order = ("measured", "published", "assumed")
    die = PACKAGE.die
    said = {"hecaton_version": "x"}
    whole = DieTerms(gemm=GemmTerms(**GemmTerms().model_dump()))
    part = DieTerms(gemm=GemmTerms(constant=-1.0))
    for calibration, statuses in (
        (None, {"assumed"}),
        (Calibration(die=die, provenance=said), {"assumed"}),
        (Calibration(die=die, terms=part, provenance=said), {"measured", "assumed"}),
        (Calibration(die=die, terms=whole), {"assumed"}),
        (Calibration(die=die, terms=whole, provenance=said), {"measured"}),
    ):
        terms = explain(account(StepRequest("llama2-7b", PACKAGE, dies=64, calibration=calibration)))
        for term in terms:
            assert term.status == max(
                (operand.status for operand in term.operands), key=order.index, default=order[0]
            )
        gemm = next(term for term in terms if term.name.endswith(": XW, cycles"))
        assert {each.status for each in gemm.operands} == statuses


def test_published_constants_are_marked_and_changed_ones_are_assumed() -> None:
    def status(*overrides: str) -> str:
        terms = explain(account(StepRequest("llama2-7b", package(*overrides), dies=64)))
        dram = next(term for term in terms if term.name == "energy of dram")
        return next(each.status for each in dram.operands if each.name == "memory.pj_per_bit")

    assert status() == "published"
    assert status("memory.pj_per_bit=7") == "assumed"


@pytest.mark.parametrize("kind", ["organic", "fanout", "interposer"])
def test_terms_of_the_cost_add_up_and_are_known_as_well_as_their_inputs(kind: str) -> None:
    found = project(StepRequest("llama2-7b", package(f"cost.package={kind}"), dies=36))
    terms = {term.name: term for term in explain_cost(found)}
    for name in ("area of a die", "cost"):
        total = math.fsum(operand.value for operand in terms[name].operands)
        assert total == pytest.approx(terms[name].value)
    assert terms["cost"].value == found.cost.dollars
    assert terms["yield of a die"].value == found.cost.die_yield
    assert terms["area of sram"].status == "assumed"
    assert [each.status for each in terms["area of logic"].operands] == ["measured", "published", "assumed"]
    used = {operand.name for term in terms.values() for operand in term.operands}
    assert {entry.name for entry in found.cost.inputs} <= used


def test_units_of_sums_agree_and_those_of_products_follow() -> None:
    """A sum adds what has its own unit; a product's unit is that of its operands, counts having none."""
    counts = {"", "layers", "cycles", "elements", "bytes", "parameters", "tokens", "steps", "hops", "dies"}
    factors = {"J": ("J/pJ", "pJ"), "bytes": ("bytes",), "s": ("s", "s/byte"), "tokens": ("tokens",)}
    found = account(StepRequest("llama2-7b", package("energy.static_watts=1.0"), dies=36))
    for term in [*explain(found), *explain_cost(found.projection)]:
        units = [operand.unit for operand in term.operands]
        if term.how == "sum":
            assert set(units) == {term.unit}, term.name
        elif term.how == "product" and term.name != "energy of static":
            measured = [unit for unit in units if unit not in counts]
            if term.unit == "J":
                assert "J/pJ" in measured, term.name
                assert any(unit.startswith("pJ") for unit in measured), term.name
            else:
                assert term.unit in factors, term.name
                assert all(unit in factors[term.unit] for unit in measured), term.name


def numbers(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a result, and where it is."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from numbers(each, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from numbers(each, f"{place}.{number}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield place, float(value)


@pytest.mark.parametrize(
    ("method", "mesh", "overrides"),
    [
        ("hecaton", (4, 4), ()),
        ("optimus", (2, 3), ("parallel.data=2", "parallel.pipeline=2", "parallel.interleave=1")),
        ("flat-ring", (3, 5), ("parallel.data=3", "parallel.shard_optimizer=true")),
        ("hecaton", (2, 3), ("parallel.context=2", "parallel.data=2")),
        ("torus-ring", (1, 1), ("energy.static_watts=0.5",)),
        ("hecaton", (1, 2), ("die.weight_bytes=20000", "die.accumulator_bytes=100000")),
    ],
)
def test_every_number_of_a_result_is_a_term(
    method: str, mesh: tuple[int, int], overrides: tuple[str, ...]
) -> None:
    found = account(
        StepRequest(small_model(), small_package(*overrides), mesh=mesh, method=method, global_batch=12)
    )
    terms = explain(found) + explain_cost(found.projection)
    values = {term.value for term in terms}
    known = values | {operand.value for term in terms for operand in term.operands}
    inputs = {"dies", "packages", "global_batch", "sequence_length", "parallel.data", "parallel.pipeline"}
    inputs |= {"parallel.interleave", "parallel.context"}
    result = found.projection.model_dump()
    for place, value in numbers(result):
        if place in inputs or (place.startswith("memory.buffers") and place.endswith("available_bytes")):
            assert value in known or place in ("packages", "parallel.interleave", "parallel.context"), place
        elif "inputs." not in place:  # these say themselves what they are
            assert value in values, place
    for section in ("breakdown", "parallel"):
        names = {term.name: term for term in terms}
        for place, value in numbers(result[section] or {}, section):
            if place not in inputs:
                assert names[place].value == value
    for term in terms:
        assert term.formula
        assert term.unit is not None
        assert term.status in ("measured", "published", "assumed")


def test_terms_say_what_a_silicon_report_measured() -> None:
    made = report(energies={"mac_pj": {"value": 0.4, "source": "power report"}})
    found = account(StepRequest(small_model(), PACKAGE, mesh=(2, 2), silicon=(made,)))
    terms = {term.name: term for term in [*explain(found), *explain_cost(found.projection)]}
    assert terms["seconds a cycle"].status == "measured"
    assert terms["seconds a cycle"].value == pytest.approx(1.25e-9)
    known = {operand.name: operand.status for operand in terms["area of logic"].operands}
    assert known["silicon.pe_um2"] == "measured"
    assert known["silicon.area_factor"] == "assumed"
    assert {operand.name for operand in terms["area of vector"].operands} >= {"silicon.vector_um2"}
    energy = {operand.name: operand.status for operand in terms["energy of array"].operands}
    assert energy["energy.mac_pj"] == "measured"
    plain = account(StepRequest(small_model(), PACKAGE, mesh=(2, 2)))
    without = {term.name: term for term in [*explain(plain), *explain_cost(plain.projection)]}
    assert without["seconds a cycle"].status == "assumed"
    assert set(without) == set(terms)
