"""Chunks that an engine sends and receives, in the scratchpad: flits of a word, or words of a flit."""

from __future__ import annotations

from chiplet.machine.specs import MemorySpec, NopSpec

__all__ = ["chunk_flits", "chunk_words", "flits_per_word", "whole_flits", "words_per_flit"]


def flits_per_word(nop: NopSpec, memory: MemorySpec) -> int:
    """Flits that one word of the scratchpad holds; 1 if a flit is as wide as a word or wider.

    Raises
    ------
    ValueError
        If neither is a whole number of the other, or a flit is no whole number of sums.
    """
    bits = 8 * memory.word_bytes
    if nop.flit_bits % 32 or (bits % nop.flit_bits and nop.flit_bits % bits):
        raise ValueError(
            f"nop.flit_bits = {nop.flit_bits}: must be a multiple of 32 that divides a memory word of {bits} bits "
            "or is a multiple of it, for a die with an engine"
        )
    return max(1, bits // nop.flit_bits)


def words_per_flit(nop: NopSpec, memory: MemorySpec) -> int:
    """Words of the scratchpad that one flit fills; 1 if a flit is as wide as a word or narrower.

    Raises
    ------
    ValueError
        As :func:`flits_per_word`.
    """
    return nop.flit_bits * flits_per_word(nop, memory) // (8 * memory.word_bytes)


def whole_flits(words: int, nop: NopSpec, memory: MemorySpec) -> int:
    """``words`` filled up to whole flits, for a chunk.

    Raises
    ------
    ValueError
        As :func:`flits_per_word`.
    """
    several = words_per_flit(nop, memory)
    return -(-words // several) * several


def chunk_words(flits: int, nop: NopSpec, memory: MemorySpec) -> int:
    """Words of the scratchpad of a chunk of ``flits`` flits, the last of which may be filled in part.

    Raises
    ------
    ValueError
        As :func:`flits_per_word`.
    """
    return -(-flits // flits_per_word(nop, memory)) * words_per_flit(nop, memory)


def chunk_flits(words: int, nop: NopSpec, memory: MemorySpec) -> int:
    """Flits of a chunk of ``words`` whole words.

    Raises
    ------
    ValueError
        As :func:`flits_per_word`; or if the words do not fill the last flit.
    """
    several = words_per_flit(nop, memory)
    if words % several:
        raise ValueError(f"chunk: {words} words: must be whole flits of {several} words each")
    return words // several * flits_per_word(nop, memory)
