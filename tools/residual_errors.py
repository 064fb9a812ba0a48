"""Count the errors of six bits that the CRC of a link does not find, and print the table of ``docs/network.md``.

    python tools/residual_errors.py

Frames of up to 300 bits: all triples of bits, exactly. Longer ones: pairs of equal ones among random triples.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from chiplet.machine.link_frame import CRC_BITS, LinkFrame, flit_width
from chiplet.machine.specs import NopSpec
from rtl.lib.crc import shifted

FRAMES = {
    "64-bit flits on 512 bits": (64, 512),
    "512-bit flits on 512 bits": (512, 512),
    "1,024-bit flits on 1,024 bits": (1024, 1024),
    "2,048-bit flits on 2,048 bits": (2048, 2048),
}
SAMPLE = 3_000_000
"""Triples that are drawn."""

RATES = (1e-6, 1e-9, 1e-12)
"""Chances that a bit on a wire is wrong."""


def syndromes(bits: int) -> NDArray[np.uint32]:
    """What a flip of each of the last ``bits`` bits of a frame leaves in the register, the last bit first.

    A CRC does not find an error if and only if these, of all flipped bits, add to 0.
    """
    found = np.empty(bits, dtype=np.uint32)
    state = 1 << CRC_BITS - 1
    for place in range(bits):
        found[place] = state
        state = shifted(state)
    return found


def equal_pairs(left: NDArray[np.uint32]) -> int:
    """Pairs of equal elements."""
    _, sizes = np.unique(left, return_counts=True)
    return sum(comb(int(size), 2) for size in sizes[sizes > 1])


def equal_triples(alone: NDArray[np.uint32]) -> int:
    """Pairs of triples of bits that leave the same: ten for each hidden error of six bits, which is two triples in ten
    ways.

    Such triples share no bit, as their other bits would be a hidden error of two or four.
    """
    first, second = np.triu_indices(len(alone), 1)
    pairs = alone[first] ^ alone[second]
    return equal_pairs(np.concatenate([pairs[first > third] ^ alone[third] for third in range(len(alone))]))


def hidden_sixes(bits: int) -> float:
    """Errors of six bits in a frame that are not found, see :func:`equal_triples`."""
    alone = syndromes(bits)
    if bits <= 300:
        return equal_triples(alone) / 10
    draw = np.random.default_rng(1)
    places = np.sort(draw.integers(0, bits, size=(SAMPLE, 3), dtype=np.int64), axis=1)
    places = places[(places[:, 0] != places[:, 1]) & (places[:, 1] != places[:, 2])]
    places = np.unique(places @ np.array([bits * bits, bits, 1]))
    left = alone[places // (bits * bits)] ^ alone[places // bits % bits] ^ alone[places % bits]
    return equal_pairs(left) / 10 * (comb(bits, 3) / len(places)) ** 2


def frame_of(flit_bits: int, phit_bits: int) -> LinkFrame:
    """Frames of a link without flight, with coordinates of the default width."""
    width = flit_width(NopSpec(flit_bits=flit_bits))
    return LinkFrame.fit(data_bits=flit_bits, width=width, phit_bits=phit_bits, flight_cycles=0)


def main() -> None:
    """Print a row for each of the frames."""
    for name, (flit_bits, phit_bits) in FRAMES.items():
        frame = frame_of(flit_bits, phit_bits)
        hidden = hidden_sixes(frame.frame_bits)
        chance = comb(frame.frame_bits, 6) / 2 ** (CRC_BITS - 1)
        flags = 0 if frame.longest_cycles == 1 else frame.flits
        rates = [hidden * rate**6 + flags * rate**3 / 2**CRC_BITS for rate in RATES]
        cells = [
            name,
            f"{frame.frame_bits:,}",
            f"{hidden:.3g}",
            f"{chance:.3g}",
            *(f"{rate:.1e}" for rate in rates),
        ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
