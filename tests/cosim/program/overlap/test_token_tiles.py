"""Token tiles: every token once, equally many rows on each die of a line, as small as they may be."""

from __future__ import annotations

import math

import pytest

from chiplet.layout.block_sizes import Form
from chiplet.machine.specs import DieSpec, MemorySpec, PackageSpec, SystemSpec
from cosim.program.overlap.token_tiles import LEAST_TOKENS, token_tiles
from cosim.program.shape import Shape


def system(rows: int, cols: int, die: dict[str, int] | None = None) -> SystemSpec:
    return SystemSpec(
        die=DieSpec.model_validate({"rows": 4, "cols": 4, **(die or {})}),
        package=PackageSpec(rows=rows, cols=cols),
        memory=MemorySpec(),
    )


@pytest.mark.parametrize("form", ["nn", "nt", "tn"])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 2), (3, 2), (1, 5), (4, 3)])
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 101])
def test_every_token_is_in_one_tile(form: Form, rows: int, cols: int, tokens: int) -> None:
    shape = Shape(m=9, k=tokens, n=7, form=form) if form == "tn" else Shape(m=tokens, k=9, n=7, form=form)
    tiles = token_tiles(system(rows, cols), shape)
    assert [token for tile in tiles for token in tile.tokens] == list(range(tokens))
    share = math.lcm(rows, cols)
    for number, tile in enumerate(tiles):
        assert tile.number == number
        assert tile.size % share == 0
        assert 0 <= tile.size - len(tile.tokens) < share
    assert {tile.size for tile in tiles[:-1]} <= {tiles[0].size}
    if form == "tn" and len(tiles) > 1:  # sums take the tokens in tiles of the array
        assert tiles[0].size % 4 == 0


def test_a_tile_is_as_small_as_the_array_and_the_commands_allow() -> None:
    shape = Shape(m=256, k=256, n=256)
    assert token_tiles(system(2, 2), shape)[0].size == LEAST_TOKENS
    assert token_tiles(system(2, 2, {"rows": 64, "scratchpad_bytes": 131072}), shape)[0].size == 64
    assert token_tiles(system(3, 2), shape)[0].size == 18


def test_a_tile_gets_smaller_until_two_of_them_fit() -> None:
    small = token_tiles(system(2, 2, {"activation_bytes": 4096}), Shape(m=256, k=256, n=256))
    assert small[0].size == 8
    with pytest.raises(
        ValueError, match=r"^package: 256x256x256 \(nn\): die\.activation_bytes must be at least \d+"
    ):
        token_tiles(system(2, 2, {"activation_bytes": 512}), Shape(m=256, k=256, n=256))
