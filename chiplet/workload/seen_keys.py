"""The keys that causal attention multiplies a query with."""

from __future__ import annotations

from chiplet.vectorized.elementwise import Number, rounded_down, smaller


def seen_keys(length: Number, window: Number, strip: Number | None) -> Number:
    """Keys of a query of a sequence of ``length`` that sees a ``window``; the mean of all queries.

    With ``strip`` masked keys are skipped, for so many queries at a time; without, none are. What a strip sees beyond
    the window of each of its queries counts only as far as skipping gains.
    """
    if strip is None:
        return smaller(length, window)
    # A strip sees all up to its last query, from the window of its first one.
    most = smaller(length, window + strip - 1)
    growing = rounded_down(most / strip)
    seen = strip**2 * growing * (growing + 1) / 2 + (length - growing * strip) * most
    return smaller(smaller(length, window), seen / length)
