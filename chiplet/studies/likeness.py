"""Whether a comparison with a flat ring is like for like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMPARED = {
    "overlap": "overlap of communication",
    "gather_again": "how inputs of the backward pass come back",
    "recompute": "recomputation",
    "masked_keys": "keys behind the causal mask",
    "sums": "width of partial sums",
}
"""Switches that must be the same for both, with what they decide. The directions of the ring belong to the baseline."""


def differences(ours: Mapping[str, Any], ring: Mapping[str, Any]) -> list[str]:
    """What is unlike between two methods with the switches ``ours`` and ``ring``; nothing if they are like for like."""
    return [meaning for switch, meaning in COMPARED.items() if ours[switch] != ring[switch]]
