"""Blocks mapped to the cells of a library, by Yosys and its abc."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rtl.synthesis.library import Library
from rtl.synthesis.module_tree import ModuleText
from rtl.synthesis.netlist import without_concatenations
from rtl.synthesis.synthesis_programs import SynthesisError, run_program

__all__ = [
    "AIM_PS",
    "NETLIST",
    "MappedBlock",
    "MappingError",
    "load_mapped",
    "map_block",
    "mapping_script",
    "parse_statistics",
    "save_mapped",
]

NETLIST = "netlist.v"

LATCHES = ("$_DLATCH", "$_SR_")
"""Beginnings of the types of Yosys' latches."""

AIM_PS = 1
"""Delay that abc aims for, ps: the least that it can get. Aiming at a slower clock saves less than 1 % of area."""


class MappingError(SynthesisError):
    """A block cannot be mapped to the library."""


@dataclass(frozen=True)
class MappedBlock:
    """What a block is made of, without the blocks and macros inside.

    Attributes
    ----------
    cells
        Number of each cell of the library.
    uses
        Number of each block and macro inside.
    latches
        Latches within it. They are in no ``cells``: the design is not meant to have any.
    """

    cells: dict[str, int]
    uses: dict[str, int]
    latches: int


def map_block(
    block: ModuleText,
    *,
    folded: Sequence[ModuleText],
    used: Sequence[ModuleText],
    library: Library,
    liberty: Mapping[str, Path],
    folder: Path,
) -> MappedBlock:
    """Map a block, and write :data:`NETLIST` into ``folder``.

    Registers get no initial contents: those of silicon power up undefined.

    Parameters
    ----------
    block
        The block.
    folded
        Modules that are mapped as part of it.
    used
        Blocks and macros inside, which stay as they are.
    library
        The cells.
    liberty
        Files of ``library``: ``cells`` and ``flip_flops``.
    folder
        For the files of Yosys.

    Raises
    ------
    MappingError
        If the library lacks a cell that the block needs.
    SynthesisError
        If Yosys is missing, or refuses the block.
    """
    (folder / "used.v").write_text("".join(module.stub for module in used))
    (folder / "block.v").write_text("".join(module.text for module in (*folded, block)))
    (folder / "abc.constr").write_text(
        f"set_driving_cell {library.inverter().name}\nset_load {library.load_ff:.6g}\n"
    )
    (folder / "map.ys").write_text("\n".join(mapping_script(block.name, library, liberty)))
    run_program("yosys", ["-q", "map.ys"], what=block.name, folder=folder)
    netlist = folder / NETLIST
    netlist.write_text(without_concatenations(netlist.read_text()))
    types = parse_statistics((folder / "cells.json").read_text())
    names = {module.name for module in used}
    latches = sum(count for name, count in types.items() if name.startswith(LATCHES))
    unknown = [
        name for name in types if not (name in names or name in library.cells or name.startswith(LATCHES))
    ]
    if unknown:
        raise MappingError(f"{block.name}: the library has no cell for {', '.join(sorted(unknown))}")
    return MappedBlock(
        cells={name: count for name, count in types.items() if name in library.cells},
        uses={name: count for name, count in types.items() if name in names},
        latches=latches,
    )


def mapping_script(name: str, library: Library, liberty: Mapping[str, Path]) -> list[str]:
    """Commands of Yosys that map the block ``name``."""
    ties = []
    for option, value in (("-hicell", "1"), ("-locell", "0")):
        cell = library.constant(value)  # type: ignore[arg-type]
        ties += [option, *cell] if cell else []
    return [
        "read_verilog used.v",
        "read_verilog block.v",
        f"hierarchy -check -top {name}",
        "setattr -unset init w:*",
        f"synth -flatten -noabc -top {name}",
        # Flip-flops are named after the registers that they are: paths can then be read.
        "splitnets",
        "rename -wire -suffix _reg t:$_*DFF*",
        f"dfflibmap -liberty {liberty['flip_flops']}",
        f"abc -liberty {liberty['cells']} -constr abc.constr -D {AIM_PS}",
        "setundef -zero",
        *([f"hilomap -singleton {' '.join(ties)}"] if ties else []),
        "opt_clean -purge",
        "splitnets",  # OpenSTA reads no concatenation on the left side
        "tee -q -o cells.json stat -json",
        f"write_verilog -noattr -noexpr {NETLIST}",
        "",
    ]


def parse_statistics(text: str) -> dict[str, int]:
    """Number of cells of each type in what Yosys' ``stat -json`` prints of one module."""
    modules = json.loads(text)["modules"]
    (module,) = modules.values()
    types: dict[str, int] = module["num_cells_by_type"]
    return types


def save_mapped(mapped: MappedBlock, path: Path) -> None:
    """Write what a block is made of."""
    path.write_text(json.dumps(asdict(mapped)))


def load_mapped(path: Path) -> MappedBlock:
    """Read what :func:`save_mapped` has written."""
    return MappedBlock(**json.loads(path.read_text()))
