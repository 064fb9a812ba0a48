"""Bits of one value that are each repeated, as in the write mask of a memory: a loop instead of a chain of pieces."""

from __future__ import annotations

import re

from rtl.rewrite.tested_versions import check_tested_versions

__all__ = ["loop_over_repeated_bits"]

# One bit, or neighbouring ones, of a value: `p_en.slice<3>().val().repeat<7>()`, `p_en.slice<3,2>()`.
_PIECE = re.compile(r"\.slice<(\d+)(?:,(\d+))?>\(\)(?:\.val\(\)\.repeat<(\d+)>\(\))?")
_ANY = _PIECE.pattern.replace(r"(\d+)", r"\d+")
_CHAIN = re.compile(rf"(?<![\w.])(\w+(?:\.\w+)*?){_ANY}(?:\.concat\(\1{_ANY}\)){{3,}}\.val\(\)")
_NAMESPACE = "namespace cxxrtl_design {\n"
_SUPPORT = """
template<size_t Copies, size_t Bits>
value<Copies * Bits> repeated_bits(const value<Bits> &bits) {
	value<Copies * Bits> repeated;
	for (size_t bit = 0; bit < Copies * Bits; bit++)
		repeated.data[bit / 32] |= (bits.data[bit / Copies / 32] >> (bit / Copies % 32) & 1u) << (bit % 32);
	return repeated;
}

"""


def loop_over_repeated_bits(source: str) -> str:
    """Return the C++ that CXXRTL wrote, with a loop where it concatenates bits of a value, each of them repeated.

    Yosys writes the mask of a memory with parts as a chain of some thirty calls for each port. The chains of a
    scratchpad with eight banks took most of the time in which g++ compiled it.

    Raises
    ------
    UntestedVersionError
        If Amaranth or Yosys has a version that this was not tested with.
    """
    check_tested_versions()
    rewritten = _CHAIN.sub(_loop, source)
    return source if rewritten == source else rewritten.replace(_NAMESPACE, _NAMESPACE + _SUPPORT, 1)


def _loop(chain: re.Match[str]) -> str:
    """The same value from a loop, or the chain itself if its bits are not repeated equally often."""
    bits: list[int] = []
    for first, last, times in _PIECE.findall(chain[0]):
        piece = list(range(int(first), int(last or first) - 1, -1))
        bits += piece * int(times or 1)
    top, bottom = bits[0], bits[-1]
    copies = len(bits) // (abs(top - bottom) + 1)
    if copies < 2 or bits != [bit for bit in range(top, bottom - 1, -1) for _ in range(copies)]:
        return chain[0]
    return f"repeated_bits<{copies}>({chain[1]}.slice<{top},{bottom}>().val())"
