"""Synthesis of a design: its blocks are mapped one by one and kept, then put together, counted and timed as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rtl.processes.temporary import temporary_folder
from rtl.synthesis.constraints import constraints
from rtl.synthesis.liberty_cell import liberty_of
from rtl.synthesis.library import Library
from rtl.synthesis.longest_paths import LongestPaths, load_paths, longest_paths, save_paths
from rtl.synthesis.macros import MacroTimes, macro_liberty, single_cycle
from rtl.synthesis.mapping import NETLIST, MappedBlock, load_mapped, map_block, mapping_script, save_mapped
from rtl.synthesis.module_tree import ModuleTree
from rtl.synthesis.synthesis_programs import find_program
from rtl.synthesis.timing_model import model_block

__all__ = ["Keep", "MappedDesign", "TimedBlock", "map_design"]

Keep = Callable[[str, Callable[[Path], None]], Path]
"""Returns the folder that the callback has filled for a key, in this run or in an earlier one."""

SEARCHED = 2000
"""Ends of paths of a whole design among which paths that are not alike are looked for."""

MODELLED_CELLS = 400_000
"""Cells of a block without blocks inside, in the whole design, from which on it is timed there through a model."""

FORMAT = 1
"""Number of what is kept: another one when the files or the scripts change."""

MAPPED, TIMING, MODEL = "mapped.json", "timing.json", "model.lib"


@dataclass(frozen=True)
class TimedBlock:
    """A block that was mapped, and timed by itself.

    Attributes
    ----------
    mapped
        What it is made of.
    timing
        Its longest path of each kind.
    netlist
        Its cells as Verilog.
    key
        Under which it is kept.
    reused
        Whether it was kept from an earlier run.
    """

    mapped: MappedBlock
    timing: LongestPaths
    netlist: str
    key: str
    reused: bool


@dataclass(frozen=True)
class MappedDesign:
    """A design whose blocks are mapped.

    Attributes
    ----------
    design
        The design, all of whose macros have a single cycle.
    blocks
        Its blocks by name, used ones before their users.
    timing
        Longest paths of the whole design.
    modelled
        Blocks that it was timed through models of.
    macro_text
        Liberty library of its macros.
    constraints
        SDC at the clock that was asked for.
    """

    design: ModuleTree
    blocks: Mapping[str, TimedBlock]
    timing: LongestPaths
    modelled: tuple[str, ...]
    macro_text: str
    constraints: str

    @property
    def netlist(self) -> str:
        """All blocks as Verilog."""
        return "\n".join(block.netlist for block in self.blocks.values())


def map_design(
    design: ModuleTree,
    library: Library,
    *,
    times: MacroTimes,
    target_hz: float,
    keep: Keep,
    workers: int = 1,
    done: Callable[[], None] = lambda: None,
) -> MappedDesign:
    """Map the blocks of a design to the cells of a library, and time them alone and together.

    Parameters
    ----------
    design
        The design, with its memories as macros.
    library
        The cells.
    times
        Times of the macros.
    target_hz
        The clock that is asked for: the constraints have it.
    keep
        Where blocks are kept.
    workers
        Blocks that are mapped at a time.
    done
        Is called for each block that is mapped, and for the whole design.

    Raises
    ------
    SynthesisError
        If Yosys or OpenSTA is missing, or the library lacks a cell that is needed.
    """
    design = single_cycle(design)
    macros = [design.modules[name] for name in design.block_instances if design.modules[name].macro]
    macro_text = macro_liberty(macros, times, load_ff=library.load_ff)
    with temporary_folder() as folder:
        texts = {"cells": library.text, "flip_flops": library.flip_flop_text, "macros": macro_text}
        liberty = {name: folder / f"{name}.lib" for name in texts}
        for name, text in texts.items():
            liberty[name].write_text(text)
        run = _Run(design, library, liberty, times, keep)

        def block(name: str) -> TimedBlock:
            timed = run.block(name)
            done()
            return timed

        with ThreadPoolExecutor(workers) as pool:
            blocks = dict(zip(design.blocks, pool.map(block, design.blocks), strict=True))
        modelled = run.modelled(blocks)
        timing = run.whole(blocks, modelled)
        done()
    return MappedDesign(
        design=design,
        blocks=blocks,
        timing=timing,
        modelled=modelled,
        macro_text=macro_text,
        constraints=constraints(design.modules[design.top], 1e12 / target_hz),
    )


@dataclass(frozen=True)
class _Run:
    """What mapping and timing of one design share."""

    design: ModuleTree
    library: Library
    liberty: Mapping[str, Path]
    times: MacroTimes
    keep: Keep

    def block(self, name: str) -> TimedBlock:
        """Map and time a block, unless it is kept."""
        modules = self.design.modules
        folded = [modules[inner] for inner in self.design.folded[name]]
        used = [modules[inner] for inner in sorted(self.design.uses(name))]
        ran = False

        def map_it(folder: Path) -> None:
            nonlocal ran
            ran = True
            mapped = map_block(
                modules[name],
                folded=folded,
                used=used,
                library=self.library,
                liberty=self.liberty,
                folder=folder,
            )
            save_mapped(mapped, folder / MAPPED)
            _only(folder, NETLIST, MAPPED)

        def time_it(folder: Path) -> None:
            timing = longest_paths(
                modules[name], libraries=self._libraries, netlists=[kept / NETLIST], paths=1, folder=folder
            )
            save_paths(timing, folder / TIMING)
            _only(folder, TIMING)

        texts = [module.text for module in (*folded, modules[name])] + [module.stub for module in used]
        script = mapping_script(
            name, self.library, {"cells": Path("cells"), "flip_flops": Path("flip_flops")}
        )
        key = _key("mapped", self.library.digest, find_program("yosys").version, script, texts)
        kept = self.keep(key, map_it)
        timing = self.keep(self._timing_key(key), time_it)
        return TimedBlock(
            mapped=load_mapped(kept / MAPPED),
            timing=load_paths(timing / TIMING),
            netlist=(kept / NETLIST).read_text(),
            key=key,
            reused=not ran,
        )

    def modelled(self, blocks: Mapping[str, TimedBlock]) -> tuple[str, ...]:
        """The blocks that are so many cells that the whole design is timed through models of them."""
        counts = self.design.block_instances
        cells = {name: counts[name] * sum(block.mapped.cells.values()) for name, block in blocks.items()}
        return tuple(
            name
            for name, number in cells.items()
            if number >= MODELLED_CELLS and counts[name] > 1 and not blocks[name].mapped.uses
        )

    def whole(self, blocks: Mapping[str, TimedBlock], modelled: Sequence[str]) -> LongestPaths:
        """Time the whole design, unless that is kept; paths within modelled blocks are those of one of each."""
        models = [self._model(name, blocks[name]) for name in modelled]
        netlists = [block.netlist for name, block in blocks.items() if name not in modelled]

        def time_it(folder: Path) -> None:
            (folder / NETLIST).write_text("\n".join(netlists))
            timing = longest_paths(
                self.design.modules[self.design.top],
                libraries=[*self._libraries, *models],
                netlists=[folder / NETLIST],
                paths=SEARCHED,
                folder=folder,
            )
            save_paths(timing, folder / TIMING)
            _only(folder, TIMING)

        inner = [
            path.inside(self.design.place_of(name))
            for name in modelled
            for path in blocks[name].timing.registers
        ]
        key = _key("whole", self.design.top, netlists, [blocks[name].key for name in modelled])
        timing = load_paths(self.keep(self._timing_key(key), time_it) / TIMING)
        return replace(
            timing, registers=tuple(sorted([*timing.registers, *inner], key=lambda path: path.slack))
        )

    def _model(self, name: str, block: TimedBlock) -> Path:
        """Liberty file of a block as one cell."""

        def model_it(folder: Path) -> None:
            (folder / NETLIST).write_text(block.netlist)
            module = self.design.modules[name]
            times = model_block(
                module,
                library=self.library,
                cells=self.liberty["cells"],
                netlist=folder / NETLIST,
                folder=folder,
            )
            (folder / MODEL).write_text(liberty_of(f"model_{name}", [(module, times)]))
            _only(folder, MODEL)

        return self.keep(self._timing_key(_key("model", block.key)), model_it) / MODEL

    @property
    def _libraries(self) -> list[Path]:
        return [self.liberty["cells"], self.liberty["macros"]]

    def _timing_key(self, mapped: str) -> str:
        return _key("timed", mapped, self.library.digest, find_program("sta").version, asdict(self.times))


def _key(*parts: object) -> str:
    text = json.dumps([FORMAT, *parts])
    return "silicon-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _only(folder: Path, *names: str) -> None:
    """Remove all files but these."""
    for path in list(folder.iterdir()):
        if path.name not in names:
            path.unlink()
