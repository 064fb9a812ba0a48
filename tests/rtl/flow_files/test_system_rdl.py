"""Registers as SystemRDL: the compiler reads from it what ``rtl/interface`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, RegNode

from rtl.flow_files.system_rdl import BYTES, DIE_BYTES, system_rdl
from rtl.interface.error_codes import CAUSES, ERROR_UNITS, ErrorCode
from rtl.interface.register_fields import REGISTER_FIELDS, Access, fields_of
from rtl.interface.register_map import (
    COUNTER_BITS,
    COUNTERS,
    ENGINE_COUNTERS,
    REGISTERS,
    SIDES,
    counter_address,
)


def compiled(folder: Path, dies: int | None) -> Any:
    file = folder / "registers.rdl"
    file.write_text(system_rdl("// head\n", "top", dies=dies))
    compiler = RDLCompiler()
    compiler.compile_file(str(file))
    return compiler.elaborate().top


def registers(node: Any) -> dict[str, Any]:
    return {child.inst_name: child for child in node.children() if isinstance(child, RegNode)}


@pytest.mark.parametrize("engine", [False, True])
def test_registers_have_their_addresses_fields_and_texts(engine: bool, tmp_path: Path) -> None:
    top = compiled(tmp_path, 1 if engine else None)
    assert top.inst_name == "top_registers"
    found = registers(next(iter(top.children(unroll=True))) if engine else top)
    expected = {name for name in REGISTERS if fields_of(name, engine=engine)}
    counters = {**COUNTERS, **(ENGINE_COUNTERS if engine else {})}
    assert found.keys() == expected | counters.keys()
    for name in expected:
        address, use = REGISTERS[name]
        register = found[name]
        assert (register.absolute_address, register.size) == (BYTES * address, BYTES), name
        assert register.get_property("desc") == use
        fields = fields_of(name, engine=engine)
        assert [field.inst_name for field in register.fields()] == [field.name for field in fields]
        for node, field in zip(register.fields(), fields, strict=True):
            assert (node.low, node.width) == (field.bit, field.width)
            assert node.get_property("reset") == field.reset
            assert node.get_property("desc") == field.use
            assert node.is_sw_readable == (field.access is not Access.WRITE)
            assert node.is_sw_writable == (field.access is not Access.READ)
            assert (node.get_property("onwrite") is not None) == (field.access is Access.CLEARED)
    for name, use in counters.items():
        register = found[name]
        assert register.absolute_address == BYTES * counter_address(name)
        assert (register.size, register.get_property("accesswidth")) == (2 * BYTES, 8 * BYTES)
        (count,) = register.fields()
        assert (count.low, count.width, count.get_property("reset")) == (0, COUNTER_BITS, 0)
        assert register.get_property("desc") == use


@pytest.mark.parametrize("dies", [1, 6])
def test_each_die_of_a_package_has_its_registers(dies: int, tmp_path: Path) -> None:
    top = compiled(tmp_path, dies)
    places = [node for node in top.children(unroll=True) if isinstance(node, AddrmapNode)]
    assert [node.absolute_address for node in places] == [DIE_BYTES * die for die in range(dies)]
    assert {len(registers(node)) for node in places} == {
        len(REGISTER_FIELDS) + len(COUNTERS) + len(ENGINE_COUNTERS)
    }
    last = registers(places[-1])[f"memory_link_{SIDES[-1]}"]
    assert last.absolute_address + last.size <= DIE_BYTES * dies


def test_causes_and_units_of_errors_have_names(tmp_path: Path) -> None:
    error = registers(compiled(tmp_path, None))["error"]
    codes, units = (error.get_child_by_name(name).get_property("encode") for name in ("code", "unit"))
    assert {code.name: code.value for code in codes} == {code.name: code.value for code in ErrorCode}
    assert {ErrorCode[code.name]: code.rdl_desc for code in codes} == dict(CAUSES)
    assert [unit.name for unit in sorted(units, key=lambda unit: unit.value)] == list(ERROR_UNITS)
