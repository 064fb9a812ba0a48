"""Registers of a die or a package in SystemRDL 2.0, out of :mod:`rtl.interface`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rtl.interface.error_codes import CAUSES, CODE_BITS, ERROR_UNITS, UNIT_BITS
from rtl.interface.register_fields import REGISTER_BITS, REGISTER_FIELDS, Access, RegisterField, fields_of
from rtl.interface.register_map import (
    ADDRESS_BITS,
    COUNTER_BITS,
    COUNTERS,
    ENGINE_COUNTERS,
    REGISTERS,
    counter_address,
)

__all__ = ["BYTES", "DIE_BYTES", "counters_of", "registers_of", "system_rdl"]

BYTES = REGISTER_BITS // 8
"""Byte addresses from a register to the next: SystemRDL has no others, the host port counts registers."""

DIE_BYTES = BYTES << ADDRESS_BITS
"""Byte addresses from a die of a package to the next."""

_ACCESS: Mapping[Access, str] = {
    Access.READ: "sw = r; hw = w;",
    Access.WRITE: "sw = w; hw = r;",
    Access.READ_WRITE: "sw = rw; hw = r;",
    Access.CLEARED: "sw = rw; hw = r; hwset; onwrite = wclr;",
}

_ENUMS = {("error", "code"): "error_code", ("error", "unit"): "error_unit"}


def registers_of(*, engine: bool) -> dict[str, tuple[RegisterField, ...]]:
    """Registers of a die with or without an engine, and their fields; without the counters."""
    registers = {name: fields_of(name, engine=engine) for name in REGISTER_FIELDS}
    return {name: fields for name, fields in registers.items() if fields}


def counters_of(*, engine: bool) -> dict[str, str]:
    """Counters of a die with or without an engine, and what they count."""
    return {**COUNTERS, **(ENGINE_COUNTERS if engine else {})}


def system_rdl(head: str, top: str, *, dies: int | None) -> str:
    """The registers of the emitted design ``top``; ``head`` is the first line.

    A register is at four times its address at the host port. The registers of die n of a package begin at
    ``n * DIE_BYTES``.

    Parameters
    ----------
    head
        First line, a comment.
    top
        Name of the top module. The address map is ``<top>_registers``.
    dies
        Dies of a package; None for a die alone, which has no engine.
    """
    map_name = f"{top}_registers"
    lines = [
        head.rstrip("\n"),
        *_enum("error_code", CODE_BITS, {code.name: (code.value, text) for code, text in CAUSES.items()}),
        *_enum("error_unit", UNIT_BITS, {name: (number, "") for number, name in enumerate(ERROR_UNITS)}),
    ]
    if dies is None:
        lines += _die(map_name, engine=False)
    else:
        lines += _die("die_registers", engine=True)
        lines += [
            f"addrmap {map_name} {{",
            _text(f"Registers of {top}", "name"),
            _text("Die n is the one that host_die = n selects. A write with host_all goes to all dies."),
            f"  die_registers die[{dies}] @ 0x0 += 0x{DIE_BYTES:x};",
            "};",
        ]
    return "\n".join([*lines, ""])


def _enum(name: str, bits: int, values: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    yield f"enum {name} {{"
    for entry, (value, text) in values.items():
        described = f" {{ desc = {_quoted(text)}; }}" if text else ""
        yield f"  {entry} = {bits}'d{value}{described};"
    yield "};"


def _die(name: str, *, engine: bool) -> Iterator[str]:
    yield f"addrmap {name} {{"
    yield _text("Registers of a die", "name")
    yield _text(
        f"The address at the host port is the byte address here divided by {BYTES}. Addresses without a register read "
        "as 0. Counters count while a program runs, hold their values after it, and are cleared by the next start; "
        "their halves are read one after the other, so read them when the program has ended."
    )
    yield f"  default regwidth = {REGISTER_BITS};"
    yield "  reg counter {"
    yield f"    regwidth = {2 * REGISTER_BITS};"
    yield f"    accesswidth = {REGISTER_BITS};"
    yield f"    field {{ sw = r; hw = w; }} count[{COUNTER_BITS - 1}:0] = {COUNTER_BITS}'h0;"
    yield "  };"
    for register, fields in registers_of(engine=engine).items():
        address, use = REGISTERS[register]
        yield "  reg {"
        yield _text(use, indent=4)
        for field in fields:
            yield from _field(register, field)
        yield f"  }} {register} @ 0x{BYTES * address:x};"
    for counter, use in counters_of(engine=engine).items():
        yield f"  counter {counter} @ 0x{BYTES * counter_address(counter):x};"
        yield f"  {counter}->desc = {_quoted(use)};"
    yield "};"


def _field(register: str, field: RegisterField) -> Iterator[str]:
    encode = _ENUMS.get((register, field.name))
    properties = _ACCESS[field.access] + (f" encode = {encode};" if encode else "")
    reset = "" if field.reset is None else f" = {field.width}'h{field.reset:x}"
    yield "    field {"
    yield _text(field.use, indent=6)
    yield f"      {properties}"
    yield f"    }} {field.name}[{field.bit + field.width - 1}:{field.bit}]{reset};"


def _text(text: str, key: str = "desc", indent: int = 2) -> str:
    return f"{' ' * indent}{key} = {_quoted(text)};"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
