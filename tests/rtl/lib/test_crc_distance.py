"""The Hamming distance of the CRC, computed: which errors no frame of the links can hide."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from chiplet.machine.link_frame import CRC_BITS, LinkFrame, flit_width
from chiplet.machine.specs import NopSpec
from rtl.lib.crc import POLYNOMIAL

LONGEST = 16_360
"""Bits, CRC included, up to which the distance is proven."""

TABLE_BITS = 22


def syndromes(bits: int) -> np.ndarray:
    """What a flip of each of the last ``bits`` bits of a frame leaves in the register, the last bit first.

    A CRC does not find an error if and only if these, of all flipped bits, add to 0.
    """
    found = np.empty(bits, dtype=np.uint32)
    state = 1 << CRC_BITS - 1
    for place in range(bits):
        found[place] = state
        state = state >> 1 ^ (POLYNOMIAL if state & 1 else 0)
    return found


def hidden_pairs(alone: np.ndarray) -> int:
    """Errors of weight 2 that are not found."""
    return len(alone) - len(np.unique(alone))


def hides_four(alone: np.ndarray) -> bool:
    """Whether an error of weight 4 is not found.

    A hidden error, moved by a bit, is one as well. So one that has the last bit is enough: two further flips that leave
    what the last bit and a third one leave. All pairs are looked up in a table of the low bits, and hits compared.
    """
    wanted = alone[1:] ^ alone[0]
    table = np.zeros(1 << TABLE_BITS, dtype=bool)
    low = np.uint32((1 << TABLE_BITS) - 1)
    table[wanted & low] = True
    likely = []
    for third in range(1, len(alone) - 1):
        pairs = alone[third + 1 :] ^ alone[third]
        likely.append(pairs[table[pairs & low]])
    return bool(np.isin(np.concatenate(likely), wanted).any())


def hidden_sixes(alone: np.ndarray) -> int:
    """Errors of weight 6 that are not found: pairs of triples that leave the same. Such triples share no bit, as their
    other bits would be a hidden error of weight 4.
    """
    second, first = np.triu_indices(len(alone), 1)[::-1]
    pairs = alone[first] ^ alone[second]
    left = np.concatenate([pairs[first > third] ^ alone[third] for third in range(len(alone))])
    _, sizes = np.unique(left, return_counts=True)
    found = sum(comb(int(size), 2) for size in sizes[sizes > 1])
    assert found % 10 == 0  # six bits are two triples in 10 ways
    return found // 10


def test_every_hidden_error_has_an_even_weight() -> None:
    """x + 1 divides the polynomial: each flip changes the parity of some bits of the register, always the same ones."""
    alone = syndromes(LONGEST)
    # Of a multiple of x + 1 the remainder of every power of x is 1 at x = 1.
    assert all(int(value).bit_count() % 2 for value in alone)


@pytest.mark.slow
def test_all_errors_of_up_to_five_bits_are_found_in_the_longest_frame() -> None:
    alone = syndromes(LONGEST)
    assert hidden_pairs(alone) == 0
    assert not hides_four(alone)


def test_all_errors_of_up_to_five_bits_are_found_in_frames_of_the_package_preset() -> None:
    alone = syndromes(frame_bits(512, 512))
    assert hidden_pairs(alone) == 0
    assert not hides_four(alone)


def test_errors_of_six_bits_are_found_in_a_frame_of_one_flit() -> None:
    """Of 64 bits; for longer frames `tools/residual_errors.py` counts the hidden ones."""
    bits = frame_bits(64, 512)
    assert bits == 136
    assert hidden_sixes(syndromes(bits)) == 0


def test_the_search_finds_an_error_of_four_where_there_is_one() -> None:
    alone = syndromes(4000)
    alone[3000] = alone[0] ^ alone[700] ^ alone[1500]
    assert hides_four(alone)
    alone = syndromes(100)
    alone[70] = alone[3]
    assert hidden_pairs(alone) == 1


def frame_bits(flit_bits: int, phit_bits: int) -> int:
    width = flit_width(NopSpec(flit_bits=flit_bits))
    return LinkFrame.fit(data_bits=flit_bits, width=width, phit_bits=phit_bits, flight_cycles=0).frame_bits
