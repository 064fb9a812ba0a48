"""Chunks in the scratchpad: flits of words and words of flits."""

from __future__ import annotations

import pytest

from chiplet.machine.chunks import chunk_flits, chunk_words, flits_per_word, words_per_flit
from chiplet.machine.specs import MemorySpec, NopSpec


@pytest.mark.parametrize(
    ("word_bytes", "flit_bits", "per_word", "per_flit"),
    [(32, 64, 4, 1), (32, 256, 1, 1), (32, 512, 1, 2), (4, 96, 1, 3), (16, 1024, 1, 8)],
)
def test_the_wider_one_of_flit_and_word_is_a_whole_number_of_the_other(
    word_bytes: int, flit_bits: int, per_word: int, per_flit: int
) -> None:
    nop, memory = NopSpec(flit_bits=flit_bits), MemorySpec(word_bytes=word_bytes)
    assert flits_per_word(nop, memory) == per_word
    assert words_per_flit(nop, memory) == per_flit
    for flits in range(1, 10):
        words = chunk_words(flits, nop, memory)
        assert (words - per_flit) * 8 * word_bytes < flits * flit_bits <= words * 8 * word_bytes
        assert chunk_flits(words, nop, memory) == -(-flits // per_word) * per_word
        if per_flit > 1:
            with pytest.raises(
                ValueError, match=f"chunk: {words - 1} words: must be whole flits of {per_flit} words"
            ):
                chunk_flits(words - 1, nop, memory)


@pytest.mark.parametrize("flit_bits", [16, 48, 96, 384, 640])
def test_other_widths_of_flits_are_refused(flit_bits: int) -> None:
    message = (
        f"^nop.flit_bits = {flit_bits}: must be a multiple of 32 that divides a memory word of 256 bits or is a "
        "multiple of it, for a die with an engine$"
    )
    for size in (flits_per_word, words_per_flit):
        with pytest.raises(ValueError, match=message):
            size(NopSpec(flit_bits=flit_bits), MemorySpec())
