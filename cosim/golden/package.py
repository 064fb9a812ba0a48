"""Golden result of a GEMM on a package: partial sums, added in the order of the reduce-scatter."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.specs import SystemSpec
from cosim.golden.gemm import gemm
from cosim.golden.numerics import fp32_add
from cosim.program.distribution import DieShare, cut, shares_of
from cosim.program.line_commands import sum_order
from cosim.program.overlap.token_tiles import token_tiles
from cosim.program.shape import Shape, gemm_forms
from nop.collectives import Algorithm, line


def expected_parts(
    system: SystemSpec, shape: Shape, a: NDArray[Any], b: NDArray[Any], algorithm: Algorithm
) -> list[NDArray[Any]]:
    """Each die's part of the result, in the order of the dies' numbers.

    Parameters
    ----------
    a, b
        Stored operands: ``shape.stored_a`` and ``stored_b``.
    algorithm
        Algorithm of the reduce-scatter, which decides the order of the additions.
    """
    if shape.form == "tn":
        return _parts(system, shape, a, b, algorithm)
    of_tiles = []
    for tile in token_tiles(system, shape):
        tokens, size = tile.tokens, tile.size
        rows = np.pad(a[tokens.start : tokens.stop], ((0, size - len(tokens)), (0, 0)))
        parts = _parts(system, replace(shape, m=size), rows, b, algorithm)
        shares = shares_of(system.package, replace(shape, m=size), algorithm)
        of_tiles.append(
            [
                part[: max(0, len(tokens) - share.y[0].start)]
                for part, share in zip(parts, shares, strict=True)
            ]
        )
    return [np.concatenate(parts) for parts in zip(*of_tiles, strict=True)]


def _parts(
    system: SystemSpec, shape: Shape, a: NDArray[Any], b: NDArray[Any], algorithm: Algorithm
) -> list[NDArray[Any]]:
    """Each die's part of the result of a GEMM whose tokens are one tile."""
    die = system.die
    shares = shares_of(system.package, shape, algorithm)
    partials = [
        gemm(*gemm_forms(cut(a, share.a), cut(b, share.b), form=shape.form), rows=die.rows, dtype=die.dtype)
        for share in shares
    ]
    return [
        result[: len(share.y[0]), : len(share.y[1])]
        for share, result in zip(shares, _summed(shares, system.package.places(), partials), strict=True)
    ]


def _summed(
    shares: list[DieShare], dies: list[tuple[int, int]], partials: list[NDArray[Any]]
) -> list[NDArray[Any]]:
    """What the reduce-scatters leave on each die of the partial results of all dies."""
    lines = defaultdict(list)
    for number, (share, (row, col)) in enumerate(zip(shares, dies, strict=True)):
        if share.y_tiles is not None:
            lines[col if share.y_tiles.axis == "column" else row].append(number)
    results = list(partials)
    for numbers in lines.values():
        tiles = shares[numbers[0]].y_tiles
        assert tiles is not None
        cuts = [tiles.rows(place) for place in range(tiles.nodes)]
        sums = [[partials[number][cut.start : cut.stop] for cut in cuts] for number in numbers]
        if tiles.nodes > 1:
            schedule = line("reduce-scatter", tiles.nodes, tiles.algorithm)
            for _, sender, receiver, chunk in sum_order(tiles.algorithm, schedule):
                sent, own = sums[sender][chunk], sums[receiver][chunk]
                sums[receiver][chunk] = sent + own if sent.dtype == np.int32 else fp32_add(sent, own)
        for place, number in enumerate(numbers):
            results[number] = sums[place][place]
    return results
