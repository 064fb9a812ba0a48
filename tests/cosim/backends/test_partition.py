"""What becomes a C++ class of its own: large blocks, not what only connects them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.partition import ALONE, LARGE, MOST_STATEMENTS, SMALL, kept_modules
from cosim.run.die import emit_bench


def netlist(modules: Mapping[str, tuple[int, Mapping[str, int]]]) -> str:
    """RTLIL of modules, each with its operations and how many instances it has of others."""
    lines = []
    for name, (operations, children) in modules.items():
        lines.append(f"module \\{name}")
        lines += ["  cell $add $1", "  end"] * operations
        for child, copies in children.items():
            for number in range(copies):
                lines += [f"  cell \\{child} \\{child}_{number}", "  end"]
        lines.append("end")
    return "\n".join(lines) + "\n"


def test_a_large_block_with_several_instances_is_kept() -> None:
    assert kept_modules(netlist({"pe": (70, {}), "top": (0, {"pe": 2})})) == ["pe"]


@pytest.mark.parametrize(("operations", "kept"), [(ALONE - 1, []), (ALONE, ["unit"])])
def test_what_has_one_instance_is_kept_if_it_is_large(operations: int, kept: list[str]) -> None:
    assert kept_modules(netlist({"unit": (operations, {}), "top": (ALONE, {"unit": 1})})) == kept


def test_a_large_block_with_one_instance_that_only_connects_is_dissolved() -> None:
    design = {"pe": (70, {}), "rows": (ALONE, {"pe": ALONE}), "top": (0, {"rows": 1})}
    assert kept_modules(netlist(design)) == ["pe"]


@pytest.mark.parametrize(("operations", "kept"), [(LARGE - ALONE, []), (LARGE - ALONE + 1, ["die"])])
def test_what_connects_very_much_is_kept(operations: int, kept: list[str]) -> None:
    design = {"unit": (70, {}), "die": (operations, {"unit": ALONE}), "top": (0, {"die": 1})}
    assert kept_modules(netlist(design)) == ["unit", *kept]


def test_two_users_with_an_instance_each_make_two() -> None:
    design = {"queue": (20, {}), "load": (8, {"queue": 1}), "store": (8, {"queue": 1})}
    assert kept_modules(netlist({**design, "top": (0, {"load": 1, "store": 1})})) == ["queue"]


@pytest.mark.parametrize(("operations", "kept"), [(SMALL, []), (SMALL + 1, ["bank"])])
def test_small_blocks_are_dissolved(operations: int, kept: list[str]) -> None:
    assert kept_modules(netlist({"bank": (operations, {}), "top": (0, {"bank": 16})})) == kept


def test_what_connects_others_is_dissolved_on_every_level() -> None:
    design = {"pe": (70, {}), "row": (3, {"pe": 16}), "rows_2": (0, {"row": 2}), "top": (9, {"rows_2": 2})}
    assert kept_modules(netlist(design)) == ["pe"]


def test_what_connects_much_is_kept() -> None:
    cols = MOST_STATEMENTS // 4 + 1
    design = {"pe": (70, {}), "row": (0, {"pe": cols}), "rows_2": (0, {"row": 2}), "top": (0, {"rows_2": 2})}
    assert kept_modules(netlist(design)) == ["pe", "rows_2"]


def test_operations_of_what_is_dissolved_count() -> None:
    design = {"unit": (ALONE - 1, {}), "core": (1, {"unit": 1}), "top": (0, {"core": 2})}
    assert kept_modules(netlist(design)) == ["core"]


def test_operations_are_allowed_for_each_instance() -> None:
    design = {"pe": (70, {}), "row": (2 * SMALL, {"pe": 2}), "top": (0, {"row": 3})}
    assert kept_modules(netlist(design)) == ["pe"]
    design["row"] = (2 * SMALL + 1, {"pe": 2})
    assert kept_modules(netlist(design)) == ["pe", "row"]


def test_a_block_without_description_is_an_instance() -> None:
    assert kept_modules(netlist({"bank": (0, {"macro": 1}), "top": (0, {"bank": 2})})) == []


def test_users_may_come_first() -> None:
    assert kept_modules(netlist({"top": (0, {"row": 2}), "row": (1, {"pe": 3}), "pe": (70, {})})) == ["pe"]


def test_of_a_die_the_processing_elements_are_kept_and_their_rows_are_not() -> None:
    kept = kept_modules(emit_bench(DieSpec(rows=5, cols=3), MemorySpec(), 1).rtlil)
    assert "pe_bf16_p1" in kept
    assert not [name for name in kept if name.startswith("row")]
