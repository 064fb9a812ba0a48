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
from rtl.lib.crc import POLYNOMIAL

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
    """What a flip of each of the last ``bits`` bits of a frame leaves in the register, the last bit first."""
    found = np.empty(bits, dtype=np.uint32)
    state = 1 << CRC_BITS - 1
    for place in range(bits):
        found[place] = state
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return found


def equal_pairs(left: NDArray[np.uint32]) -> int:
    """Pairs of equal elements."""
    _, sizes = np.unique(left, return_counts=True)
    return sum(comb(int(size), 2) for size in sizes[sizes > 1])


def hidden_sixes(bits: int) -> float:
    """Errors of six bits in a frame that are not found; each is two triples that leave the same, in ten ways.

    Two triples that leave the same share no bit, as no error of four bits is hidden.
    """
    alone = syndromes(bits)
    if bits <= 300:
        first, second = np.triu_indices(bits, 1)
        pairs = alone[first] ^ alone[second]
        left = np.concatenate([pairs[first > third] ^ alone[third] for third in range(bits)])
        return equal_pairs(left) / 10
    draw = np.random.default_rng(1)
    places = np.sort(draw.integers(0, bits, size=(SAMPLE, 3), dtype=np.int64), axis=1)
    places = places[(places[:, 0] != places[:, 1]) & (places[:, 1] != places[:, 2])]
    places = np.unique(places @ np.array([bits * bits, bits, 1]))
    left = alone[places // (bits * bits)] ^ alone[places // bits % bits] ^ alone[places % bits]
    return equal_pairs(left) / 10 * (comb(bits, 3) / len(places)) ** 2


def main() -> None:
    """Print a row for each of the frames."""
    for name, (flit_bits, phit_bits) in FRAMES.items():
        width = flit_width(NopSpec(flit_bits=flit_bits))
        frame = LinkFrame.fit(data_bits=flit_bits, width=width, phit_bits=phit_bits, flight_cycles=0)
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
