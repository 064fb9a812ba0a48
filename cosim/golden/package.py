"""Golden result of a GEMM spread over a package: partial sums, added in the order of the collective."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.golden.numerics import fp32_add
from cosim.program.collective import sum_order
from cosim.program.distribution import Share
from nop.collectives import line


def summed(
    shares: list[Share], dies: list[tuple[int, int]], partials: list[NDArray[Any]]
) -> list[NDArray[Any]]:
    """What each die has in the end of the partial results of all."""
    lines = defaultdict(list)
    for number, (share, (row, col)) in enumerate(zip(shares, dies, strict=True)):
        if share.y_tiles is not None:
            lines[col if share.y_tiles.axis == "column" else row].append(number)
    found = list(partials)
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
            found[number] = sums[place][place]
    return found
