"""Cells with stated times as Liberty text: SRAM macros, and blocks that are timed through a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rtl.synthesis.module_tree import ModuleText

__all__ = ["Arc", "PortTimes", "liberty_of"]

TRANSITIONS = ("rise", "fall")
SLEW_PCT = (("lower", 10), ("upper", 90))

CLOCK = "clk"


@dataclass(frozen=True)
class Arc:
    """Time to an output: delays and slews in ps, at each of ``loads`` in fF."""

    loads: Sequence[float]
    delays: Sequence[float]
    slews: Sequence[float]


@dataclass(frozen=True)
class PortTimes:
    """Times of a port.

    Attributes
    ----------
    capacitance
        Of one bit of an input, fF.
    setup_ps
        From an input to the clock; None if no register reads it.
    from_clock
        From the clock to an output; None if no register drives it.
    through
        From inputs to an output, without a register on the way.
    """

    capacitance: float
    setup_ps: float | None = None
    from_clock: Arc | None = None
    through: Mapping[str, Arc] = field(default_factory=dict)


def liberty_of(name: str, cells: Iterable[tuple[ModuleText, Mapping[str, PortTimes]]]) -> str:
    """A Liberty library of modules with the times of their ports; a port without an entry has none."""
    ordered = sorted(cells, key=lambda cell: cell[0].name)
    widths = sorted({bits for module, _ in ordered for _, _, bits in module.ports if bits > 1})
    sizes = sorted(
        {len(arc.loads) for _, times in ordered for port in times.values() for arc in _arcs(port)} - {1}
    )
    lines = [
        f"library ({name}) {{",
        "  delay_model : table_lookup;",
        '  time_unit : "1ps";',
        "  capacitive_load_unit (1,ff);",
        '  voltage_unit : "1V"; current_unit : "1mA"; pulling_resistance_unit : "1kohm";',
        *(f"  {way}_threshold_pct_{edge} : 50;" for way in ("input", "output") for edge in TRANSITIONS),
        *(f"  slew_{way}_threshold_pct_{edge} : {pct};" for way, pct in SLEW_PCT for edge in TRANSITIONS),
        *(
            f"  lu_table_template (loads{size}) {{ variable_1 : total_output_net_capacitance; "
            f'index_1 ("{_numbers(range(1, size + 1))}"); }}'
            for size in sizes
        ),
        *(
            f"  type (bus{bits}) {{ base_type : array; data_type : bit; bit_width : {bits}; "
            f"bit_from : {bits - 1}; bit_to : 0; downto : true; }}"
            for bits in widths
        ),
    ]
    for module, times in ordered:
        lines.append(f"  cell ({module.name}) {{ area : 0; is_macro_cell : true;")
        for port, way, bits in module.ports:
            kind = f"bus ({port}) {{ bus_type : bus{bits};" if bits > 1 else f"pin ({port}) {{"
            lines.append(f"    {kind} direction : {way};")
            if port == CLOCK:
                lines.append("      clock : true;")
            lines += [f"      {line}" for line in _pin(way, times.get(port, PortTimes(0.0)))]
            lines.append("    }")
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _arcs(port: PortTimes) -> list[Arc]:
    return [*([port.from_clock] if port.from_clock else []), *port.through.values()]


def _pin(way: str, port: PortTimes) -> Iterable[str]:
    if way == "input":
        yield f"capacitance : {port.capacitance:.6g};"
        if port.setup_ps is not None:
            tables = [(f"{edge}_constraint", [port.setup_ps]) for edge in TRANSITIONS]
            yield _timing(CLOCK, "setup_rising", tables, ())
        return
    if port.from_clock is not None:
        yield _output(CLOCK, "rising_edge", port.from_clock)
    for source, arc in port.through.items():
        yield _output(source, "combinational", arc)


def _output(source: str, kind: str, arc: Arc) -> str:
    tables = [(f"cell_{edge}", arc.delays) for edge in TRANSITIONS] + [
        (f"{edge}_transition", arc.slews) for edge in TRANSITIONS
    ]
    return _timing(source, kind, tables, arc.loads)


def _timing(
    source: str, kind: str, tables: Sequence[tuple[str, Sequence[float]]], loads: Sequence[float]
) -> str:
    several = len(loads) > 1
    template = f"loads{len(loads)}" if several else "scalar"
    index = f'index_1 ("{_numbers(loads)}"); ' if several else ""
    texts = [f'{name} ({template}) {{ {index}values ("{_numbers(values)}"); }}' for name, values in tables]
    sense = "timing_sense : non_unate; " if kind == "combinational" else ""
    return f'timing () {{ related_pin : "{source}"; timing_type : {kind}; {sense}{" ".join(texts)} }}'


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
