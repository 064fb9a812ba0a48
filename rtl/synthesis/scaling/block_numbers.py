"""How often a die of other rows and columns has each block: a constant, and so many a row, a column and a PE.

The design is compared with one of other sizes (the probe): what a unit has in proportion to rows, columns or PEs in
both, it has so in all. Both are Verilog only, so nothing is mapped for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rtl.synthesis.module_tree import ModuleTree

__all__ = ["BlockNumbers", "SizedDesign", "block_numbers"]


@dataclass(frozen=True)
class SizedDesign:
    """A die with an array of this size."""

    tree: ModuleTree
    rows: int
    cols: int

    @property
    def factors(self) -> tuple[int, int, int, int]:
        """What the numbers of blocks are multiples of: 1, rows, columns, PEs."""
        return 1, self.rows, self.cols, self.rows * self.cols


@dataclass(frozen=True)
class BlockNumbers:
    """How often a die has a block.

    Attributes
    ----------
    per_die, per_row, per_column, per_pe
        A die of R rows and C columns has ``per_die + per_row R + per_column C + per_pe R C`` of them.
    scales
        Whether that holds for every size. If not, ``per_die`` has the number of the design, or the block has taken in
        what other sizes have more often.
    in_vector_unit
        How many of them are in the vector unit.
    """

    per_die: int
    per_row: int
    per_column: int
    per_pe: int
    scales: bool
    in_vector_unit: int


def block_numbers(design: SizedDesign, probe: SizedDesign) -> Mapping[str, BlockNumbers]:
    """The numbers of each block of ``design``, which is compared with ``probe``, a die of
    :func:`rtl.synthesis.scaling.probe_die.probe_size`.
    """
    trees = design.tree, probe.tree
    exact_here, exact_there = (_modules_of_units(tree, str) for tree in trees)
    plain_here, plain_there = (_modules_of_units(tree, _plain) for tree in trees)

    def terms_of(unit: str, name: str) -> tuple[int, ...] | None:
        """The terms of a module, and of all others of its unit that differ from it in numbers of their names only."""
        if exact_here[unit, name] == exact_there[unit, name]:
            return (exact_here[unit, name], 0, 0, 0)
        alike = unit, _plain(name)
        return _terms(plain_here[alike], plain_there[alike], design, probe)

    parts: dict[str, list[_UnitBlock]] = {design.tree.top: [_UnitBlock("", (1, 0, 0, 0), 1)]}
    for unit, blocks in _blocks_of_units(design.tree):
        for block, count in blocks.items():
            terms = terms_of(unit, block)
            if terms is not None and exact_here[unit, block] == exact_there[unit, block]:
                terms = (count, 0, 0, 0)
            elif plain_here[unit, _plain(block)] != count:
                terms = None  # others of its sort are within another block, which may leave them out at another size
            folded = [terms_of(unit, name) for name in design.tree.folded[block]]
            # A row of one PE has taken in the PE, of which other rows have more.
            if any(inner is not None and _follows(inner) != _follows(terms) for inner in folded):
                terms = None
            parts.setdefault(block, []).append(_UnitBlock(unit, terms, count))
    return {block: _sum(of_units) for block, of_units in parts.items()}


@dataclass(frozen=True)
class _UnitBlock:
    """The blocks of a sort in a unit of the top: their terms, None if these are not known, and their number."""

    unit: str
    terms: tuple[int, ...] | None
    count: int


def _follows(terms: tuple[int, ...] | None) -> tuple[bool, ...] | None:
    """Which sizes the number follows."""
    return None if terms is None else tuple(number > 0 for number in terms)


def _sum(parts: Sequence[_UnitBlock]) -> BlockNumbers:
    terms = [part.terms or (part.count, 0, 0, 0) for part in parts]
    per_die, per_row, per_column, per_pe = (sum(column) for column in zip(*terms, strict=True))
    return BlockNumbers(
        per_die=per_die,
        per_row=per_row,
        per_column=per_column,
        per_pe=per_pe,
        scales=all(part.terms is not None for part in parts),
        in_vector_unit=sum(part.count for part in parts if part.unit == "vector_unit"),
    )


def _terms(here: int, there: int, design: SizedDesign, probe: SizedDesign) -> tuple[int, ...] | None:
    """Multiples of a constant, rows, columns and PEs that are ``here`` and ``there``; None without any."""
    for place, (first, second) in enumerate(zip(design.factors, probe.factors, strict=True)):
        number, rest = divmod(here, first)
        if not rest and number * second == there:
            return tuple(number if place == other else 0 for other in range(4))
    return None


def _blocks_of_units(tree: ModuleTree) -> Iterator[tuple[str, Counter[str]]]:
    """The units of the top, by their instance, and the blocks of each one, itself among them."""
    inside: dict[str, Counter[str]] = {}
    for name in tree.blocks:  # used ones before their users
        inside[name] = Counter({name: 1})
        for used, count in tree.uses(name).items():
            if not tree.modules[used].macro:
                for block, number in inside[used].items():
                    inside[name][block] += count * number
    for instance, used in tree.modules[tree.top].uses:
        if not tree.modules[used].macro:
            yield instance, inside[used]


def _modules_of_units(tree: ModuleTree, rename: Callable[[str], str]) -> Counter[tuple[str, str]]:
    """How often each unit of the top has modules by their changed names, those within other blocks as well."""
    inside: dict[str, Counter[str]] = {}
    for name, module in tree.modules.items():  # used ones before their users
        inside[name] = Counter({rename(name): 1})
        for _, used in module.uses:
            inside[name] += inside[used]
    return Counter(
        {
            (instance, name): count
            for instance, used in tree.modules[tree.top].uses
            for name, count in inside[used].items()
        }
    )


def _plain(name: str) -> str:
    """A name without its numbers."""
    return re.sub(r"\d+", "", name)
