"""The Hamming distance of the CRC, computed: which errors no frame of the links can hide."""

from __future__ import annotations

import numpy as np
import pytest

from tools.residual_errors import equal_triples, frame_of, syndromes

LONGEST = 16_360
"""Bits, CRC included, up to which the distance is proven."""

TABLE_BITS = 22


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
    alone = syndromes(frame_of(512, 512).frame_bits)
    assert hidden_pairs(alone) == 0
    assert not hides_four(alone)


def test_errors_of_six_bits_are_found_in_a_frame_of_one_flit() -> None:
    """Of 64 bits; for longer frames `tools/residual_errors.py` counts the hidden ones."""
    bits = frame_of(64, 512).frame_bits
    assert bits == 136
    assert equal_triples(syndromes(bits)) == 0


def test_the_search_finds_an_error_of_four_where_there_is_one() -> None:
    alone = syndromes(4000)
    alone[3000] = alone[0] ^ alone[700] ^ alone[1500]
    assert hides_four(alone)
    alone = syndromes(100)
    alone[70] = alone[3]
    assert hidden_pairs(alone) == 1
