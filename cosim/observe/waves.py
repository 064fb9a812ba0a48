"""Views of a waveform for GTKWave and Surfer: the signals grouped by the units of the die."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosim.observe.units import units

__all__ = ["Group", "Wave", "gtkwave_view", "surfer_view", "unit_groups"]

_MODULE = re.compile(r"^module (\w+) \((.*?)\);\n(.*?)^endmodule", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"(?:input|output) (?:wire|reg) (?:\[(\d+):0\] )?(\w+)")
_INSTANCE = re.compile(r"^  (\w+) (\w+) \($", re.MULTILINE)

# Flags of the file format of GTKWave: how a trace is shown, and the lines that begin or end a group.
_BINARY, _HEXADECIMAL, _GROUP, _GROUP_END = "@28", "@22", "@800200", "@1000200"


@dataclass(frozen=True)
class Wave:
    """A signal of a waveform: its hierarchical name, and its width in bits."""

    name: str
    width: int


@dataclass(frozen=True)
class Group:
    """Signals that are shown together."""

    name: str
    waves: tuple[Wave, ...]


def unit_groups(
    verilog: str, top: str, *, dies: Mapping[str, str], engine: bool, vector: bool = False, scope: str
) -> list[Group]:
    """Return the ports of the bench and those of each unit of the dies in it.

    Parameters
    ----------
    verilog, top
        The design, as :func:`rtl.emit.emitter.emit` writes it.
    dies
        Hierarchical name of each die inside the top module, and the prefix of its groups' names.
    engine, vector
        Whether the dies have engines, and vector units.
    scope
        Prefix of the names in the waveform: the name of the top module, or nothing.
    """
    modules = {match[1]: (match[2], match[3]) for match in _MODULE.finditer(verilog)}

    def ports(path: str) -> tuple[Wave, ...]:
        module = top
        for part in filter(None, path.split(".")):
            module = next(child for child, name in _INSTANCE.findall(modules[module][1]) if name == part)
        prefix = "".join(f"{part}." for part in (scope, path) if part)
        return tuple(
            Wave(prefix + name, int(high or 0) + 1) for high, name in _PORT.findall(modules[module][0])
        )

    inside = {
        "command_processor": "command_processor",
        **{unit.name.replace(" ", "_"): unit.path for unit in units(engine=engine, vector=vector)},
        "array_unit": "array_unit",
        **({"engine": "engine"} if engine else {}),
        "registers": "registers",
    }
    return [
        Group("bench", ports("")),
        *(
            Group(prefix + name, ports(f"{die}.{path}"))
            for die, prefix in dies.items()
            for name, path in inside.items()
        ),
    ]


def gtkwave_view(waveform: Path, groups: Sequence[Group]) -> str:
    """Return a save file of GTKWave for a waveform beside it."""
    lines = [f'[dumpfile] "{waveform.resolve()}"', "[timestart] 0", "[signals_width] 300"]
    for group in groups:
        lines += [_GROUP, f"-{group.name}"]
        for wave in group.waves:
            if wave.width == 1:
                lines += [_BINARY, wave.name]
            else:
                lines += [_HEXADECIMAL, f"{wave.name}[{wave.width - 1}:0]"]
        lines += [_GROUP_END, f"-{group.name}"]
    return "\n".join(lines) + "\n"


def surfer_view(waveform: Path, groups: Sequence[Group]) -> str:
    """Return a command file of Surfer that loads a waveform and shows the groups."""
    lines = [f"load_file {waveform.resolve()}"]
    for group in groups:
        lines.append(f"divider_add {group.name}")
        lines += [f"variable_add {wave.name}" for wave in group.waves]
    return "\n".join([*lines, "zoom_fit"]) + "\n"
